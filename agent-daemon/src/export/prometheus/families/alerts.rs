//! The metrics of the alerts: how many there are, and what finding and telling them takes.

use super::{
    Family as F,
    Kind::{Counter, Gauge},
    Row, row,
};
use prometheus_client::registry::Unit::Seconds;

pub(super) static ROWS: [Row; 8] = [
    row(
        F::Alerts,
        "alerts",
        None,
        Gauge,
        &["state"],
        "Alerts: pending, firing, and of those that fire those of which nobody is told (muted)",
    ),
    row(
        F::AlertRules,
        "alert_rules",
        None,
        Gauge,
        &["health"],
        "Alert rules by their last evaluation: ok, failed",
    ),
    row(
        F::AlertEvaluations,
        "alert_evaluations",
        None,
        Counter,
        &[],
        "Rounds in which alert rules were evaluated",
    ),
    row(
        F::AlertEvaluationSeconds,
        "alert_evaluation",
        Some(Seconds),
        Counter,
        &[],
        "Time that these rounds took, reading samples and files included",
    ),
    row(
        F::AlertNotifications,
        "alert_notifications",
        None,
        Counter,
        &["outcome"],
        "Tries to tell a receiver of alerts: delivered, failed (and tried again), refused",
    ),
    row(
        F::AlertReactions,
        "alert_reactions",
        None,
        Counter,
        &["action", "result"],
        "What alerts did by themselves (capture_profile, flight_recorder, limit, pause): done, undone, refused, failed, dry_run",
    ),
    row(F::AlertSeries, "alert_series", None, Gauge, &[], "Series that are remembered for alert rules"),
    row(F::AlertSamples, "alert_samples", None, Gauge, &[], "Their samples, of 16 bytes each"),
];
