//! Alerts, rules and silences on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::reaction::ReactionDto;
use crate::{
    alert::{
        diagnosis::{Diagnosis, Held, Line},
        eval::Millis,
        live::{RuleView, Shown},
        reaction::Entry,
        route::{Muted, Silence},
        rule::Severity,
        state::{Alert, Outcome, Phase},
    },
    model::time::Timestamp,
};

/// Alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AlertList)]
pub struct AlertListDto {
    /// Whether rules are evaluated (`alerts.enabled`).
    pub enabled: bool,
    /// When they were evaluated last.
    pub evaluated: Option<Timestamp>,
    /// The alerts, the worst first.
    pub alerts: Vec<AlertDto>,
}

/// Where an alert is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = AlertState)]
pub enum AlertStateDto {
    /// The condition holds, but not for long enough.
    Pending,
    /// Something is wrong.
    Firing,
    /// It was, and is no longer.
    Resolved,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Severity)]
pub enum SeverityDto {
    /// Worth knowing.
    Info,
    /// Somebody should look, today.
    Warning,
    /// Somebody should look, now.
    Critical,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertDto {
    /// Stands for its labels: the same in every run.
    pub id: String,
    /// Where it is in its life.
    pub state: AlertStateDto,
    /// How bad it is.
    pub severity: SeverityDto,
    /// Its labels, `alertname` and `severity` among them.
    pub labels: BTreeMap<String, String>,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
    /// The value of its expression when it last held; absent where that is no finite number.
    pub value: Option<f64>,
    /// Since when its condition holds.
    pub active_since: Option<Timestamp>,
    /// Since when it fires.
    pub firing_since: Option<Timestamp>,
    /// Since when it is resolved.
    pub resolved: Option<Timestamp>,
    /// Whether it comes and goes.
    pub flapping: bool,
    /// Why nobody is told: `silence ID`, `maintenance NAME`, or `inhibition N`, counted from 1.
    pub muted: Option<String>,
    /// What its agent did when it began to fire.
    pub diagnosis: Option<DiagnosisDto>,
    /// What was done about it by itself, the oldest first.
    pub reactions: Vec<ReactionDto>,
}

/// What an agent did when an alert began to fire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Diagnosis)]
pub struct DiagnosisDto {
    /// Start of the time that it speaks of.
    pub from: Timestamp,
    /// End of that time.
    pub to: Timestamp,
    /// Where its wall clock went, by cause of the ledger.
    pub ledger: Vec<LineDto>,
    /// Stacks on the CPU, folded.
    pub cpu: Vec<LineDto>,
    /// Stacks off the CPU, folded.
    pub off_cpu: Vec<LineDto>,
    /// Processes by time on the CPU.
    pub processes: Vec<LineDto>,
    /// Live processes by resident set.
    pub memory: Vec<HeldDto>,
    /// System calls by time inside them.
    pub syscalls: Vec<LineDto>,
    /// Where more is shown.
    pub link: String,
}

/// What a process holds of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DiagnosisMemory)]
pub struct HeldDto {
    /// Its name and pid.
    pub what: String,
    /// Its resident set.
    pub rss_bytes: u64,
    /// How fast that grew in the last minutes; null before there is enough to tell.
    pub bytes_per_second: Option<i64>,
}

/// Something and how long it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DiagnosisLine)]
pub struct LineDto {
    /// What.
    pub what: String,
    /// How long, of all threads.
    pub seconds: f64,
}

/// The rules in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AlertRuleList)]
pub struct AlertRuleListDto {
    /// In the order of their files.
    pub rules: Vec<AlertRuleDto>,
    /// Why the files that are there now are not in force, with file, line and column.
    pub refused: Option<String>,
}

/// How a rule fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AlertRuleHealth)]
pub enum AlertRuleHealthDto {
    /// It was not evaluated yet.
    New,
    /// It was evaluated.
    Ok,
    /// Nothing was known of that time: its alerts stay as they were.
    NoData,
    /// Its evaluation failed: its alerts stay as they were.
    Failed,
}

/// An alert rule and how it fares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AlertRule)]
pub struct AlertRuleDto {
    /// What it is known by.
    pub id: String,
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub severity: SeverityDto,
    /// Its expression.
    pub expr: String,
    /// How long it must hold before it fires.
    pub for_seconds: f64,
    /// The file that it is of; `builtin`.
    pub file: String,
    /// The line of that file.
    pub line: u64,
    /// How it fares.
    pub health: AlertRuleHealthDto,
    /// Why its last evaluation failed.
    pub error: Option<String>,
    /// When it was evaluated last.
    pub evaluated: Option<Timestamp>,
    /// Samples that it looked at then.
    pub samples: u64,
    /// Metrics that it looks at of which there are no series now.
    pub missing: Vec<String>,
    /// Its alerts that are pending.
    pub pending: usize,
    /// Its alerts that fire.
    pub firing: usize,
}

/// Silences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SilenceList)]
pub struct SilenceListDto {
    /// In force, to come, and ended in the last five days.
    pub silences: Vec<SilenceDto>,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Silence)]
pub struct SilenceDto {
    /// Its id.
    pub id: String,
    /// Which alerts: conditions on labels, all of which hold.
    #[schema(example = json!(["alertname=\"AgentCpuHigh\""]))]
    pub matchers: Vec<String>,
    /// From when on.
    pub starts: Timestamp,
    /// Until when.
    pub ends: Timestamp,
    /// Who wants it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// Whether it is in force.
    pub active: bool,
}

/// A silence that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SilenceRequest)]
pub struct SilenceRequestDto {
    /// Which alerts: conditions on labels, all of which hold. One of them at least must be one that not every alert
    /// fulfils.
    #[schema(example = json!(["alertname=\"AgentCpuHigh\"", "agent=~\"claude.*\""]))]
    pub matchers: Vec<String>,
    /// How long, such as `2h`; at most 366 days.
    #[schema(example = "2h")]
    pub duration: String,
    /// From when on; now if absent.
    pub starts: Option<Timestamp>,
    /// Who wants it.
    pub author: String,
    /// Why.
    #[serde(default)]
    pub comment: String,
}

/// A time of the engine; what no calendar has is absent.
pub(super) fn time(millis: Millis) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis).ok()
}

impl From<Severity> for SeverityDto {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Critical,
        }
    }
}

impl From<Phase> for AlertStateDto {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Firing => Self::Firing,
            Phase::Resolved => Self::Resolved,
        }
    }
}

impl From<&Alert> for AlertDto {
    fn from(alert: &Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            state: alert.phase.into(),
            severity: alert.severity.into(),
            labels: alert.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            annotations: alert.annotations.clone(),
            value: Some(alert.value).filter(|value| value.is_finite()),
            active_since: time(alert.active_at),
            firing_since: alert.fired_at.and_then(time),
            resolved: alert.resolved_at.and_then(time),
            flapping: alert.flapping,
            muted: None,
            diagnosis: None,
            reactions: Vec::new(),
        }
    }
}

impl AlertDto {
    /// The same with those of these reactions that are of this firing.
    #[must_use]
    pub fn with_reactions(self, entries: &[Entry]) -> Self {
        let of_alert = |entry: &&Entry| {
            entry.alert.is_some_and(|alert| alert.to_string() == self.id)
                && entry.fired_at.and_then(time) == self.firing_since
        };
        let reactions = entries.iter().filter(of_alert).map(ReactionDto::from).collect();
        Self { reactions, ..self }
    }
}

impl From<&Shown> for AlertDto {
    fn from(shown: &Shown) -> Self {
        let muted = shown.muted.as_ref().map(|muted| match muted {
            Muted::Silence(id) => format!("silence {id}"),
            Muted::Maintenance(name) => format!("maintenance {name}"),
            Muted::Inhibited(index) => format!("inhibition {}", index + 1),
        });
        Self { muted, diagnosis: shown.diagnosis.as_ref().map(Into::into), ..Self::from(&shown.alert) }
    }
}

impl From<&Diagnosis> for DiagnosisDto {
    fn from(diagnosis: &Diagnosis) -> Self {
        let lines = |lines: &[Line]| {
            lines.iter().map(|line| LineDto { what: line.what.clone(), seconds: line.seconds }).collect()
        };
        Self {
            from: diagnosis.from,
            to: diagnosis.to,
            ledger: lines(&diagnosis.ledger),
            cpu: lines(&diagnosis.cpu),
            off_cpu: lines(&diagnosis.off_cpu),
            processes: lines(&diagnosis.processes),
            memory: diagnosis.memory.iter().map(HeldDto::from).collect(),
            syscalls: lines(&diagnosis.syscalls),
            link: diagnosis.link.clone(),
        }
    }
}

impl From<&Held> for HeldDto {
    fn from(held: &Held) -> Self {
        let Held { what, rss_bytes, bytes_per_second } = held.clone();
        Self { what, rss_bytes, bytes_per_second }
    }
}

impl From<&RuleView> for AlertRuleDto {
    fn from(rule: &RuleView) -> Self {
        let outcome = rule.health.as_ref().map(|health| &health.outcome);
        let (health, error) = match outcome {
            None => (AlertRuleHealthDto::New, None),
            Some(Outcome::Ok) => (AlertRuleHealthDto::Ok, None),
            Some(Outcome::NoData) => (AlertRuleHealthDto::NoData, None),
            Some(Outcome::Failed(why)) => (AlertRuleHealthDto::Failed, Some(why.clone())),
        };
        Self {
            id: rule.id.clone(),
            group: rule.group.clone(),
            name: rule.name.clone(),
            severity: rule.severity.into(),
            expr: rule.expr.clone(),
            for_seconds: rule.hold as f64 / 1000.0,
            file: rule.place.0.clone(),
            line: rule.place.1,
            health,
            error,
            evaluated: rule.health.as_ref().and_then(|health| time(health.at)),
            samples: rule.health.as_ref().map_or(0, |health| health.spent.samples),
            missing: rule.missing.iter().cloned().collect(),
            pending: rule.alerts.0,
            firing: rule.alerts.1,
        }
    }
}

impl SilenceDto {
    /// A silence as it stands now.
    #[must_use]
    pub fn of(silence: &Silence, now: Timestamp) -> Self {
        let (starts, ends) = (time(silence.starts_at), time(silence.ends_at));
        let (starts, ends) = (starts.unwrap_or(Timestamp::MIN), ends.unwrap_or(Timestamp::MAX));
        Self {
            id: silence.id.to_string(),
            matchers: silence.matchers.iter().map(ToString::to_string).collect(),
            starts,
            ends,
            author: silence.author.clone(),
            comment: silence.comment.clone(),
            active: starts <= now && now < ends,
        }
    }
}
