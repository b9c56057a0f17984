//! The router: alerts in, messages out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Config, Muted, Notification, Silence, SilenceError,
    group::{Group, Times, group_key},
    mute::Mutes,
    rate::Bucket,
};
use crate::alert::{
    eval::Millis,
    labels::Fingerprint,
    state::{Alert, Phase},
};

/// The most groups; alerts of more are not told and counted.
const MAX_GROUPS: usize = 10_000;
/// The most silences.
const MAX_SILENCES: usize = 1000;
/// How long a silence is kept after its end, milliseconds.
const KEEP_SILENCE: Millis = 5 * 86_400_000;

/// How a try to deliver went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Delivered,
    /// It has not, or nobody knows: again later, the same message.
    Retry,
    /// It refuses this message for good. What it said is told in another one, five minutes later at the earliest.
    Refused,
}

/// The router's memory, to be written down and read after a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    groups: Vec<Group>,
    silences: Vec<Silence>,
    rates: BTreeMap<String, Bucket>,
}

/// Decides whom to tell what.
#[derive(Debug)]
pub struct Router {
    config: Config,
    groups: BTreeMap<Fingerprint, Group>,
    silences: BTreeMap<Fingerprint, Silence>,
    rates: BTreeMap<String, Bucket>,
    alerts: Vec<Alert>,
    without_group: u64,
    given_up: u64,
}

impl Router {
    /// A router that has told nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            groups: BTreeMap::new(),
            silences: BTreeMap::new(),
            rates: BTreeMap::new(),
            alerts: Vec::new(),
            without_group: 0,
            given_up: 0,
        }
    }

    /// Takes over what a router before it knew, but for groups of receivers that are gone. Call it before
    /// [`Self::update`].
    pub fn restore(&mut self, saved: Saved) {
        let receivers = self.config.receivers();
        let groups = saved.groups.into_iter().filter(|group| receivers.contains(group.receiver()));
        self.groups = groups.map(|group| (group.key(), group)).collect();
        self.silences = saved.silences.into_iter().map(|silence| (silence.id, silence)).collect();
        self.rates = saved.rates;
    }

    /// Everything that is to outlive this router. Write it down before what [`Self::due`] returned is sent, and
    /// after every [`Self::report`]: then no message is lost, and one that a crash repeats has its old id.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved {
            groups: self.groups.values().cloned().collect(),
            silences: self.silences.values().cloned().collect(),
            rates: self.rates.clone(),
        }
    }

    /// Another configuration. Groups of receivers that are gone are forgotten.
    pub fn reload(&mut self, config: Config) {
        let receivers = config.receivers();
        self.groups.retain(|_, group| receivers.contains(group.receiver()));
        self.rates.retain(|receiver, _| receivers.contains(receiver.as_str()));
        self.config = config;
    }

    /// Takes what the engine says now: all its alerts.
    pub fn update<'a>(&mut self, alerts: impl Iterator<Item = &'a Alert>, now: Millis) {
        self.alerts = distinct(alerts);
        for group in self.groups.values_mut() {
            group.not_in_the_future(now);
            group.alerts.clear();
        }
        for alert in &self.alerts {
            for plan in self.config.plans(&alert.labels) {
                let labels = plan.group_by.key(&alert.labels);
                let key = group_key(&plan.receiver, &labels);
                if !self.groups.contains_key(&key) && self.groups.len() >= MAX_GROUPS {
                    self.without_group += 1;
                    continue;
                }
                let times = Times::from(&plan);
                let group = self.groups.entry(key).or_insert_with(|| Group::new(plan.receiver, labels));
                group.times = Some(times);
                group.alerts.push(alert.clone());
            }
        }
        self.groups.retain(|_, group| !group.is_over());
        self.silences.retain(|_, silence| now.saturating_sub(silence.ends_at) < KEEP_SILENCE);
    }

    /// The messages to send now, the worst first. Each must be answered by [`Self::report`].
    pub fn due(&mut self, now: Millis) -> Vec<Notification> {
        let mutes = Mutes::new(&self.config, self.silences.values(), self.alerts.iter(), now);
        let muted = |alert: &Alert| mutes.why(&alert.labels).is_some();
        let mut groups: Vec<&mut Group> = self.groups.values_mut().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.severity()));
        let mut messages = Vec::new();
        for group in groups {
            if let Some(again) = group.try_again(now) {
                messages.push(again);
            } else if group.wants_to_tell(now, muted) {
                let rate = self.config.rates.get(group.receiver()).copied().unwrap_or_default();
                let bucket = self.rates.entry(group.receiver().to_owned());
                if bucket.or_insert_with(|| Bucket::full(rate, now)).take(rate, now) {
                    messages.push(group.tell(now, muted));
                }
            }
        }
        messages
    }

    /// How a message fared. What is not known is ignored: its group is gone.
    pub fn report(&mut self, id: Fingerprint, delivery: Delivery, now: Millis) {
        let Some(group) = self.groups.values_mut().find(|group| group.awaits(id)) else { return };
        match delivery {
            Delivery::Delivered => group.delivered(now),
            Delivery::Retry | Delivery::Refused => {
                let again = group.failed(now, delivery == Delivery::Retry);
                self.given_up += u64::from(!again);
            }
        }
    }

    /// Why an alert is muted now; `None`: it is not.
    #[must_use]
    pub fn muted(&self, alert: &Alert, now: Millis) -> Option<Muted> {
        Mutes::new(&self.config, self.silences.values(), self.alerts.iter(), now).why(&alert.labels)
    }

    /// The same of several alerts, in their order.
    pub fn muted_of<'a>(&self, alerts: impl Iterator<Item = &'a Alert>, now: Millis) -> Vec<Option<Muted>> {
        let mutes = Mutes::new(&self.config, self.silences.values(), self.alerts.iter(), now);
        alerts.map(|alert| mutes.why(&alert.labels)).collect()
    }

    /// Whether there is nothing that may have to be told.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.groups.is_empty()
    }

    /// All silences, ended ones for five days.
    pub fn silences(&self) -> impl Iterator<Item = &Silence> {
        self.silences.values()
    }

    /// Adds a silence; the same one again only changes its end.
    ///
    /// # Errors
    /// There are too many, or it is over.
    pub fn silence(&mut self, silence: Silence, now: Millis) -> Result<Fingerprint, SilenceError> {
        if silence.ends_at <= now {
            return Err(SilenceError::Over);
        }
        let known = self.silences.contains_key(&silence.id);
        if self.silences.len() >= MAX_SILENCES && !known {
            // Those that are over make room.
            self.silences.retain(|_, silence| silence.ends_at > now);
        }
        if self.silences.len() >= MAX_SILENCES && !known {
            return Err(SilenceError::TooMany(MAX_SILENCES));
        }
        let id = silence.id;
        self.silences.insert(id, silence);
        Ok(id)
    }

    /// Ends a silence now.
    ///
    /// # Errors
    /// There is none of that id.
    pub fn unsilence(&mut self, id: Fingerprint, now: Millis) -> Result<(), SilenceError> {
        let silence = self.silences.get_mut(&id).ok_or(SilenceError::Unknown)?;
        silence.ends_at = silence.ends_at.min(now);
        Ok(())
    }

    /// How often an alert was not told since there were too many groups.
    #[must_use]
    pub const fn without_group(&self) -> u64 {
        self.without_group
    }

    /// How many messages were given up.
    #[must_use]
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }
}

/// Each alert once: of several with the same labels, one that fires.
fn distinct<'a>(alerts: impl Iterator<Item = &'a Alert>) -> Vec<Alert> {
    let mut by_id: BTreeMap<Fingerprint, &Alert> = BTreeMap::new();
    for alert in alerts.filter(|alert| alert.phase != Phase::Pending) {
        let known = by_id.entry(alert.id).or_insert(alert);
        if known.phase != Phase::Firing && alert.phase == Phase::Firing {
            *known = alert;
        }
    }
    by_id.into_values().cloned().collect()
}
