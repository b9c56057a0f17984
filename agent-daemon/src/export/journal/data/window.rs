//! A window in the journal. Its rows name stacks by the numbers of the section.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    DataError, Kind,
    devices::{DiskData, NetworkData},
    file::FileData,
    http::HttpData,
    latencies::{self, Latencies},
    names::Names,
    process_id::Id,
};
use crate::model::{
    cuda::{CudaCall, CudaStat},
    disk::DiskStat,
    file::FileStat,
    http::HttpStat,
    ledger::{Bit, Ledger, StateSet},
    network::NetworkStat,
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
    stack::{Stack, StackEnd},
    syscall::SyscallStat,
    time::Timestamp,
    window::{CpuStat, Window},
};

/// A closed window of an agent.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct WindowData {
    v: u32,
    pub(in crate::export::journal) section: String,
    agent: String,
    start: Timestamp,
    end: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cpu: Vec<CpuData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    off_cpu: Vec<OffCpuData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    syscalls: Vec<SyscallData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cuda: Vec<CudaData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    files: Vec<FileData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    network: Vec<NetworkData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    disk: Vec<DiskData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    http: Vec<HttpData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ledger: Vec<StretchData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    thread_time: Vec<ThreadTimeData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    interpreters_unread: Vec<UnreadData>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CpuData {
    process: Id,
    stack: u64,
    samples: u64,
    cpu_ns: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct OffCpuData {
    process: Id,
    cause: WaitCause,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    syscall: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    descriptor: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waker_pid: Option<u32>,
    stack: u64,
    blocked_ns: u64,
    run_queue_ns: u64,
    count: u64,
    max_ns: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct SyscallData {
    process: Id,
    number: u32,
    count: u64,
    /// Errno and count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<(u32, u64)>,
    total_ns: u64,
    max_ns: u64,
    latency_log2_ns: Latencies,
}

#[derive(Debug, Serialize, Deserialize)]
struct CudaData {
    process: Id,
    call: CudaCall,
    calls: u64,
    errors: u64,
    bytes: u64,
    total_ns: u64,
    max_ns: u64,
}

/// Time in which the agent's threads were in these states together.
#[derive(Debug, Serialize, Deserialize)]
struct StretchData {
    states: String,
    ns: u64,
}

/// Time of all threads in this state, one beside the other.
#[derive(Debug, Serialize, Deserialize)]
struct ThreadTimeData {
    state: String,
    ns: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct UnreadData {
    process: Id,
    reason: String,
}

impl WindowData {
    pub(in crate::export::journal) fn new(section: &str, window: Window<u64>) -> Self {
        Self {
            v: Kind::Window.version(),
            section: section.to_owned(),
            agent: window.agent.to_string(),
            start: window.start,
            end: window.end,
            cpu: window.cpu.into_iter().map(CpuData::from).collect(),
            off_cpu: window.off_cpu.into_iter().map(OffCpuData::from).collect(),
            syscalls: window.syscalls.into_iter().map(SyscallData::from).collect(),
            cuda: window.cuda.into_iter().map(CudaData::from).collect(),
            files: window.files.into_iter().map(FileData::from).collect(),
            network: window.network.into_iter().map(NetworkData::from).collect(),
            disk: window.disk.into_iter().map(DiskData::from).collect(),
            http: window.http.into_iter().map(HttpData::from).collect(),
            ledger: window.ledger.sets.into_iter().map(StretchData::from).collect(),
            thread_time: window.ledger.threads.into_iter().map(ThreadTimeData::from).collect(),
            interpreters_unread: window.unread.into_iter().map(UnreadData::from).collect(),
        }
    }

    /// The window, with its stacks out of what the section told.
    pub(in crate::export::journal) fn named(self, names: &Names) -> Result<Window, DataError> {
        let numbered = Window {
            agent: self.agent.parse().map_err(|_| DataError::Value("an agent's id"))?,
            start: self.start,
            end: self.end,
            cpu: self.cpu.into_iter().map(CpuStat::from).collect(),
            off_cpu: self.off_cpu.into_iter().map(OffCpuStat::from).collect(),
            syscalls: self.syscalls.into_iter().map(SyscallStat::try_from).collect::<Result<_, _>>()?,
            cuda: self.cuda.into_iter().map(CudaStat::from).collect(),
            files: self.files.into_iter().map(FileStat::from).collect(),
            network: self.network.into_iter().map(NetworkStat::try_from).collect::<Result<_, _>>()?,
            disk: self.disk.into_iter().map(DiskStat::try_from).collect::<Result<_, _>>()?,
            http: self.http.into_iter().map(HttpStat::try_from).collect::<Result<_, _>>()?,
            ledger: ledger(self.ledger, self.thread_time)?,
            unread: self.interpreters_unread.into_iter().map(|u| (u.process.0, u.reason)).collect(),
        };
        if numbered.end < numbered.start {
            return Err(DataError::Value("a window that ends before it begins"));
        }
        let mut dangling = false;
        let named = numbered.map_stacks(|number: u64| {
            let stack = names.stack(number);
            dangling |= stack.is_none();
            stack.unwrap_or_else(|| Arc::new(Stack { frames: Vec::new(), end: StackEnd::Lost }))
        });
        if dangling { Err(DataError::Dangling("a stack")) } else { Ok(named) }
    }
}

/// The ledger, each set once.
fn ledger(sets: Vec<StretchData>, threads: Vec<ThreadTimeData>) -> Result<Ledger, DataError> {
    let no_state = |_| DataError::Value("a state");
    let sets = sets.into_iter().map(|row| Ok((row.states.parse().map_err(no_state)?, row.ns)));
    let threads = threads.into_iter().map(|row| Ok((row.state.parse().map_err(no_state)?, row.ns)));
    let told = Ledger {
        sets: sets.collect::<Result<_, DataError>>()?,
        threads: threads.collect::<Result<_, DataError>>()?,
    };
    let mut ledger = Ledger::default();
    ledger.merge(&told);
    Ok(ledger)
}

impl From<(StateSet, u64)> for StretchData {
    fn from((set, ns): (StateSet, u64)) -> Self {
        Self { states: set.to_string(), ns }
    }
}

impl From<(Bit, u64)> for ThreadTimeData {
    fn from((bit, ns): (Bit, u64)) -> Self {
        Self { state: bit.to_string(), ns }
    }
}

impl From<CpuStat<u64>> for CpuData {
    fn from(CpuStat { process, stack, samples, cpu_ns }: CpuStat<u64>) -> Self {
        Self { process: Id(process), stack, samples, cpu_ns }
    }
}

impl From<CpuData> for CpuStat<u64> {
    fn from(CpuData { process, stack, samples, cpu_ns }: CpuData) -> Self {
        Self { process: process.0, stack, samples, cpu_ns }
    }
}

impl From<OffCpuStat<u64>> for OffCpuData {
    fn from(row: OffCpuStat<u64>) -> Self {
        Self {
            process: Id(row.process),
            cause: row.cause,
            syscall: row.syscall,
            descriptor: row.descriptor,
            waker_pid: row.waker,
            stack: row.stack,
            blocked_ns: row.blocked_ns,
            run_queue_ns: row.run_queue_ns,
            count: row.count,
            max_ns: row.max_ns,
        }
    }
}

impl From<OffCpuData> for OffCpuStat<u64> {
    fn from(row: OffCpuData) -> Self {
        Self {
            process: row.process.0,
            cause: row.cause,
            syscall: row.syscall,
            descriptor: row.descriptor,
            waker: row.waker_pid,
            stack: row.stack,
            blocked_ns: row.blocked_ns,
            run_queue_ns: row.run_queue_ns,
            count: row.count,
            max_ns: row.max_ns,
        }
    }
}

impl From<CudaStat> for CudaData {
    fn from(row: CudaStat) -> Self {
        let CudaStat { process, call, calls, errors, bytes, total_ns, max_ns } = row;
        Self { process: Id(process), call, calls, errors, bytes, total_ns, max_ns }
    }
}

impl From<CudaData> for CudaStat {
    fn from(row: CudaData) -> Self {
        let CudaData { process, call, calls, errors, bytes, total_ns, max_ns } = row;
        Self { process: process.0, call, calls, errors, bytes, total_ns, max_ns }
    }
}

impl From<SyscallStat> for SyscallData {
    fn from(row: SyscallStat) -> Self {
        let SyscallStat { process, number, count, errors, total_ns, max_ns, histogram } = row;
        let latency_log2_ns = latencies::told(&histogram);
        Self { process: Id(process), number, count, errors, total_ns, max_ns, latency_log2_ns }
    }
}

impl TryFrom<SyscallData> for SyscallStat {
    type Error = DataError;

    fn try_from(row: SyscallData) -> Result<Self, DataError> {
        let SyscallData { process, number, count, errors, total_ns, max_ns, latency_log2_ns } = row;
        let histogram = latencies::histogram(latency_log2_ns)?;
        Ok(Self { process: process.0, number, count, errors, total_ns, max_ns, histogram })
    }
}

impl From<(crate::model::id::ProcessId, String)> for UnreadData {
    fn from((process, reason): (crate::model::id::ProcessId, String)) -> Self {
        Self { process: Id(process), reason }
    }
}
