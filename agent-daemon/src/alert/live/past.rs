//! Alerts that fired and are over: the newest, for who asks what happened.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::alert::{
    eval::Millis,
    labels::Fingerprint,
    state::{Alert, Phase},
};

/// The most that are remembered.
const MAX_PAST: usize = 1000;

/// Alerts that are over, and those that are not yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Past {
    /// The oldest first.
    over: VecDeque<Alert>,
    #[serde(skip)]
    firing: BTreeMap<Fingerprint, Alert>,
}

impl Past {
    /// Sees all alerts of now. Those that began to fire since.
    pub(super) fn see<'a>(&mut self, alerts: impl Iterator<Item = &'a Alert>, now: Millis) -> Vec<Alert> {
        let mut firing = BTreeMap::new();
        let mut resolved = BTreeMap::new();
        for alert in alerts {
            match alert.phase {
                Phase::Firing => drop(firing.insert(alert.id, alert.clone())),
                Phase::Resolved => drop(resolved.insert(alert.id, alert.resolved_at)),
                Phase::Pending => {}
            }
        }
        let before = std::mem::take(&mut self.firing);
        let begun = firing
            .values()
            .filter(|alert| before.get(&alert.id).is_none_or(|known| known.fired_at != alert.fired_at));
        let begun = begun.cloned().collect();
        for (id, alert) in before {
            if firing.get(&id).is_some_and(|now| now.fired_at == alert.fired_at) {
                continue;
            }
            let resolved_at = resolved.get(&id).copied().flatten().unwrap_or(now);
            self.over.push_back(Alert { phase: Phase::Resolved, resolved_at: Some(resolved_at), ..alert });
        }
        let over = self.over.len().saturating_sub(MAX_PAST);
        self.over.drain(..over);
        self.firing = firing;
        begun
    }

    /// Takes it that these fire already: nothing of them is new. After a restart.
    pub(super) fn resume<'a>(&mut self, alerts: impl Iterator<Item = &'a Alert>) {
        let firing = alerts.filter(|alert| alert.phase == Phase::Firing);
        self.firing = firing.map(|alert| (alert.id, alert.clone())).collect();
    }

    /// Those that are over, the newest first.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Alert> {
        self.over.iter().rev()
    }
}
