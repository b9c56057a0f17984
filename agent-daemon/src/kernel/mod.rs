//! Everything that touches the kernel's BPF machinery; the only importer of aya and agent-common.
//!
//! [`Kernel`] loads the programs once, attaches those that some agent needs, and hands out decoded events
//! and drained counts. It belongs to one thread, the collector's.

mod agents;
mod as_compiled;
mod batch;
mod btf;
mod copies;
mod counts;
mod cuda;
mod decode;
mod detaching;
mod disk;
pub mod error;
pub mod features;
mod files;
mod iterate;
mod layout;
mod ledger;
mod log;
pub mod model_endpoints;
mod network;
mod object;
mod perf;
mod programs;
mod stacks;
mod syscall_class;
pub mod unwind;
mod uprobes;
mod verdicts;
mod waits;
pub mod wire;

pub use counts::{Counts, FilesTold};
pub use decode::{DecodeError, Event, Seeded};
pub use error::KernelError;
pub use files::{FileKey, FileRecord, FileUse, Told};
pub use model_endpoints::ModelEndpoints;
pub use network::ListeningPort;
pub use unwind::UnwindMaps;
pub use uprobes::{Site, UprobeError, UprobeLink, UprobeProgram, Uprobes};
pub use waits::SeenThread;
pub use wire::{WireRing, WireServers};

use std::os::fd::{AsFd, BorrowedFd};

use agent_common::{agent::probe, loss, thread, unwind::NO_DIRECT_MAP};
use aya::{
    Btf, Ebpf,
    maps::{Array, MapData, PerCpuArray, RingBuf},
};

use rustc_hash::FxHashMap;

use crate::{
    config::Config,
    model::{
        control::Start,
        id::{PID_BITS, ProcessId, START_SHIFT, Slot},
        ledger::Verdict,
        observation::RawUserStack,
        probe::{Probe, ProbeSet, ProbeState, ProbeStatus},
        syscall,
    },
};

// The model imports nothing of ours, so what both sides must agree on is written twice.
const _: () = assert!(PID_BITS == thread::PID_BITS && START_SHIFT == thread::START_SHIFT);
const _: () = assert!(Probe::Cpu.bit() == probe::CPU);
const _: () = assert!(Probe::OffCpu.bit() == probe::OFF_CPU);
const _: () = assert!(Probe::Syscalls.bit() == probe::SYSCALLS);
const _: () = assert!(Probe::Ledger.bit() == probe::LEDGER);
const _: () = assert!(Probe::Cuda.bit() == probe::CUDA);
const _: () = assert!(Probe::Wire.bit() == probe::WIRE);
const _: () = assert!(Probe::Files.bit() == probe::FILES);
const _: () = assert!(syscall::BUCKETS == agent_common::syscalls::BUCKETS);

/// Processes that are sought in one run over all threads of the host; `TARGETS` has room for twice as many.
const TARGETS: usize = 8192;

/// How an agent is watched.
#[derive(Clone, Copy, Debug)]
pub struct Watch<'a> {
    /// Pid of its root process.
    pub root: u32,
    /// By what.
    pub probes: ProbeSet,
    /// From when on.
    pub start: Start,
    /// Inodes of pipes and sockets that lead out of it.
    pub outside: &'a [u64],
    /// Whether it is kept what it says: then all of that is told.
    pub keeps: bool,
}

/// The loaded programs and their maps.
pub struct Kernel {
    ebpf: Ebpf,
    events: RingBuf<MapData>,
    programs: programs::Programs,
    counts: counts::Reader,
    log: log::Drain,
    unwind: Option<UnwindMaps>,
    model_endpoints: Option<ModelEndpoints>,
    wire: Option<WireRing>,
    wire_servers: Option<WireServers>,
    files: files::FileRing,
    outside: FxHashMap<Slot, Vec<u64>>,
    /// Agents so far.
    agents: u64,
    sampling_hz: u32,
}

impl Kernel {
    /// Loads every program; attaches none.
    ///
    /// # Errors
    /// The kernel is too old, has no BTF, or refuses a program that nothing can replace.
    pub fn load(config: &Config) -> Result<Self, KernelError> {
        features::require_kernel()?;
        let btf = Btf::from_sys_fs().map_err(|e| KernelError::NoBtf(e.to_string()))?;
        let way = uprobes::Way::of_kernel(&config.kernel);
        let object::Opened { mut ebpf, storage, as_compiled, confidential } = object::open(&btf, config)?;
        let source = programs::Source { btf: &btf, as_compiled: &as_compiled, confidential, way };
        let mut programs = programs::Programs::load(&mut ebpf, &source)?;
        drop(as_compiled);
        programs.note(storage);
        syscall_class::fill(&mut ebpf)?;
        programs.note(late_stacks(&mut ebpf, confidential)?);
        programs.note(descriptors(confidential));
        programs.note(files::paths(confidential));
        let events = RingBuf::try_from(ebpf.take_map("EVENTS").ok_or(KernelError::NoMap("EVENTS"))?)?;
        let found = copies::FoundInCopies::new();
        let unwind = Some(UnwindMaps::take(&mut ebpf, found.clone())?);
        let model_endpoints = Some(ModelEndpoints::take(&mut ebpf)?);
        let wire = Some(WireRing::take(&mut ebpf)?);
        let wire_servers = Some(WireServers::take(&mut ebpf)?);
        let files = files::FileRing::take(&mut ebpf)?;
        let log = log::Drain::new(&mut ebpf, config.kernel.debug_log);
        let sampling_hz = config.sampling.frequency_hz;
        drop(btf);
        give_back_memory();
        let counts = counts::Reader::new(found);
        let outside = FxHashMap::default();
        Ok(Self {
            ebpf,
            events,
            programs,
            counts,
            log,
            unwind,
            model_endpoints,
            wire,
            wire_servers,
            files,
            outside,
            agents: 0,
            sampling_hz,
        })
    }

    /// Attaches what `probes` need beyond life cycle, and detaches the rest. `agents` tells whether there is
    /// any agent: without one, only execs are watched, for the rules. What the host refuses a probe is no
    /// error: see [`Kernel::refused`].
    ///
    /// # Errors
    /// A program that every agent needs could not be attached.
    pub fn enable(&mut self, agents: bool, probes: ProbeSet) -> Result<(), KernelError> {
        self.programs.enable(&mut self.ebpf, agents, probes, self.sampling_hz)
    }

    /// A user stack that an event told of.
    ///
    /// # Errors
    /// The map could not be read.
    pub fn user_stack(&mut self, id: u64) -> Result<RawUserStack, KernelError> {
        self.counts.user_stack(&self.ebpf, id)
    }

    /// What the walker reads, for the one who makes the tables; `None` the second time.
    pub fn take_unwind_maps(&mut self) -> Option<UnwindMaps> {
        self.unwind.take()
    }

    /// The programs of uprobes, for the one who attaches them; `None` the second time.
    pub fn take_uprobes(&mut self) -> Option<Uprobes> {
        self.programs.take_uprobes()
    }

    /// Where models answer, for the one who looks that up; `None` the second time.
    pub fn take_model_endpoints(&mut self) -> Option<ModelEndpoints> {
        self.model_endpoints.take()
    }

    /// What agents say, for the one who reads it; `None` the second time.
    pub fn take_wire(&mut self) -> Option<WireRing> {
        self.wire.take()
    }

    /// The servers that the programs read, for the one who finds them; `None` the second time.
    pub fn take_wire_servers(&mut self) -> Option<WireServers> {
        self.wire_servers.take()
    }

    /// The probes that cannot work here, as far as they have been tried.
    #[must_use]
    pub fn refused(&self) -> ProbeSet {
        self.programs.refused()
    }

    /// How every program and feature stands.
    #[must_use]
    pub fn status(&self) -> Vec<ProbeStatus> {
        self.programs.status()
    }

    /// Looks for tools of the agent in `slot` that are helpers, when it has asked its model.
    ///
    /// # Errors
    /// An iterator could not run.
    pub fn find_helpers(&mut self, slot: Slot) -> Result<(), KernelError> {
        verdicts::find_helpers(&mut self.ebpf, slot)
    }

    /// Has the kernel programs count processes for what they turned out to be.
    ///
    /// # Errors
    /// A map refused the write, or an iterator could not run.
    pub fn tell_verdicts(&mut self, found: &[(ProcessId, Verdict)]) -> Result<(), KernelError> {
        verdicts::tell(&mut self.ebpf, found)
    }

    /// What every thread of every agent does or waits for at this moment.
    ///
    /// # Errors
    /// The iterator could not run.
    pub fn waits(&mut self) -> Result<Vec<SeenThread>, KernelError> {
        iterate::run(&mut self.ebpf, "show_waits").map(|seen| waits::threads(&seen))
    }

    /// Accounts the waits that are still going on, closes the current generation of counts and returns it.
    ///
    /// # Errors
    /// A map could not be read. Counts of other maps of the generation are lost with it.
    pub fn drain(&mut self) -> Result<Counts, KernelError> {
        iterate::run(&mut self.ebpf, "account_waits")?;
        self.counts.drain(&mut self.ebpf, self.sampling_hz)
    }

    /// The next event of the ring, if there is one.
    pub fn next_event(&mut self) -> Option<Result<Event, DecodeError>> {
        self.events.next().map(|record| decode::event(&record))
    }

    /// The next record of files, if there is one.
    pub fn next_file(&mut self) -> Option<Result<FileRecord, DecodeError>> {
        self.files.next()
    }

    /// Writes the programs' debug lines to the log, if they were asked for.
    pub fn flush_log(&mut self) {
        self.log.flush();
    }

    /// The programs' loss counters, by name.
    ///
    /// # Errors
    /// The map could not be read.
    pub fn losses(&self) -> Result<Vec<(&'static str, u64)>, KernelError> {
        let map = self.ebpf.map("LOSSES").ok_or(KernelError::NoMap("LOSSES"))?;
        let map: PerCpuArray<_, u64> = PerCpuArray::try_from(map)?;
        loss::NAMES.iter().map(|(id, name)| Ok((*name, map.get(id, 0)?.iter().sum()))).collect()
    }

    fn map_mut(&mut self, name: &'static str) -> Result<&mut aya::maps::Map, KernelError> {
        self.ebpf.map_mut(name).ok_or(KernelError::NoMap(name))
    }
}

/// Whether stacks of threads that do not run can be walked: the iterator finds the direct map at its first run.
fn late_stacks(ebpf: &mut Ebpf, confidential: bool) -> Result<ProbeStatus, KernelError> {
    iterate::run(ebpf, "seed_threads")?;
    let map = ebpf.map("DIRECT_MAP").ok_or(KernelError::NoMap("DIRECT_MAP"))?;
    let base = Array::<_, u64>::try_from(map)?.get(&0, 0)?;
    let reason = if confidential {
        Some("the kernel is locked down to confidentiality")
    } else {
        (base <= NO_DIRECT_MAP).then_some("where the kernel maps all memory could not be found out")
    };
    Ok(ProbeStatus {
        name: "late_stacks",
        purpose: "stacks of long waits that could not be walked when they began",
        probes: ProbeSet::EMPTY,
        state: if reason.is_some() { ProbeState::Unavailable } else { ProbeState::Ready },
        attached: false,
        reason: reason.map(|r| format!("{r}; such waits have no user stack")),
    })
}

/// Whether the programs can look up what a descriptor is.
fn descriptors(confidential: bool) -> ProbeStatus {
    let reason =
        "the kernel is locked down to confidentiality; the system call alone tells what a wait is for";
    ProbeStatus {
        name: "descriptors",
        purpose: "whether a wait is for a file, a pipe, a socket or a terminal",
        probes: ProbeSet::EMPTY,
        state: if confidential { ProbeState::Unavailable } else { ProbeState::Ready },
        attached: false,
        reason: confidential.then(|| reason.to_owned()),
    }
}

/// Returns freed memory to the system: the kernel's type information takes tens of megabytes while programs are
/// loaded, and the allocator would keep them.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call has no preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Readable when the ring has events.
impl AsFd for Kernel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}
