//! How the alerts stand, for the status and the metrics.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::model::time::Timestamp;

/// How a try to tell somebody can end, as the label `outcome` has it.
const OUTCOMES: [&str; 3] = ["delivered", "failed", "refused"];

/// What alerts can do by themselves, as the label `action` has it.
const ACTIONS: [&str; 4] = ["capture_profile", "flight_recorder", "limit", "pause"];
/// What comes of it, as the label `result` has it.
const RESULTS: [&str; 5] = ["done", "undone", "refused", "failed", "dry_run"];

/// How the alerts stand.
#[derive(Debug, Default)]
pub struct AlertStats {
    reactions: [[AtomicU64; RESULTS.len()]; ACTIONS.len()],
    evaluations: AtomicU64,
    evaluation_ns: AtomicU64,
    outcomes: [AtomicU64; OUTCOMES.len()],
    last: Mutex<AlertsNow>,
}

/// What the last round found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertsNow {
    /// When it was; `None` before the first, and where alerts are off.
    pub at: Option<Timestamp>,
    /// How long it took.
    pub took: Duration,
    /// Rules in force.
    pub rules: u64,
    /// Of these, those whose last evaluation failed.
    pub failing: u64,
    /// Alerts whose condition holds, but not for long enough.
    pub pending: u64,
    /// Alerts that fire.
    pub firing: u64,
    /// Of these, those of which nobody is told.
    pub muted: u64,
    /// Series that are remembered for the rules.
    pub series: u64,
    /// Their samples.
    pub samples: u64,
    /// Why the files of rules and routes that are there now are not in force.
    pub refused: Option<String>,
}

impl AlertStats {
    /// A round was made.
    pub fn evaluated(&self, now: AlertsNow) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(now.took.as_nanos()).unwrap_or(u64::MAX);
        self.evaluation_ns.fetch_add(ns, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Files were refused, or are in force again.
    pub fn set_refused(&self, why: Option<String>) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).refused = why;
    }

    /// A try to tell somebody ended so: 0 it was taken, 1 it failed, 2 it was refused.
    pub fn told(&self, outcome: usize) {
        if let Some(count) = self.outcomes.get(outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A reaction came to this: 0 it is done or in force, 1 taken back, 2 refused, 3 failed, 4 it would have been done.
    /// Actions are numbered in the order of their names.
    pub fn reacted(&self, action: usize, result: usize) {
        if let Some(count) = self.reactions.get(action).and_then(|results| results.get(result)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reactions by action and result.
    pub fn reactions(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        ACTIONS.iter().zip(&self.reactions).flat_map(|(action, counts)| {
            let results = RESULTS.iter().zip(counts);
            results.map(|(result, count)| (*action, *result, count.load(Ordering::Relaxed)))
        })
    }

    /// What the last round found.
    #[must_use]
    pub fn now(&self) -> AlertsNow {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rounds made, and how long all of them took, seconds.
    #[must_use]
    pub fn evaluations(&self) -> (u64, f64) {
        (self.evaluations.load(Ordering::Relaxed), self.evaluation_ns.load(Ordering::Relaxed) as f64 / 1e9)
    }

    /// Tries to tell somebody, by outcome.
    #[must_use]
    pub fn outcomes(&self) -> [(&'static str, u64); OUTCOMES.len()] {
        let mut counts = OUTCOMES.map(|outcome| (outcome, 0));
        for (slot, count) in counts.iter_mut().zip(&self.outcomes) {
            slot.1 = count.load(Ordering::Relaxed);
        }
        counts
    }
}
