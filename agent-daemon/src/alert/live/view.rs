//! What others see of the alerts: made after each round, shared, never changed.

use std::collections::BTreeSet;

use crate::{
    alert::{
        channel,
        diagnosis::Diagnosis,
        eval::Millis,
        history::Size,
        route::{Muted, Silence},
        rule::Severity,
        state::{Alert, Health},
    },
    model::time::Timestamp,
};

/// How things stood after a round.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Whether rules are evaluated.
    pub enabled: bool,
    /// When the last round was.
    pub at: Option<Timestamp>,
    /// Alerts that are pending, fire, or resolved lately.
    pub alerts: Vec<Shown>,
    /// Alerts that fired and are over, the newest first.
    pub past: Vec<Alert>,
    /// The rules in force.
    pub rules: Vec<RuleView>,
    /// Silences, ended ones for some days.
    pub silences: Vec<Silence>,
    /// How the channels fare.
    pub receivers: Vec<channel::Health>,
    /// What is remembered for the rules.
    pub size: Size,
    /// Why the files that are there now are not in force.
    pub refused: Option<String>,
    /// Whether alerts act by themselves, and whether they only say what they would do.
    pub reactions: (bool, bool),
}

/// An alert and what goes with it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The alert.
    pub alert: Alert,
    /// Why nobody is told of it.
    pub muted: Option<Muted>,
    /// What its agent did when it began to fire.
    pub diagnosis: Option<Diagnosis>,
}

/// A rule and how it fares.
#[derive(Clone, Debug)]
pub struct RuleView {
    /// What it is known by.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The file it is of, and the line.
    pub place: (String, u64),
    /// Its expression.
    pub expr: String,
    /// How long it must hold, milliseconds.
    pub hold: Millis,
    /// How bad it is.
    pub severity: Severity,
    /// How its last evaluation went; `None` before the first.
    pub health: Option<Health>,
    /// Metrics that it looks at and that have no series: it cannot fire by them.
    pub missing: BTreeSet<String>,
    /// How many of its alerts are pending, and how many fire.
    pub alerts: (usize, usize),
}
