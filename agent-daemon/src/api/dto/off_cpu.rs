//! Off-CPU time on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CoveredDto,
    names::{DescriptorDto, WaitCauseDto},
    seconds,
    stack::StackDto,
    syscall::call_name,
};
use crate::{
    model::{off_cpu::WaitCause, time::Timestamp},
    store::query::{CauseTotal, LongWait, OffCpuTotals, StackTotal},
};

/// What an agent's threads waited for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OffCpuReport)]
pub struct OffCpuReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the off-CPU probe. Where it is not, empty lists mean nothing.
    pub watched: bool,
    /// All threads' time off the CPU. Threads wait side by side, so it may exceed the wall clock.
    pub totals: OffCpuTotalsDto,
    /// By cause, most time first.
    pub causes: Vec<CauseDto>,
    /// The heaviest waits, by who waited for what and where.
    pub stacks: Vec<WaitDto>,
    /// How many different waits there were, of which `stacks` shows the heaviest.
    pub stacks_total: usize,
}

/// Time off the CPU; `seconds` is the sum of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = OffCpuTotals)]
pub struct OffCpuTotalsDto {
    /// Everything.
    pub seconds: f64,
    /// Waiting for something, page faults aside.
    pub blocked_seconds: f64,
    /// Waiting in page faults.
    pub page_fault_seconds: f64,
    /// The wait was over, but no CPU was free.
    pub run_queue_seconds: f64,
    /// Could have gone on, but was pushed off the CPU.
    pub preempted_seconds: f64,
}

impl From<&OffCpuTotals> for OffCpuTotalsDto {
    fn from(totals: &OffCpuTotals) -> Self {
        let parts =
            [totals.blocked_ns(), totals.page_fault_ns(), totals.run_queue_ns(), totals.preempted_ns()];
        let [blocked, page_fault, run_queue, preempted] = parts.map(seconds);
        Self {
            seconds: seconds(parts.into_iter().fold(0, u64::saturating_add)),
            blocked_seconds: blocked,
            page_fault_seconds: page_fault,
            run_queue_seconds: run_queue,
            preempted_seconds: preempted,
        }
    }
}

/// One cause's share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Cause)]
pub struct CauseDto {
    /// What was waited for.
    pub cause: WaitCauseDto,
    /// Blocked and run queue together.
    pub seconds: f64,
    /// Time blocked.
    pub blocked_seconds: f64,
    /// Time runnable, but not running.
    pub run_queue_seconds: f64,
    /// Waits that ended. One that still goes on has its time here so far, and is counted when it ends.
    pub count: u64,
    /// The longest wait.
    pub max_seconds: f64,
}

impl CauseDto {
    /// One cause's share on the wire.
    #[must_use]
    pub fn new(cause: WaitCause, total: &CauseTotal) -> Self {
        Self {
            cause: cause.into(),
            seconds: seconds(total.ns()),
            blocked_seconds: seconds(total.blocked_ns),
            run_queue_seconds: seconds(total.run_queue_ns),
            count: total.count,
            max_seconds: seconds(total.max_ns),
        }
    }
}

/// Waits that share everything: who, what for, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Wait)]
pub struct WaitDto {
    /// Who waited.
    pub pid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// What for, how long and how often.
    #[serde(flatten)]
    pub cause: CauseDto,
    /// The syscall in progress; null outside syscalls.
    pub syscall: Option<String>,
    /// The kind of descriptor that was waited on.
    pub descriptor: Option<DescriptorDto>,
    /// Pid of the process that ended the wait; null for timers, interrupts and preemption.
    pub waker_pid: Option<u32>,
    /// Where.
    pub stack: StackDto,
}

impl WaitDto {
    /// Waits on the wire; `comm` names the process.
    #[must_use]
    pub fn new(wait: &StackTotal, comm: Option<String>) -> Self {
        Self {
            pid: wait.process.pid(),
            comm,
            cause: CauseDto::new(wait.cause, &wait.total),
            syscall: wait.syscall.map(call_name),
            descriptor: wait.descriptor.map(DescriptorDto::from),
            waker_pid: wait.waker,
            stack: wait.stack.as_ref().into(),
        }
    }
}

/// The longest waits of a range, with whom they were for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LongestWaits)]
pub struct LongestWaitsDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the off-CPU probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// The longest waits, the longest first. Each list begins with the wait; each next one is what the process that ended the
    /// one before likely waited for itself meanwhile.
    pub chains: Vec<Vec<LongWaitDto>>,
}

/// A wait of a thread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LongWait)]
pub struct LongWaitDto {
    /// Who waited.
    pub pid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// What for.
    pub cause: WaitCauseDto,
    /// How long.
    pub seconds: f64,
    /// When it began, at the earliest: up to a window before.
    pub from: Timestamp,
    /// End of the window in which it ended, or was last seen.
    pub to: Timestamp,
    /// The syscall in progress; null outside syscalls.
    pub syscall: Option<String>,
    /// The kind of descriptor that was waited on.
    pub descriptor: Option<DescriptorDto>,
    /// Pid of the process that ended it; null for timers, devices and interrupts, and where it has not ended.
    pub waker_pid: Option<u32>,
    /// Name of the process that ended it, where it is the agent's.
    pub waker_comm: Option<String>,
    /// Where.
    pub stack: StackDto,
}

impl LongWaitDto {
    /// A wait on the wire; the names are those of who waited, and who ended it.
    #[must_use]
    pub fn new(wait: &LongWait, comm: Option<String>, waker_comm: Option<String>) -> Self {
        Self {
            pid: wait.process.pid(),
            comm,
            cause: wait.cause.into(),
            seconds: seconds(wait.ns),
            from: wait.from,
            to: wait.to,
            syscall: wait.syscall.map(call_name),
            descriptor: wait.descriptor.map(DescriptorDto::from),
            waker_pid: wait.waker,
            waker_comm,
            stack: wait.stack.as_ref().into(),
        }
    }
}
