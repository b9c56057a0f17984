//! Which alerts are muted, and why.

use rustc_hash::FxHashSet;

use super::{Config, Inhibition, Silence};
use crate::alert::{
    eval::Millis,
    labels::{Fingerprint, Labels},
    matcher::all_match,
    state::{Alert, Phase},
};

/// Why an alert is muted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Muted {
    /// By this silence.
    Silence(Fingerprint),
    /// By the maintenance window of this name.
    Maintenance(String),
    /// By another alert, through the inhibition at this place of the configuration.
    Inhibited(usize),
}

/// What mutes alerts at one time.
pub(super) struct Mutes<'r> {
    config: &'r Config,
    silences: Vec<&'r Silence>,
    inhibitions: Vec<Sources<'r>>,
    now: Millis,
}

/// The values of the `equal` labels of firing sources.
struct Sources<'r> {
    rule: &'r Inhibition,
    /// Of all.
    all: FxHashSet<Labels>,
    /// Of those that are not targets themselves.
    pure: FxHashSet<Labels>,
}

impl<'r> Mutes<'r> {
    pub(super) fn new<'a>(
        config: &'r Config,
        silences: impl Iterator<Item = &'r Silence>,
        alerts: impl Iterator<Item = &'a Alert> + Clone,
        now: Millis,
    ) -> Self {
        let firing = alerts.filter(|alert| alert.phase == Phase::Firing);
        let sources = |rule: &'r Inhibition| {
            let mut sources = Sources { rule, all: FxHashSet::default(), pure: FxHashSet::default() };
            for alert in firing.clone().filter(|alert| all_match(&rule.source_matchers, &alert.labels)) {
                let key = alert.labels.only(&rule.equal);
                if !all_match(&rule.target_matchers, &alert.labels) {
                    sources.pure.insert(key.clone());
                }
                sources.all.insert(key);
            }
            sources
        };
        Self {
            config,
            silences: silences.collect(),
            inhibitions: config.inhibitions.iter().map(sources).collect(),
            now,
        }
    }

    pub(super) fn why(&self, labels: &Labels) -> Option<Muted> {
        if let Some(silence) = self.silences.iter().find(|silence| silence.covers(labels, self.now)) {
            return Some(Muted::Silence(silence.id));
        }
        if let Some(window) = self.config.maintenance.iter().find(|window| window.covers(labels, self.now)) {
            return Some(Muted::Maintenance(window.name.clone()));
        }
        self.inhibitions.iter().position(|sources| sources.mute(labels)).map(Muted::Inhibited)
    }
}

impl Sources<'_> {
    fn mute(&self, labels: &Labels) -> bool {
        let Inhibition { source_matchers, target_matchers, equal } = self.rule;
        if self.all.is_empty() || !all_match(target_matchers, labels) {
            return false;
        }
        let sources = if all_match(source_matchers, labels) { &self.pure } else { &self.all };
        sources.contains(&labels.only(equal))
    }
}
