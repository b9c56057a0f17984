//! The daemon itself on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::ProbeStateDto;
use crate::{
    model::{probe::ProbeStatus, time::Timestamp},
    telemetry::{AlertsNow, ExporterStatus},
};

/// How the daemon stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusDto {
    /// agentperf's version.
    pub version: String,
    /// Whether it does its work by now.
    pub ready: bool,
    /// When it started.
    pub started: Timestamp,
    /// Time since then.
    pub uptime_seconds: f64,
    /// The host's name.
    pub hostname: String,
    /// The kernel's release.
    #[schema(example = "6.12.0")]
    pub kernel: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Agents, counted.
    pub agents: AgentCountsDto,
    /// Every kernel program and feature.
    pub probes: Vec<ProbeStatusDto>,
    /// What was lost since the start, by name; every name is always there.
    pub losses: BTreeMap<String, u64>,
    /// Every door out that is in use.
    pub exporters: Vec<ExporterDto>,
    /// How the alerts stand.
    pub alerts: AlertStatusDto,
    /// What agentperf itself costs.
    pub own: OwnUsageDto,
}

/// How the alerts stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AlertStatus)]
pub struct AlertStatusDto {
    /// When the rules were evaluated last; never where alerts are off.
    pub evaluated: Option<Timestamp>,
    /// How long that took.
    pub evaluation_seconds: f64,
    /// Rules in force.
    pub rules: u64,
    /// Of these, those whose last evaluation failed.
    pub failing_rules: u64,
    /// Alerts whose condition holds, but not for long enough.
    pub pending: u64,
    /// Alerts that fire.
    pub firing: u64,
    /// Of these, those of which nobody is told.
    pub muted: u64,
    /// Why the files of rules or routes that are there now are not in force: those before are.
    pub refused: Option<String>,
}

impl From<AlertsNow> for AlertStatusDto {
    fn from(now: AlertsNow) -> Self {
        Self {
            evaluated: now.at,
            evaluation_seconds: now.took.as_secs_f64(),
            rules: now.rules,
            failing_rules: now.failing,
            pending: now.pending,
            firing: now.firing,
            muted: now.muted,
            refused: now.refused,
        }
    }
}

/// A door out and how it stands. Items are samples, data points, spans, events or profiles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Exporter)]
pub struct ExporterDto {
    /// Stable name.
    #[schema(example = "remote_write")]
    pub name: String,
    /// Scheme, host and port of the receiver.
    #[schema(example = "http://127.0.0.1:9090")]
    pub receiver: String,
    /// Items that the receiver took.
    pub sent: u64,
    /// Attempts to send that failed.
    pub failures: u64,
    /// Items that were given up.
    pub dropped: u64,
    /// What waits on disk to be sent, bytes.
    pub spool_bytes: u64,
    /// Items that wait in memory.
    pub queued: u64,
    /// When the receiver last took something.
    pub last_success: Option<Timestamp>,
    /// Why an attempt last failed, without any secret.
    pub last_error: Option<String>,
    /// When that was.
    pub last_failure: Option<Timestamp>,
}

impl From<ExporterStatus> for ExporterDto {
    fn from(exporter: ExporterStatus) -> Self {
        let (last_failure, last_error) = exporter.last_error.unzip();
        Self {
            name: exporter.name.to_owned(),
            receiver: exporter.receiver,
            sent: exporter.sent,
            failures: exporter.failed,
            dropped: exporter.dropped,
            spool_bytes: exporter.spool_bytes,
            queued: exporter.queued,
            last_success: exporter.last_success,
            last_error,
            last_failure,
        }
    }
}

/// Agents, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentCounts)]
pub struct AgentCountsDto {
    /// Watched now.
    pub live: usize,
    /// Ended, but still remembered.
    pub ended: usize,
}

/// A kernel program or feature and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProbeStatus)]
pub struct ProbeStatusDto {
    /// Stable name.
    #[schema(example = "sched_switch")]
    pub name: String,
    /// What it is used for.
    pub purpose: String,
    /// How it stands.
    pub state: ProbeStateDto,
    /// Whether it is attached now: programs are while some agent needs them.
    pub attached: bool,
    /// Why it is not simply ready.
    pub reason: Option<String>,
}

impl From<ProbeStatus> for ProbeStatusDto {
    fn from(probe: ProbeStatus) -> Self {
        Self {
            name: probe.name.to_owned(),
            purpose: probe.purpose.to_owned(),
            state: probe.state.into(),
            attached: probe.attached,
            reason: probe.reason,
        }
    }
}

/// What agentperf itself costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OwnUsage)]
pub struct OwnUsageDto {
    /// User and system CPU time since the start.
    pub cpu_seconds: f64,
    /// Resident set.
    pub rss_bytes: u64,
    /// Unwind tables of the files that agents map, in the kernel's memory, bytes.
    pub unwind_table_bytes: u64,
}

/// A daemon that is alive, or ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Health)]
pub struct HealthDto {
    /// `ok`, or `ready`.
    pub status: String,
}
