//! Facts from the kernel and /proc, as the collectors hand them to the aggregator: decoded, redacted, not
//! yet named or attributed.

use std::sync::Arc;

use super::{
    account::Account,
    cuda::CudaStat,
    disk::DiskStat,
    file::{Checkpoint, FileStat},
    http::HttpStat,
    id::{ProcessId, Slot},
    ledger::Ledger,
    network::NetworkStat,
    off_cpu::{Descriptor, WaitCause},
    process::{Exit, Resources},
    signal::Signal,
    stack::{Frame, StackEnd},
    syscall::SyscallStat,
    time::Timestamp,
    wire::WireObserved,
};

/// One fact.
#[derive(Debug)]
pub enum Observation {
    /// A process of an agent came into sight: forked, or found when the agent was attached.
    ProcessStarted {
        /// Whose agent.
        slot: Slot,
        /// The process.
        process: ProcessId,
        /// Its parent, where that is known.
        parent: Option<ProcessId>,
        /// Its parent's pid.
        parent_pid: u32,
        /// The kernel's name for it.
        comm: String,
        /// Creation time.
        started: Timestamp,
        /// CPU time that all its threads used before it came into sight, ns; 0 where it was forked.
        cpu_before_ns: u64,
        /// Largest resident set so far, bytes; 0 where it was forked.
        peak_rss_bytes: u64,
    },
    /// A process of an agent executed a program.
    ProcessExecuted {
        /// The process.
        process: ProcessId,
        /// When; the process's creation where it was found running.
        at: Timestamp,
        /// The program's file as the kernel knows it, else the path given to exec.
        executable: String,
        /// The kernel's name for it.
        comm: String,
        /// The command line, sanitised.
        args: Vec<String>,
        /// Whether a runtime made it to do a part of its parent's work.
        is_worker: bool,
    },
    /// The last thread of a process of an agent exited.
    ProcessExited {
        /// The process.
        process: ProcessId,
        /// When.
        at: Timestamp,
        /// How.
        exit: Exit,
        /// What all its threads used.
        account: Account,
        /// Largest resident set, bytes.
        peak_rss_bytes: u64,
        /// Whether the kernel killed it because memory ran out.
        out_of_memory: bool,
    },
    /// A signal was sent to a process of an agent, or by one.
    Signalled(Box<Signal>),
    /// A thread of a process was told after that process's exit: what all its threads used is this.
    ProcessAccounted {
        /// The process.
        process: ProcessId,
        /// What all its threads used.
        account: Account,
        /// Largest resident set, bytes.
        peak_rss_bytes: u64,
    },
    /// A process of an agent used this much so far.
    ProcessUsage {
        /// The process.
        process: ProcessId,
        /// CPU time of all its threads, ns.
        cpu_ns: u64,
        /// Largest resident set, bytes.
        peak_rss_bytes: u64,
        /// What it has now, where that was read.
        resources: Option<Resources>,
    },
    /// A process of an agent is gone, and its exit was not seen.
    ProcessVanished {
        /// The process.
        process: ProcessId,
        /// When that was noticed.
        at: Timestamp,
    },
    /// A process outside every agent executed a program: the moment to match rules.
    ForeignExec {
        /// Its pid.
        pid: u32,
    },
    /// The mappings of a process, read while it lived.
    Mapped {
        /// The process.
        process: ProcessId,
        /// Programs that it had executed since it was watched (modulo 2^16).
        execs: u16,
        /// Its executable mappings, by address.
        mappings: Vec<Mapping>,
    },
    /// Something that a process of an agent said, or was told.
    Wire(Box<WireObserved>),
    /// A window closed: what the kernel counted in it.
    Counted(Counted),
}

/// One executable mapping of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after.
    pub end: u64,
    /// Offset in the file of the first address.
    pub offset: u64,
    /// Device and inode of the file; 0, 0 where there is none.
    pub device: u64,
    /// Inode of the file.
    pub inode: u64,
    /// Path in the process's own mount namespace, or a name in brackets.
    pub path: String,
}

/// The counts of one window, of all agents.
#[derive(Debug)]
pub struct Counted {
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
    /// Syscalls.
    pub syscalls: Vec<(Slot, SyscallStat)>,
    /// Off-CPU time.
    pub off_cpu: Vec<RawOffCpu>,
    /// CPU samples.
    pub cpu: Vec<RawCpu>,
    /// Calls of CUDA.
    pub cuda: Vec<(Slot, CudaStat)>,
    /// Files.
    pub files: Vec<(Slot, FileStat)>,
    /// Checkpoints that were saved or loaded.
    pub checkpoints: Vec<(Slot, Checkpoint)>,
    /// Traffic.
    pub network: Vec<(Slot, NetworkStat)>,
    /// Block I/O.
    pub disk: Vec<(Slot, DiskStat)>,
    /// Exchanges over HTTP, which the aggregator adds.
    pub http: Vec<(Slot, HttpStat)>,
    /// Where the time of each agent went.
    pub ledgers: Vec<(Slot, Ledger)>,
    /// The orders that closed the window early, by token.
    pub orders: Vec<u64>,
}

/// A stack as addresses, innermost first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawStack {
    /// The kernel's part.
    pub kernel: Addresses,
    /// The user part.
    pub user: RawUserStack,
}

impl RawStack {
    /// Whether the kernel dropped a part of it before it was read.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.kernel, Addresses::Lost) || self.user.end == StackEnd::Lost
    }
}

/// The kernel's part of a raw stack. Cheap to clone: equal stacks share one allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Addresses {
    /// There was no such stack.
    #[default]
    Absent,
    /// The kernel could not keep it until it was read.
    Lost,
    /// The addresses.
    Known(Arc<[u64]>),
}

/// The user part of a raw stack. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RawUserStack {
    /// Native frames.
    pub addresses: Arc<[u64]>,
    /// Whose the interpreted frames are.
    pub interpreter: Interpreter,
    /// Frames of an interpreter, which stand between the native ones.
    pub interpreted: Arc<[InterpretedFrame]>,
    /// How the walk ended.
    pub end: StackEnd,
    /// Programs that the process had executed since it was watched (modulo 2^16): which of its images this is of.
    pub execs: u16,
}

impl RawUserStack {
    /// No stack, for the reason that `end` tells.
    #[must_use]
    pub fn without(end: StackEnd) -> Self {
        let (addresses, interpreted) = (Arc::default(), Arc::default());
        Self { addresses, interpreter: Interpreter::None, interpreted, end, execs: 0 }
    }
}

/// A runtime that keeps frames of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interpreter {
    /// None.
    #[default]
    None,
    /// CPython: its frames replace those of its evaluation loop.
    Python,
    /// V8: each of its frames is also a native one.
    V8,
}

/// A frame of an interpreter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterpretedFrame {
    /// CPython: address of the code object. V8: of the `SharedFunctionInfo`.
    pub function: u64,
    /// CPython: where in the code (low 48 bits), and the frame's owner (high 16). V8: the index of its native
    /// frame.
    pub position: u64,
    /// Its name, once it was read from the process.
    pub frame: Option<Arc<Frame>>,
}

/// Off-CPU time of one process with one cause and stack, not yet named.
#[derive(Debug)]
pub struct RawOffCpu {
    /// Whose agent.
    pub slot: Slot,
    /// Who waited.
    pub process: ProcessId,
    /// What for.
    pub cause: WaitCause,
    /// Syscall in progress.
    pub syscall: Option<u32>,
    /// Kind of descriptor waited on.
    pub descriptor: Option<Descriptor>,
    /// Pid of the process that ended the wait.
    pub waker: Option<u32>,
    /// Where.
    pub stack: RawStack,
    /// Time blocked, ns.
    pub blocked_ns: u64,
    /// Run-queue delay, ns.
    pub run_queue_ns: u64,
    /// Waits that ended.
    pub count: u64,
    /// The longest, ns.
    pub max_ns: u64,
}

/// CPU samples of one process with one stack, not yet named.
#[derive(Debug)]
pub struct RawCpu {
    /// Whose agent.
    pub slot: Slot,
    /// Who ran.
    pub process: ProcessId,
    /// Where.
    pub stack: RawStack,
    /// Samples.
    pub samples: u64,
    /// CPU time they stand for, ns.
    pub cpu_ns: u64,
}
