//! Closes a generation of the counting maps and reads it.

use agent_common::{
    cpu::CpuKey,
    off_cpu::{OffCpuKey, OffCpuValue},
    syscalls::{ErrorKey, SyscallKey, SyscallValue},
    thread::{NO_SYSCALL, descriptor, state},
};
use aya::{
    Ebpf, Pod,
    maps::{Array, Map, MapData},
};
use rustc_hash::FxHashMap;

use super::{
    batch,
    copies::FoundInCopies,
    cuda,
    disk::Devices,
    error::KernelError,
    files::{self, FileKey, FileUse},
    ledger::LedgerReader,
    network,
    stacks::StackReader,
};
use crate::model::{
    cuda::CudaStat,
    disk::DiskStat,
    file::{Checkpoint, FileStat},
    id::{ProcessId, Slot},
    ledger::{Ledger, MarkedLedger},
    network::NetworkStat,
    observation::{Counted, RawCpu, RawOffCpu, RawStack, RawUserStack},
    off_cpu::{Descriptor, WaitCause},
    syscall::{BUCKETS, Histogram, SyscallStat},
    time::Timestamp,
};

/// What the programs counted in one generation.
#[derive(Debug, Default)]
pub struct Counts {
    /// Syscalls by process and number.
    pub syscalls: Vec<(Slot, SyscallStat)>,
    /// Off-CPU time.
    pub off_cpu: Vec<RawOffCpu>,
    /// CPU samples.
    pub cpu: Vec<RawCpu>,
    /// Calls of CUDA.
    pub cuda: Vec<(Slot, CudaStat)>,
    /// Files by process.
    pub files: Vec<(FileKey, FileUse)>,
    /// The generation.
    pub epoch: u32,
    /// Traffic; peers have no names yet.
    pub network: Vec<(Slot, NetworkStat)>,
    /// Block I/O.
    pub disk: Vec<(Slot, DiskStat)>,
    /// Where the time of each agent went, before calls to models are entered.
    pub ledgers: Vec<(Slot, MarkedLedger)>,
    /// Stacks that were copied, and of whose copies nothing was made in time: they end where their walks did.
    pub unused_copies: u64,
}

/// Files of a window by path, and checkpoints that came to their end.
pub type FilesTold = (Vec<(Slot, FileStat)>, Vec<(Slot, Checkpoint)>);

impl Counts {
    /// The counts of the window of this time, with its ledgers and the files that it told of, closed on behalf of `orders`.
    #[must_use]
    pub fn of_window(
        self,
        (start, end): (Timestamp, Timestamp),
        (ledgers, (files, checkpoints)): (Vec<(Slot, Ledger)>, FilesTold),
        orders: Vec<u64>,
    ) -> Counted {
        let Self { syscalls, off_cpu, cpu, cuda, network, disk, .. } = self;
        Counted {
            start,
            end,
            syscalls,
            off_cpu,
            cpu,
            cuda,
            files,
            checkpoints,
            network,
            disk,
            http: Vec::new(),
            ledgers,
            orders,
        }
    }

    /// Every stack, and whose it is.
    pub fn stacks(&self) -> impl Iterator<Item = (ProcessId, &RawStack)> + Clone {
        let off_cpu = self.off_cpu.iter().map(|row| (row.process, &row.stack));
        off_cpu.chain(self.cpu.iter().map(|row| (row.process, &row.stack)))
    }

    /// The user part of every stack, and whose it is.
    pub fn user_stacks_mut(&mut self) -> impl Iterator<Item = (ProcessId, &mut RawUserStack)> {
        let off_cpu = self.off_cpu.iter_mut().map(|row| (row.process, &mut row.stack.user));
        off_cpu.chain(self.cpu.iter_mut().map(|row| (row.process, &mut row.stack.user)))
    }
}

/// Reads generations.
pub(super) struct Reader {
    epoch: u32,
    stacks: StackReader,
    pub(super) ledgers: LedgerReader,
    devices: Devices,
}

impl Reader {
    pub(super) fn new(copies: FoundInCopies) -> Self {
        let (ledgers, devices) = Default::default();
        Self { epoch: 0, stacks: StackReader::new(copies), ledgers, devices }
    }

    /// A user stack by its id, as it was walked.
    pub(super) fn user_stack(&mut self, ebpf: &Ebpf, id: u64) -> Result<RawUserStack, KernelError> {
        self.stacks.walked(ebpf, id)
    }

    /// Flips the epoch, waits until no program counts in the old generation, and takes it out.
    pub(super) fn drain(&mut self, ebpf: &mut Ebpf, hz: u32) -> Result<Counts, KernelError> {
        let old = self.epoch;
        self.epoch = old.wrapping_add(1);
        let map = ebpf.map_mut("EPOCH").ok_or(KernelError::NoMap("EPOCH"))?;
        Array::<_, u32>::try_from(map)?.set(0, self.epoch, 0)?;
        wait_for_programs();
        let [calls, errors, waits, samples, sets, of_cuda, of_files] = if old & 1 == 0 {
            [
                "SYSCALLS_EVEN",
                "ERRORS_EVEN",
                "OFF_CPU_EVEN",
                "CPU_EVEN",
                "LEDGER_EVEN",
                "CUDA_EVEN",
                "FILES_EVEN",
            ]
        } else {
            ["SYSCALLS_ODD", "ERRORS_ODD", "OFF_CPU_ODD", "CPU_ODD", "LEDGER_ODD", "CUDA_ODD", "FILES_ODD"]
        };
        let [traffic, failures, requests] = if old & 1 == 0 {
            ["NETWORK_EVEN", "FAILURES_EVEN", "DISK_EVEN"]
        } else {
            ["NETWORK_ODD", "FAILURES_ODD", "DISK_ODD"]
        };
        // First: what it tells of goes on until it is read.
        let ledgers = self.ledgers.drain(ebpf, sets)?;
        Ok(Counts {
            syscalls: syscalls(ebpf, calls, errors)?,
            off_cpu: self.off_cpu(ebpf, waits)?,
            cpu: self.cpu(ebpf, samples, 1_000_000_000 / u64::from(hz))?,
            cuda: cuda::calls(ebpf, of_cuda)?,
            files: files::files(ebpf, of_files)?,
            epoch: old,
            network: network::traffic(ebpf, traffic, failures)?,
            disk: self.devices.requests(ebpf, requests)?,
            ledgers,
            unused_copies: self.stacks.take_unused_copies(),
        })
    }

    fn off_cpu(&mut self, ebpf: &Ebpf, map: &'static str) -> Result<Vec<RawOffCpu>, KernelError> {
        let mut rows = Vec::new();
        drain(ebpf, map, |key: OffCpuKey, values: &[OffCpuValue]| rows.push((key, sum_waits(values))))?;
        let stacks = &mut self.stacks;
        rows.into_iter().map(|(key, sum)| Ok(off_cpu_row(&key, &sum, stacks.pair(ebpf, &key)?))).collect()
    }

    fn cpu(&mut self, ebpf: &Ebpf, map: &'static str, period: u64) -> Result<Vec<RawCpu>, KernelError> {
        let mut rows = Vec::new();
        drain(ebpf, map, |key: CpuKey, values: &[u64]| rows.push((key, values.iter().sum::<u64>())))?;
        let mut counted = Vec::with_capacity(rows.len());
        for (key, samples) in rows {
            let stack = RawStack {
                kernel: self.stacks.kernel(ebpf, key.kernel_stack)?,
                user: self.stacks.user(ebpf, key.user_stack)?,
            };
            let (slot, process) = (Slot(key.agent), ProcessId(key.process));
            counted.push(RawCpu { slot, process, stack, samples, cpu_ns: samples * period });
        }
        Ok(counted)
    }
}

impl StackReader {
    fn pair(&mut self, ebpf: &Ebpf, key: &OffCpuKey) -> Result<RawStack, KernelError> {
        Ok(RawStack { kernel: self.kernel(ebpf, key.kernel_stack)?, user: self.user(ebpf, key.user_stack)? })
    }
}

/// Returns after every program that may have read the old epoch has ended: they run under RCU, and
/// membarrier's global command is a grace period.
fn wait_for_programs() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_long = 1;
    // SAFETY: no pointers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        // Not offered with nohz_full. Programs run for microseconds; this is three orders more.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Takes every entry out of the map `name`.
pub(super) fn drain<K: Pod, V: Pod>(
    ebpf: &Ebpf,
    name: &'static str,
    each: impl FnMut(K, &[V]),
) -> Result<(), KernelError> {
    batch::drain(data(ebpf, name)?, each).map_err(|error| KernelError::Io { call: "draining a map", error })
}

/// Takes every entry out of the map `name`, which has one value for all CPUs.
pub(super) fn drain_whole<K: Pod, V: Pod>(
    ebpf: &Ebpf,
    name: &'static str,
    each: impl FnMut(K, V),
) -> Result<(), KernelError> {
    let Some(Map::HashMap(data)) = ebpf.map(name) else { return Err(KernelError::NoMap(name)) };
    batch::drain_whole(data, each).map_err(|error| KernelError::Io { call: "draining a map", error })
}

fn data<'a>(ebpf: &'a Ebpf, name: &'static str) -> Result<&'a MapData, KernelError> {
    match ebpf.map(name) {
        Some(Map::PerCpuHashMap(data)) => Ok(data),
        _ => Err(KernelError::NoMap(name)),
    }
}

fn syscalls(
    ebpf: &Ebpf,
    calls: &'static str,
    errors: &'static str,
) -> Result<Vec<(Slot, SyscallStat)>, KernelError> {
    let mut by_call: FxHashMap<SyscallKey, Vec<(u32, u64)>> = FxHashMap::default();
    drain(ebpf, errors, |key: ErrorKey, values: &[u64]| {
        let call = SyscallKey { process: key.process, agent: key.agent, number: key.number };
        let errno = u32::try_from(key.errno).unwrap_or(u32::MAX);
        by_call.entry(call).or_default().push((errno, values.iter().sum()));
    })?;
    let mut rows = Vec::new();
    drain(ebpf, calls, |key: SyscallKey, values: &[SyscallValue]| {
        let errors = by_call.remove(&key).unwrap_or_default();
        rows.push((Slot(key.agent), syscall_row(&key, values, errors)));
    })?;
    Ok(rows)
}

fn syscall_row(key: &SyscallKey, values: &[SyscallValue], errors: Vec<(u32, u64)>) -> SyscallStat {
    let mut histogram = [0u64; BUCKETS];
    for value in values {
        for (sum, n) in histogram.iter_mut().zip(value.histogram) {
            *sum += u64::from(n);
        }
    }
    SyscallStat {
        process: ProcessId(key.process),
        number: key.number,
        count: values.iter().map(|v| v.count).sum(),
        errors,
        total_ns: values.iter().map(|v| v.total).sum(),
        max_ns: values.iter().map(|v| v.max).max().unwrap_or(0),
        histogram: Histogram(histogram),
    }
}

fn sum_waits(values: &[OffCpuValue]) -> OffCpuValue {
    values.iter().fold(OffCpuValue::ZERO, |a, b| OffCpuValue {
        blocked: a.blocked + b.blocked,
        run_queue: a.run_queue + b.run_queue,
        count: a.count + b.count,
        max: a.max.max(b.max),
    })
}

fn off_cpu_row(key: &OffCpuKey, sum: &OffCpuValue, stack: RawStack) -> RawOffCpu {
    RawOffCpu {
        slot: Slot(key.agent),
        process: ProcessId(key.process),
        cause: cause(key.state),
        syscall: (key.syscall != NO_SYSCALL).then_some(key.syscall),
        descriptor: descriptor_kind(key.descriptor),
        waker: (key.waker != 0).then_some(key.waker),
        stack,
        blocked_ns: sum.blocked,
        run_queue_ns: sum.run_queue,
        count: sum.count,
        max_ns: sum.max,
    }
}

fn cause(state: u32) -> WaitCause {
    match state {
        state::RUN_QUEUE => WaitCause::Preempted,
        state::PAGE_FAULT => WaitCause::PageFault,
        state::DISK => WaitCause::Disk,
        state::GPU => WaitCause::Gpu,
        state::CHILD => WaitCause::Child,
        state::IPC => WaitCause::Ipc,
        state::NETWORK => WaitCause::Network,
        state::LOCK => WaitCause::Lock,
        state::POLL => WaitCause::Poll,
        state::TIMER => WaitCause::Timer,
        state::TERMINAL => WaitCause::Terminal,
        state::FUTEX => WaitCause::Futex,
        _ => WaitCause::Other,
    }
}

pub(super) fn descriptor_kind(kind: u32) -> Option<Descriptor> {
    match kind {
        descriptor::PIPE => Some(Descriptor::Pipe),
        descriptor::UNIX_SOCKET => Some(Descriptor::UnixSocket),
        descriptor::INET_SOCKET => Some(Descriptor::InetSocket),
        descriptor::FILE => Some(Descriptor::File),
        descriptor::TERMINAL => Some(Descriptor::Terminal),
        descriptor::DEVICE => Some(Descriptor::Device),
        descriptor::ANONYMOUS => Some(Descriptor::Anonymous),
        _ => None,
    }
}
