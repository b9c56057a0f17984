//! Windows: the unit of aggregation and of storage.

use std::sync::Arc;

use super::{
    id::{AgentId, ProcessId},
    off_cpu::OffCpuStat,
    stack::Stack,
    syscall::SyscallStat,
    time::Timestamp,
};

/// On-CPU samples of one process in one window that share a stack.
#[derive(Clone, Debug)]
pub struct CpuStat {
    /// Who ran.
    pub process: ProcessId,
    /// Where: kernel frames, then user frames, innermost first.
    pub stack: Arc<Stack>,
    /// Samples.
    pub samples: u64,
    /// CPU time the samples stand for, ns: samples × the sampling period.
    pub cpu_ns: u64,
}

/// What one agent did in one stretch of time. Immutable once stored.
#[derive(Clone, Debug)]
pub struct Window {
    /// Whose.
    pub agent: AgentId,
    /// Start of the stretch.
    pub start: Timestamp,
    /// End of the stretch (exclusive).
    pub end: Timestamp,
    /// Syscalls by process and number.
    pub syscalls: Vec<SyscallStat>,
    /// Off-CPU time by process, cause and stack.
    pub off_cpu: Vec<OffCpuStat>,
    /// CPU samples by process and stack.
    pub cpu: Vec<CpuStat>,
    /// Processes with an interpreter whose frames cannot be read, and why.
    pub unread: Vec<(ProcessId, String)>,
}

impl Window {
    /// Rows held, the measure of the memory a window takes.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.syscalls.len() + self.off_cpu.len() + self.cpu.len()
    }
}
