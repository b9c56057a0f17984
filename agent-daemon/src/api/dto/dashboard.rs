//! The dashboard on the wire: everything that it shows of one range in one answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    agent::AgentStateDto,
    dashboard_operations::DashboardOperationsDto,
    names::{FrameKindDto, WaitCauseDto},
    status::OwnUsageDto,
    syscall::call_name,
};
use crate::{
    model::{off_cpu::WaitCause, time::Timestamp},
    store::{
        query::{Amounts, Buckets, CallAmount, CauseAmount},
        summary::Function,
    },
    telemetry::{HostInfo, Reading},
};

/// What the agents of this host did lately.
///
/// Of functions, processes and calls only the largest of every minute are kept apart, so their seconds are lower
/// bounds; everything else is the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Dashboard)]
pub struct DashboardDto {
    /// Start of the range: `hours` before now, rounded down to a bucket.
    pub from: Timestamp,
    /// End of the range: now. The last window that has closed ended some seconds before.
    pub to: Timestamp,
    /// The host as it is now.
    pub host: HostDto,
    /// All agents together.
    pub totals: AmountsDto,
    /// All agents together over time.
    pub series: SeriesDto,
    /// Off-CPU time by cause, most time first.
    pub causes: Vec<CauseAmountDto>,
    /// The agents that are watched or did something in the range, most CPU time first.
    pub agents: Vec<AgentRowDto>,
    /// How many there are, of which `agents` shows the first.
    pub agents_total: usize,
    /// The functions that ran longest, by sampled CPU time.
    pub functions_cpu: Vec<FunctionDto>,
    /// The functions of user code that waited longest.
    pub functions_off_cpu: Vec<FunctionDto>,
    /// The processes with the most CPU time.
    pub processes: Vec<ProcessRowDto>,
    /// The syscalls with the most time; of agents that are watched by that probe.
    pub syscalls: Vec<CallDto>,
    /// What applications told of.
    pub operations: DashboardOperationsDto,
    /// What was lost since the daemon started, by name; what was not is left out.
    pub losses: BTreeMap<String, u64>,
    /// What agentperf itself costs.
    pub own: OwnUsageDto,
}

/// The host as it is now; what it does not tell is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Host)]
pub struct HostDto {
    /// The host's name.
    pub hostname: String,
    /// The kernel's release.
    pub kernel: String,
    /// agentperf's version.
    pub version: String,
    /// Time since the daemon started.
    pub uptime_seconds: f64,
    /// CPUs that are online.
    pub cpus: Option<f64>,
    /// Load average of the last minute.
    pub load1: Option<f64>,
    /// Physical memory.
    pub memory_bytes: Option<f64>,
    /// Memory that programs could have without swapping.
    pub memory_available_bytes: Option<f64>,
}

impl HostDto {
    /// The host of this daemon, with a fresh reading.
    #[must_use]
    pub fn new(info: &HostInfo, reading: &Reading) -> Self {
        Self {
            hostname: info.hostname.clone(),
            kernel: info.kernel.clone(),
            version: info.version.to_owned(),
            uptime_seconds: Timestamp::now().duration_since(info.started).as_secs_f64(),
            cpus: reading.cpus,
            load1: reading.load1,
            memory_bytes: reading.memory,
            memory_available_bytes: reading.memory_available,
        }
    }
}

/// Time of all threads, and calls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Amounts)]
pub struct AmountsDto {
    /// Sampled CPU time.
    pub cpu_seconds: f64,
    /// Time blocked.
    pub blocked_seconds: f64,
    /// Time runnable, but not running.
    pub run_queue_seconds: f64,
    /// Calls that returned.
    pub syscalls: f64,
    /// Of these, those that failed.
    pub syscall_errors: f64,
}

impl From<&Amounts> for AmountsDto {
    fn from(amounts: &Amounts) -> Self {
        Self {
            cpu_seconds: short(amounts.cpu_ns),
            blocked_seconds: short(amounts.blocked_ns),
            run_queue_seconds: short(amounts.run_queue_ns),
            syscalls: amounts.syscalls.round(),
            syscall_errors: amounts.syscall_errors.round(),
        }
    }
}

/// Amounts by bucket, the first one first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Series)]
pub struct SeriesDto {
    /// Start of the first bucket.
    pub from: Timestamp,
    /// Length of a bucket; the last one goes on.
    pub bucket_seconds: i64,
    /// Sampled CPU time.
    pub cpu_seconds: Vec<f64>,
    /// Time blocked.
    pub blocked_seconds: Vec<f64>,
    /// Time runnable, but not running.
    pub run_queue_seconds: Vec<f64>,
    /// Calls that returned.
    pub syscalls: Vec<f64>,
}

impl SeriesDto {
    /// The series of these buckets.
    #[must_use]
    pub fn new(buckets: &Buckets, series: &[Amounts]) -> Self {
        let of = |what: fn(&Amounts) -> f64| series.iter().map(|a| short(what(a))).collect();
        Self {
            from: buckets.range.from,
            bucket_seconds: buckets.seconds,
            cpu_seconds: of(|a| a.cpu_ns),
            blocked_seconds: of(|a| a.blocked_ns),
            run_queue_seconds: of(|a| a.run_queue_ns),
            syscalls: series.iter().map(|a| a.syscalls.round()).collect(),
        }
    }
}

/// One cause's share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CauseAmount)]
pub struct CauseAmountDto {
    /// What was waited for.
    pub cause: WaitCauseDto,
    /// Time blocked.
    pub blocked_seconds: f64,
    /// Time runnable, but not running.
    pub run_queue_seconds: f64,
    /// Waits that ended.
    pub count: f64,
}

impl CauseAmountDto {
    /// Causes on the wire, most time first.
    #[must_use]
    pub fn all(causes: &BTreeMap<WaitCause, CauseAmount>) -> Vec<Self> {
        let one = |(cause, amount): (&WaitCause, &CauseAmount)| Self {
            cause: (*cause).into(),
            blocked_seconds: short(amount.blocked_ns),
            run_queue_seconds: short(amount.run_queue_ns),
            count: amount.count.round(),
        };
        let mut all: Vec<_> = causes.iter().map(one).collect();
        let whole = |c: &Self| c.blocked_seconds + c.run_queue_seconds;
        all.sort_by(|a, b| whole(b).total_cmp(&whole(a)));
        all
    }
}

/// One agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentRow)]
pub struct AgentRowDto {
    /// Identity.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// The root process's pid.
    pub pid: u32,
    /// Whether it is watched now.
    pub state: AgentStateDto,
    /// Its time and calls.
    #[serde(flatten)]
    pub totals: AmountsDto,
    /// Its off-CPU time by cause, most time first.
    pub causes: Vec<CauseAmountDto>,
    /// Its processes that live.
    pub processes_live: u64,
    /// Its processes that ended in the range.
    pub processes_ended: u64,
    /// Its CPU time by bucket of `series`.
    pub cpu_seconds_series: Vec<f64>,
}

/// One function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Function)]
pub struct FunctionDto {
    /// Its name; `[unknown]` where no symbol covers it.
    pub function: String,
    /// Which world.
    pub kind: FrameKindDto,
    /// The binary it is in, or the script.
    pub path: Option<String>,
    /// Time.
    pub seconds: f64,
}

impl From<&(Function, f64)> for FunctionDto {
    fn from((function, ns): &(Function, f64)) -> Self {
        Self {
            function: function.name().to_owned(),
            kind: function.kind().into(),
            path: function.path().map(str::to_owned),
            seconds: short(*ns),
        }
    }
}

/// One process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProcessRow)]
pub struct ProcessRowDto {
    /// Whose.
    pub agent: String,
    /// Its pid.
    pub pid: u32,
    /// Its name; null where it has been forgotten.
    pub comm: Option<String>,
    /// Sampled CPU time in the range.
    pub cpu_seconds: f64,
    /// Its largest resident set so far.
    pub peak_rss_bytes: Option<u64>,
}

/// One syscall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Call)]
pub struct CallDto {
    /// The kernel's name for it.
    pub name: String,
    /// Calls that returned.
    pub count: f64,
    /// Of these, those that failed.
    pub errors: f64,
    /// Time inside the call.
    pub total_seconds: f64,
}

impl From<&(u32, CallAmount)> for CallDto {
    fn from((number, amount): &(u32, CallAmount)) -> Self {
        Self {
            name: call_name(*number),
            count: amount.count.round(),
            errors: amount.errors.round(),
            total_seconds: short(amount.total_ns),
        }
    }
}

/// Nanoseconds as seconds, to the microsecond: parts of stretches are no more exact than that.
pub(in crate::api) fn short(ns: f64) -> f64 {
    (ns / 1e3).round() / 1e6
}
