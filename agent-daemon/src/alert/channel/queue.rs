//! The messages that wait for one channel: which is next, when, and what becomes of it. No clock and no I/O.
//!
//! A message stays until it is taken or refused. What fails is tried again with pauses that double, each shortened by
//! up to a half at random; a message that the receiver cannot take does not hold up others. When a receiver that was
//! out of reach takes one, all that failed for that reason are due at once.
//!
//! The messages themselves are the router's: it saves them, and hands them out again after a restart, with their old
//! ids. Saved here is how far each has come, so that a restart is no reason to hurry.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    message::Message,
    outcome::{Later, MAX_ASKED, Outcome},
};
use crate::alert::{
    eval::Millis,
    labels::Fingerprint,
    route::{Delivery, Rate},
};

/// The most messages that wait; the router keeps the others, and offers them again.
pub(super) const MAX_WAITING: usize = 1000;
/// The first pause and the longest one, milliseconds.
const PAUSES: (Millis, Millis) = (1000, 5 * 60_000);
/// How old a message may become before the router is told that it does not go, milliseconds.
const MAX_AGE: Millis = 24 * 3_600_000;

/// What became of a message, for [`Router::report`](crate::alert::Router::report).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which.
    pub id: Fingerprint,
    /// What became of it.
    pub delivery: Delivery,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Try {
    made_at: Millis,
    attempts: u32,
    next: Millis,
    unreached: bool,
}

/// What a queue remembers over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The receiver asked for a pause until then.
    closed_until: Millis,
    /// When all requests so far would have been made at the channel's rate.
    paced_until: Millis,
    tries: BTreeMap<Fingerprint, Try>,
}

/// What was counted since the daemon started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Messages that the receiver has.
    pub delivered: u64,
    /// Messages that it refused for good.
    pub refused: u64,
    /// Tries that failed and were, or will be, followed by another one.
    pub failed: u64,
    /// Messages given back to the router, since there was no room or they were too old.
    pub returned: u64,
    /// Messages that only said what this channel does not tell.
    pub skipped: u64,
}

struct Entry {
    message: Arc<Message>,
    progress: Try,
    in_hand: bool,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    /// Send this message; it is its so-manieth try.
    Send(Arc<Message>, u32),
    /// Ask again then.
    At(Millis),
    /// Nothing waits.
    Nothing,
}

/// The messages that wait for one channel.
pub(super) struct Queue {
    waiting: BTreeMap<Fingerprint, Entry>,
    /// What was saved of messages that have not been handed out again yet.
    remembered: BTreeMap<Fingerprint, Try>,
    closed_until: Millis,
    paced_until: Millis,
    pub(super) rate: Rate,
    pub(super) counts: Counts,
}

impl Queue {
    pub(super) fn new(rate: Rate, saved: Saved) -> Self {
        Self {
            waiting: BTreeMap::new(),
            remembered: saved.tries.into_iter().take(MAX_WAITING).collect(),
            closed_until: saved.closed_until,
            paced_until: saved.paced_until,
            rate,
            counts: Counts::default(),
        }
    }

    pub(super) fn save(&self) -> Saved {
        let waiting = self.waiting.iter().map(|(id, entry)| (*id, entry.progress));
        let tries = self.remembered.iter().map(|(id, progress)| (*id, *progress)).chain(waiting).collect();
        Saved { closed_until: self.closed_until, paced_until: self.paced_until, tries }
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a message; one that is here already is the same. Where there is no room, the least urgent one goes back
    /// to the router, which may be this one.
    pub(super) fn push(&mut self, message: Message, now: Millis) -> Option<Report> {
        let (id, made_at) = (message.notification.id, message.notification.made_at);
        if self.waiting.contains_key(&id) {
            return None;
        }
        let fresh = Try { made_at, attempts: 0, next: now, unreached: false };
        let progress = self.remembered.remove(&id).unwrap_or(fresh);
        let returned =
            if self.waiting.len() >= MAX_WAITING { Some(self.least_urgent(&message)) } else { None };
        if returned != Some(id) {
            self.waiting.insert(id, Entry { message: Arc::new(message), progress, in_hand: false });
        }
        let id = returned?;
        self.waiting.remove(&id);
        self.counts.returned += 1;
        Some(Report { id, delivery: Delivery::Retry })
    }

    /// Gives all that wait back to the router, but for what is being tried.
    pub(super) fn give_back(&mut self) -> Vec<Report> {
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (tried, idle): (BTreeMap<_, _>, BTreeMap<_, _>) = all.partition(|(_, entry)| entry.in_hand);
        self.waiting = tried;
        self.counts.returned += idle.len() as u64;
        idle.into_keys().map(|id| Report { id, delivery: Delivery::Retry }).collect()
    }

    /// Of all that wait, and this one, the least severe; of several the newest.
    fn least_urgent(&self, message: &Message) -> Fingerprint {
        let urgency = |m: &Message| (m.notification.severity, std::cmp::Reverse(m.notification.made_at));
        let idle = self.waiting.values().filter(|entry| !entry.in_hand).map(|entry| &*entry.message);
        let least = idle.min_by_key(|waiting| urgency(waiting));
        least.filter(|least| urgency(least) < urgency(message)).unwrap_or(message).notification.id
    }

    /// What to send now: of what is due the most severe, of that the oldest.
    pub(super) fn next(&mut self, now: Millis) -> Next {
        self.not_in_the_future(now);
        self.remembered.retain(|_, progress| now.saturating_sub(progress.made_at) < MAX_AGE);
        let Some(first) = self.waiting.values().filter(|e| !e.in_hand).map(|e| e.progress.next).min() else {
            return Next::Nothing;
        };
        let per = self.rate.per.max(1);
        let each = per / Millis::from(self.rate.messages.max(1));
        let earliest = first.max(self.closed_until).max(self.paced_until.saturating_sub(per - each));
        if now < earliest {
            return Next::At(earliest);
        }
        let due = self.waiting.values_mut().filter(|entry| !entry.in_hand && entry.progress.next <= now);
        let urgency = |entry: &&mut Entry| {
            let told = &entry.message.notification;
            (told.severity, std::cmp::Reverse(told.made_at))
        };
        let Some(entry) = due.max_by_key(urgency) else { return Next::Nothing };
        entry.in_hand = true;
        entry.progress.attempts = entry.progress.attempts.saturating_add(1);
        self.paced_until = self.paced_until.max(now).saturating_add(each);
        Next::Send(Arc::clone(&entry.message), entry.progress.attempts)
    }

    /// How a try went, and what the router is to know of it. `random` is from 0 to 1.
    pub(super) fn done(
        &mut self,
        id: Fingerprint,
        outcome: &Outcome,
        now: Millis,
        random: f64,
    ) -> Option<Report> {
        match outcome {
            Outcome::Taken(_) => {
                self.counts.delivered += 1;
                self.reached(now);
            }
            Outcome::Refused(_) => {
                self.counts.refused += 1;
                self.reached(now);
            }
            Outcome::Later(later) => {
                self.counts.failed += 1;
                if self.postpone(id, later, now, random) {
                    return None;
                }
                self.counts.returned += 1;
            }
        }
        self.waiting.remove(&id).map(|_| Report { id, delivery: outcome.delivery() })
    }

    /// Whether there will be another try.
    fn postpone(&mut self, id: Fingerprint, later: &Later, now: Millis, random: f64) -> bool {
        if let Some(asked) = later.asked {
            self.closed_until = self.closed_until.max(now.saturating_add(millis(asked)));
        }
        let Some(entry) = self.waiting.get_mut(&id) else { return false };
        entry.in_hand = false;
        let progress = &mut entry.progress;
        let doublings = progress.attempts.saturating_sub(1).min(16);
        let pause = (PAUSES.0 << doublings).min(PAUSES.1);
        progress.next = now.saturating_add((pause as f64 * (0.5 + random / 2.0)) as Millis);
        progress.unreached = later.unreached;
        now.saturating_sub(progress.made_at) < MAX_AGE
    }

    /// The receiver is there: what failed since it was not is due.
    fn reached(&mut self, now: Millis) {
        for entry in self.waiting.values_mut().filter(|entry| entry.progress.unreached) {
            entry.progress.unreached = false;
            entry.progress.next = entry.progress.next.min(now);
        }
    }

    /// After a clock went back, nothing remembered lies further ahead than it ever may.
    fn not_in_the_future(&mut self, now: Millis) {
        let longest = |pause: Millis| now.saturating_add(pause);
        self.closed_until = self.closed_until.min(longest(millis(MAX_ASKED)));
        self.paced_until = self.paced_until.min(longest(self.rate.per.max(1)));
        for entry in self.waiting.values_mut() {
            entry.progress.next = entry.progress.next.min(longest(PAUSES.1));
            entry.progress.made_at = entry.progress.made_at.min(now);
        }
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
