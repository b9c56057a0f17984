//! A group: alerts of one receiver that share messages, what was told of them, and the message on its way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::config::Plan;
use crate::alert::{
    eval::Millis,
    labels::{Fingerprint, Fnv, Labels},
    rule::Severity,
    state::{Alert, Phase},
};

/// How long after the first failure the next try is, milliseconds; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Millis = 2000;
const LONGEST_PAUSE: Millis = 5 * 60_000;
/// How old a message may become before it is given up, milliseconds.
const MAX_AGE: Millis = 24 * 3_600_000;

/// What a message says as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// At least one alert fires.
    Firing,
    /// All are resolved.
    Resolved,
}

/// A message to a receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The same for every try of this message, also after a restart; another for every other message.
    pub id: Fingerprint,
    /// What stands for the group: the same for all its messages.
    pub group: Fingerprint,
    /// Who is told.
    pub receiver: String,
    /// The labels that its alerts share by `group_by`.
    pub labels: Labels,
    /// What it says as a whole.
    pub status: Status,
    /// The worst of its firing alerts; of its resolved ones if none fires.
    pub severity: Severity,
    /// Its alerts, firing ones first, worse ones first.
    pub alerts: Vec<Alert>,
    /// When it was made.
    pub made_at: Millis,
    /// Which try this is, from 1.
    pub attempt: u32,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    receiver: String,
    labels: Labels,
    /// When its first alert came that was not told yet.
    waiting_since: Option<Millis>,
    last_sent: Option<Millis>,
    /// A message was given up: none is made before this.
    paused_until: Option<Millis>,
    /// Messages made so far.
    made: u64,
    /// Alerts that were told to be firing and not told to be resolved.
    told: BTreeMap<Fingerprint, Alert>,
    on_its_way: Option<OnItsWay>,
    /// The alerts it has now.
    #[serde(skip)]
    pub(super) alerts: Vec<Alert>,
    #[serde(skip)]
    pub(super) times: Option<Times>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct OnItsWay {
    message: Notification,
    next_try: Millis,
    /// Somebody is at it. After a restart nobody is.
    #[serde(skip)]
    handed_out: bool,
}

/// A route's times, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    wait: Millis,
    interval: Millis,
    repeat: Millis,
}

impl From<&Plan> for Times {
    fn from(plan: &Plan) -> Self {
        Self { wait: plan.group_wait, interval: plan.group_interval, repeat: plan.repeat_interval }
    }
}

impl Group {
    pub(super) fn new(receiver: String, labels: Labels) -> Self {
        Self {
            receiver,
            labels,
            waiting_since: None,
            last_sent: None,
            paused_until: None,
            made: 0,
            told: BTreeMap::new(),
            on_its_way: None,
            alerts: Vec::new(),
            times: None,
        }
    }

    pub(super) fn receiver(&self) -> &str {
        &self.receiver
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_over(&self) -> bool {
        self.alerts.is_empty() && self.told.is_empty() && self.on_its_way.is_none()
    }

    /// The worst severity of what it has, to serve it first.
    pub(super) fn severity(&self) -> Severity {
        self.alerts.iter().map(|alert| alert.severity).max().unwrap_or_default()
    }

    /// After a clock went back, nothing remembered lies ahead.
    pub(super) fn not_in_the_future(&mut self, now: Millis) {
        self.waiting_since = self.waiting_since.map(|at| at.min(now));
        self.last_sent = self.last_sent.map(|at| at.min(now));
        self.paused_until = self.paused_until.map(|until| until.min(now.saturating_add(LONGEST_PAUSE)));
        if let Some(way) = &mut self.on_its_way {
            way.next_try = way.next_try.min(now.saturating_add(LONGEST_PAUSE));
            way.message.made_at = way.message.made_at.min(now);
        }
    }

    /// The message on its way, if nobody is at it and its time has come.
    pub(super) fn try_again(&mut self, now: Millis) -> Option<Notification> {
        let way = self.on_its_way.as_mut().filter(|way| !way.handed_out && now >= way.next_try)?;
        way.handed_out = true;
        way.message.attempt += 1;
        Some(way.message.clone())
    }

    /// Whether there is something to tell now. `muted` says of each alert whether it is.
    pub(super) fn wants_to_tell(&mut self, now: Millis, muted: impl Fn(&Alert) -> bool) -> bool {
        if self.on_its_way.is_some() || self.paused_until.is_some_and(|until| now < until) {
            return false;
        }
        let Some(times) = self.times else { return !self.told.is_empty() };
        let (fires, news) = (self.told_and_firing(&muted), self.has_news(&muted));
        if !news {
            self.waiting_since = None;
        }
        let since = |at: Millis| now.saturating_sub(at);
        match self.last_sent {
            _ if !news => fires && self.last_sent.is_none_or(|at| since(at) >= times.repeat),
            None => since(*self.waiting_since.get_or_insert(now)) >= times.wait,
            // A group that was all told and resolved begins anew.
            Some(_) if self.told.is_empty() => since(*self.waiting_since.get_or_insert(now)) >= times.wait,
            Some(at) => since(at) >= times.interval,
        }
    }

    fn told_and_firing(&self, muted: impl Fn(&Alert) -> bool) -> bool {
        self.firing().any(|alert| self.told.contains_key(&alert.id) && !muted(alert))
    }

    fn has_news(&self, muted: impl Fn(&Alert) -> bool) -> bool {
        self.newly_resolved().next().is_some()
            || self.firing().any(|alert| !self.knows(alert) && !muted(alert))
    }

    fn firing(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(|alert| alert.phase == Phase::Firing)
    }

    /// Whether this firing was told, not one before it.
    fn knows(&self, alert: &Alert) -> bool {
        self.told.get(&alert.id).is_some_and(|told| told.fired_at == alert.fired_at)
    }

    /// Alerts that were told to fire and do not, or no longer are.
    fn newly_resolved(&self) -> impl Iterator<Item = &Alert> {
        self.told.values().filter(|told| !self.firing().any(|alert| alert.id == told.id))
    }

    /// Makes the message.
    pub(super) fn tell(&mut self, now: Millis, muted: impl Fn(&Alert) -> bool) -> Notification {
        let resolved = self.newly_resolved().map(|told| {
            let last = self.alerts.iter().find(|alert| alert.id == told.id && alert.phase == Phase::Resolved);
            let resolved_at = last.and_then(|alert| alert.resolved_at).or(Some(now));
            // The firing that was told, by what was said of it last, and not first.
            let said = last.unwrap_or(told);
            let (value, annotations) = (said.value, said.annotations.clone());
            Alert { phase: Phase::Resolved, resolved_at, value, annotations, ..told.clone() }
        });
        let mut alerts: Vec<Alert> =
            self.firing().filter(|alert| !muted(alert)).cloned().chain(resolved).collect();
        let worst_first =
            |a: &Alert| (a.phase != Phase::Firing, std::cmp::Reverse(a.severity), a.labels.clone());
        alerts.sort_by_cached_key(worst_first);
        self.made += 1;
        let group = self.key();
        let mut hash = Fnv::default();
        hash.text(&group.to_string());
        hash.number(self.made);
        for alert in &alerts {
            hash.text(&alert.id.to_string());
            hash.number(u64::from(alert.phase == Phase::Firing));
            hash.number(alert.fired_at.unwrap_or_default().cast_unsigned());
        }
        let message = Notification {
            id: hash.finish(),
            group,
            receiver: self.receiver.clone(),
            labels: self.labels.clone(),
            // Firing ones are first.
            status: if alerts.first().is_some_and(|a| a.phase == Phase::Firing) {
                Status::Firing
            } else {
                Status::Resolved
            },
            severity: alerts.first().map(|alert| alert.severity).unwrap_or_default(),
            alerts,
            made_at: now,
            attempt: 1,
        };
        self.on_its_way = Some(OnItsWay { message: message.clone(), next_try: now, handed_out: true });
        message
    }

    pub(super) fn key(&self) -> Fingerprint {
        group_key(&self.receiver, &self.labels)
    }

    /// Whether this message is on its way.
    pub(super) fn awaits(&self, id: Fingerprint) -> bool {
        self.on_its_way.as_ref().is_some_and(|way| way.message.id == id)
    }

    /// The message arrived: what it said is told.
    pub(super) fn delivered(&mut self, now: Millis) {
        let Some(way) = self.on_its_way.take() else { return };
        self.last_sent = Some(now);
        self.waiting_since = None;
        for alert in way.message.alerts {
            match alert.phase {
                Phase::Firing => drop(self.told.insert(alert.id, alert)),
                Phase::Pending | Phase::Resolved => drop(self.told.remove(&alert.id)),
            }
        }
    }

    /// The message did not arrive. Whether it will be tried again.
    pub(super) fn failed(&mut self, now: Millis, worth_trying: bool) -> bool {
        let Some(way) = &mut self.on_its_way else { return false };
        if worth_trying && now.saturating_sub(way.message.made_at) < MAX_AGE {
            let doublings = way.message.attempt.saturating_sub(1).min(16);
            way.next_try = now.saturating_add((FIRST_PAUSE << doublings).min(LONGEST_PAUSE));
            way.handed_out = false;
            return true;
        }
        // What it said is not told, and becomes another message; later, lest a receiver that refuses is flooded.
        self.on_its_way = None;
        self.paused_until = Some(now.saturating_add(LONGEST_PAUSE));
        false
    }
}

/// What stands for a group.
pub(super) fn group_key(receiver: &str, labels: &Labels) -> Fingerprint {
    let mut hash = Fnv::default();
    hash.text(receiver);
    hash.text(&labels.fingerprint().to_string());
    hash.finish()
}
