//! Windows: the unit of aggregation and of storage.
//!
//! A window is additive: windows of one agent merge into a longer one ([`Window::merge`]) and no sum changes.
//! `S` is how a row names its stack: the stack itself everywhere but in a store, which keeps numbers instead.

use std::sync::Arc;

use super::{
    cuda::CudaStat,
    disk::DiskStat,
    file::FileStat,
    http::HttpStat,
    id::{AgentId, ProcessId},
    ledger::{Cause, Ledger},
    network::NetworkStat,
    off_cpu::OffCpuStat,
    stack::Stack,
    syscall::SyscallStat,
    time::Timestamp,
};

/// On-CPU samples of one process in one window that share a stack.
#[derive(Clone, Debug)]
pub struct CpuStat<S = Arc<Stack>> {
    /// Who ran.
    pub process: ProcessId,
    /// Where: kernel frames, then user frames, innermost first.
    pub stack: S,
    /// Samples.
    pub samples: u64,
    /// CPU time the samples stand for, ns: samples × the sampling period.
    pub cpu_ns: u64,
}

/// What one agent did in one stretch of time. Immutable once stored.
#[derive(Clone, Debug)]
pub struct Window<S = Arc<Stack>> {
    /// Whose.
    pub agent: AgentId,
    /// Start of the stretch.
    pub start: Timestamp,
    /// End of the stretch (exclusive).
    pub end: Timestamp,
    /// Syscalls by process and number.
    pub syscalls: Vec<SyscallStat>,
    /// Off-CPU time by process, cause and stack.
    pub off_cpu: Vec<OffCpuStat<S>>,
    /// CPU samples by process and stack.
    pub cpu: Vec<CpuStat<S>>,
    /// Calls of CUDA by process and kind.
    pub cuda: Vec<CudaStat>,
    /// Files by process and path.
    pub files: Vec<FileStat>,
    /// Traffic by process and peer.
    pub network: Vec<NetworkStat>,
    /// Block I/O by process and device.
    pub disk: Vec<DiskStat>,
    /// Exchanges over HTTP by process and endpoint.
    pub http: Vec<HttpStat>,
    /// Where the time went; empty where that was not watched.
    pub ledger: Ledger,
    /// Processes with an interpreter whose frames cannot be read, and why.
    pub unread: Vec<(ProcessId, String)>,
}

impl<S> Window<S> {
    /// Rows held, the measure of the memory a window takes.
    #[must_use]
    pub fn rows(&self) -> usize {
        let ledger = self.ledger.sets.len() + self.ledger.threads.len();
        let of_calls = self.syscalls.len() + self.cuda.len() + self.files.len();
        let of_devices = self.network.len() + self.disk.len() + self.http.len();
        of_calls + of_devices + self.off_cpu.len() + self.cpu.len() + ledger
    }

    /// Whether the agent worked for most of it, as far as its ledger tells.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let wall = self.ledger.wall_ns();
        let idle = self.ledger.causes().get(&Cause::Idle).copied().unwrap_or(0);
        wall > 0 && idle < wall / 2
    }

    /// The same window with its stacks named otherwise.
    #[must_use]
    pub fn map_stacks<T>(self, mut map: impl FnMut(S) -> T) -> Window<T> {
        let Self { agent, start, end, syscalls, off_cpu, cpu, cuda, .. } = self;
        let (files, network, disk, http) = (self.files, self.network, self.disk, self.http);
        let (ledger, unread) = (self.ledger, self.unread);
        let off_cpu = off_cpu.into_iter().map(|row| row.map_stack(&mut map)).collect();
        let cpu = cpu.into_iter().map(|row| row.map_stack(&mut map)).collect();
        Window { agent, start, end, syscalls, off_cpu, cpu, cuda, files, network, disk, http, ledger, unread }
    }
}

impl<S> CpuStat<S> {
    /// The same row with its stack named otherwise.
    fn map_stack<T>(self, map: impl FnOnce(S) -> T) -> CpuStat<T> {
        let Self { process, stack, samples, cpu_ns } = self;
        CpuStat { process, stack: map(stack), samples, cpu_ns }
    }
}
