//! From a condition to an alert: when it begins, fires, resolves, and when it only flaps.
//!
//! An alert is *pending* while its condition has held for less than `for`, then *firing*; when the condition has not
//! held for `keep_firing_for` it is *resolved*, and kept so for a while, that everybody can be told.
//!
//! - **Missing series**: an alert whose element is gone from the result counts as "does not hold".
//! - **No data, or an error**: whether it holds is unknown. Every alert of the rule stays as it is, and no time
//!   passes for it.
//! - **Time** is what was observed: `for` and `keep_firing_for` add up the time between evaluations, each step
//!   no longer than three intervals. A suspended host, a stopped daemon or a clock that jumps forward makes no alert
//!   fire; a clock that jumps back loses nothing but the step.
//! - **Flapping**: an alert that began to fire three times within 30 minutes goes on firing until its condition has
//!   not held for 10 minutes, and says so. It resolves once instead of every time.

mod engine;
mod instance;
#[cfg(test)]
mod tests;

pub use engine::{Engine, Health, Outcome, Report};
pub use instance::Saved;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    eval::{Limits, Millis},
    labels::{Fingerprint, Labels},
    rule::{RuleId, Severity},
};

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The condition holds, but not for long enough.
    Pending,
    /// Something is wrong.
    Firing,
    /// It was, and is no longer.
    Resolved,
}

/// An alert, as others see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Stands for its labels: the same alert has the same id in every run.
    pub id: Fingerprint,
    /// The rule it is of.
    pub rule: RuleId,
    /// Its labels, `alertname` and `severity` among them.
    pub labels: Labels,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
    /// How bad it is.
    pub severity: Severity,
    /// The value of its expression when it last held.
    #[serde(with = "instance::number")]
    pub value: f64,
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when the condition holds.
    pub active_at: Millis,
    /// Since when it fires.
    pub fired_at: Option<Millis>,
    /// Since when it is resolved.
    pub resolved_at: Option<Millis>,
    /// It comes and goes.
    pub flapping: bool,
    /// What channels know it by instead of its labels. Reserved.
    pub dedup: Option<String>,
    /// What is to be done. Reserved.
    pub action: Option<String>,
}

/// How alerts behave, and what they may cost.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often the engine is asked, milliseconds: the daemon's window.
    pub interval: Millis,
    /// Bounds of one rule's evaluation.
    pub limits: Limits,
    /// Work units that all rules of one round may take; those that find none left fail.
    pub round_work: u64,
    /// The most alerts of one rule; more are an error of that rule.
    pub max_alerts: usize,
    /// The most alerts of all rules, resolved ones that are kept included; a rule that would exceed it fails.
    pub max_all_alerts: usize,
    /// How long resolved alerts are kept, milliseconds.
    pub keep_resolved: Millis,
    /// How often an alert begins to fire within [`Self::flap_window`] before it counts as flapping.
    pub flap_count: usize,
    /// See [`Self::flap_count`], milliseconds.
    pub flap_window: Millis,
    /// How long the condition of a flapping alert must not hold before it resolves, milliseconds.
    pub flap_hold: Millis,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: 5000,
            limits: Limits::default(),
            round_work: 1_000_000_000,
            max_alerts: 1000,
            max_all_alerts: 10_000,
            keep_resolved: 15 * 60_000,
            flap_count: 3,
            flap_window: 30 * 60_000,
            flap_hold: 10 * 60_000,
        }
    }
}
