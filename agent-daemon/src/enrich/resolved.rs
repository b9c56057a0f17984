//! Rows with named stacks: what the kernel counted in a window, as it goes into the store. Rows that became
//! equal by naming are merged.

use std::{hash::Hash, sync::Arc};

use rustc_hash::FxHashMap;

use crate::model::{
    cuda::CudaStat,
    disk::DiskStat,
    file::FileStat,
    http::HttpStat,
    id::{ProcessId, Slot},
    ledger::Ledger,
    network::NetworkStat,
    observation::{Counted, RawCpu, RawOffCpu},
    off_cpu::OffCpuStat,
    stack::Stack,
    syscall::SyscallStat,
    time::Timestamp,
    window::CpuStat,
};

/// The counts of one window, of all agents, named.
#[derive(Debug)]
pub struct Resolved {
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
    /// Syscalls.
    pub syscalls: Vec<(Slot, SyscallStat)>,
    /// Off-CPU time.
    pub off_cpu: Vec<(Slot, OffCpuStat)>,
    /// CPU samples.
    pub cpu: Vec<(Slot, CpuStat)>,
    /// Calls of CUDA.
    pub cuda: Vec<(Slot, CudaStat)>,
    /// Files.
    pub files: Vec<(Slot, FileStat)>,
    /// Traffic.
    pub network: Vec<(Slot, NetworkStat)>,
    /// Block I/O.
    pub disk: Vec<(Slot, DiskStat)>,
    /// Exchanges over HTTP.
    pub http: Vec<(Slot, HttpStat)>,
    /// Where the time of each agent went.
    pub ledgers: Vec<(Slot, Ledger)>,
    /// Processes with an interpreter whose frames cannot be read, and why.
    pub unread: Vec<(Slot, ProcessId, String)>,
}

impl Resolved {
    /// The window's rows with their stacks: those of the off-CPU rows, then those of the CPU rows. What has no
    /// stacks is the caller's to add.
    pub(super) fn of(counted: &Counted, stacks: Vec<Arc<Stack>>) -> Self {
        let mut stacks = stacks.into_iter();
        let off_cpu = counted.off_cpu.iter().zip(stacks.by_ref()).map(off_cpu_row);
        let off_cpu = merged(off_cpu, off_cpu_key, |sum, row| {
            sum.blocked_ns += row.blocked_ns;
            sum.run_queue_ns += row.run_queue_ns;
            sum.count += row.count;
            sum.max_ns = sum.max_ns.max(row.max_ns);
        });
        let cpu = merged(counted.cpu.iter().zip(stacks).map(cpu_row), cpu_key, |sum, row| {
            sum.samples += row.samples;
            sum.cpu_ns += row.cpu_ns;
        });
        let (start, end) = (counted.start, counted.end);
        let (syscalls, cuda, files, network, disk, http, ledgers, unread) = Default::default();
        Self { start, end, syscalls, off_cpu, cpu, cuda, files, network, disk, http, ledgers, unread }
    }
}

fn off_cpu_row((raw, stack): (&RawOffCpu, Arc<Stack>)) -> (Slot, OffCpuStat) {
    let stat = OffCpuStat {
        process: raw.process,
        cause: raw.cause,
        syscall: raw.syscall,
        descriptor: raw.descriptor,
        waker: raw.waker,
        stack,
        blocked_ns: raw.blocked_ns,
        run_queue_ns: raw.run_queue_ns,
        count: raw.count,
        max_ns: raw.max_ns,
    };
    (raw.slot, stat)
}

fn cpu_row((raw, stack): (&RawCpu, Arc<Stack>)) -> (Slot, CpuStat) {
    (raw.slot, CpuStat { process: raw.process, stack, samples: raw.samples, cpu_ns: raw.cpu_ns })
}

fn off_cpu_key(row: &OffCpuStat) -> impl Eq + Hash + use<> {
    let OffCpuStat { process, cause, syscall, descriptor, waker, .. } = *row;
    (process, cause, syscall, descriptor, waker, Arc::as_ptr(&row.stack).addr())
}

fn cpu_key(row: &CpuStat) -> impl Eq + Hash + use<> {
    (row.process, Arc::as_ptr(&row.stack).addr())
}

/// Rows by slot and key, in the order of their first.
fn merged<T, K: Eq + Hash>(
    rows: impl Iterator<Item = (Slot, T)>,
    key: impl Fn(&T) -> K,
    add: impl Fn(&mut T, T),
) -> Vec<(Slot, T)> {
    let mut sums: Vec<(Slot, T)> = Vec::new();
    let mut index = FxHashMap::default();
    for (slot, row) in rows {
        let at = *index.entry((slot, key(&row))).or_insert(sums.len());
        match sums.get_mut(at) {
            Some((_, sum)) => add(sum, row),
            None => sums.push((slot, row)),
        }
    }
    sums
}
