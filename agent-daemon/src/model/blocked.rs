//! Who waits for whom at this moment: what each thread of the agents does, as the kernel programs show it, and the
//! chains that are made of it.

use rustc_hash::FxHashMap;

use super::{
    id::{AgentId, ProcessId, Slot},
    ledger::{Role, ThreadState},
    off_cpu::Descriptor,
    time::Timestamp,
};

/// What one thread does or waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadWait {
    /// Its process.
    pub process: ProcessId,
    /// Its thread id, in the initial pid namespace.
    pub tid: u32,
    /// Its process's parent, likewise.
    pub parent_pid: u32,
    /// Whose it is.
    pub slot: Slot,
    /// Whose work it does.
    pub role: Role,
    /// What it does; `None` where it has not been seen to leave a CPU yet.
    pub state: Option<ThreadState>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// The system call in progress.
    pub syscall: Option<u32>,
    /// What kind of descriptor that waits on.
    pub descriptor: Option<Descriptor>,
    /// The system call's first argument.
    pub argument: u64,
    /// The thread that last ended one of its waits on a futex.
    pub futex_waker: Option<u32>,
}

/// Every thread of every agent at one moment.
#[derive(Clone, Debug)]
pub struct Waits {
    /// When.
    pub at: Timestamp,
    /// The agent that was asked for.
    pub slot: Slot,
    /// Its root process.
    pub root: ProcessId,
    /// The threads.
    pub threads: Vec<ThreadWait>,
    /// Who the agents are.
    pub agents: FxHashMap<Slot, AgentId>,
}

/// Why it cannot be told what an agent waits for.
#[derive(Debug, thiserror::Error)]
pub enum WaitsError {
    /// No live agent has this id.
    #[error("agent {0} is not watched now: what it waits for is known only while it is")]
    NotWatched(AgentId),
    /// It is not watched by a probe that tells.
    #[error("agent {0} is watched by neither `off_cpu` nor `ledger`, which tell what its threads wait for")]
    NoProbe(AgentId),
    /// The kernel side could not tell.
    #[error("{0}")]
    Failed(String),
    /// The daemon is stopping.
    #[error("agentperf is shutting down")]
    ShuttingDown,
}

/// A thread that waits, who that is for, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The threads: the first is the agent's own, each waits for the next one.
    pub links: Vec<Link>,
    /// Why the last one is the last.
    pub end: ChainEnd,
}

/// One thread of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it does.
    pub thread: ThreadWait,
    /// The thread's name.
    pub comm: String,
    /// What it waits for; the one that leads to the next link first.
    pub waits_for: Vec<Target>,
    /// How it is known that it waits for the next link; `None` at the end.
    pub by: Option<Evidence>,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The descriptor, where it is one.
    pub descriptor: Option<u32>,
    /// What it is.
    pub kind: TargetKind,
    /// Its name: a path, addresses, an inode, a pid.
    pub name: Option<String>,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A pipe or FIFO.
    Pipe,
    /// A unix socket.
    UnixSocket,
    /// An inet socket.
    InetSocket,
    /// A file or directory.
    File,
    /// A terminal.
    Terminal,
    /// Another device.
    Device,
    /// A child process.
    Child,
    /// A lock or condition in memory.
    Futex,
    /// A timer.
    Timer,
    /// An event counter, signals, notifications.
    Event,
    /// A set of descriptors.
    Epoll,
    /// Anything else.
    Other,
}

/// How it is known that one thread waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It waits for a child, which this is.
    Child,
    /// It waits on a pidfd of this process.
    Pidfd,
    /// This process has the other end of a pipe.
    Pipe,
    /// This process has the other end of a unix socket.
    UnixSocket,
    /// This process has the other end of a connection on this host.
    Connection,
    /// The lock itself names this thread as its owner.
    LockOwner,
    /// A guess: this thread ended its last wait on a futex.
    LastWaker,
    /// A guess: no other thread of the process does anything.
    OnlyActive,
}

/// Why a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// The last thread runs.
    Running,
    /// It could run, but no CPU is free.
    RunQueue,
    /// It waits for a file.
    Disk,
    /// It waits for a page.
    PageFault,
    /// It waits for a GPU driver.
    Gpu,
    /// It waits for a time to come.
    Timer,
    /// It waits for a person at a terminal.
    Terminal,
    /// It waits for a socket whose other end is on another host, or is not found on this one.
    Remote,
    /// It waits on what leads out of the agent, such as its standard input, or on a process that is not watched: the other
    /// end of a pipe or of a connection on this host.
    Outside,
    /// It waits for input of those that wait for it: nobody is to blame.
    Idle,
    /// It waits on a futex or on a pipe of its own, for a thread that could not be told.
    Parked,
    /// It waits for a lock of a thread that waits for it.
    Deadlock,
    /// It could not be told.
    Unknown,
    /// There are more links than are followed.
    TooLong,
}

/// Who an agent waits for.
#[derive(Clone, Debug)]
pub struct Blocked {
    /// When.
    pub at: Timestamp,
    /// Whether no thread of the agent's own runs or could run.
    pub blocked: bool,
    /// Threads of the agent's own.
    pub own_threads: usize,
    /// The chains, the one that matters most first.
    pub chains: Vec<Chain>,
    /// Whether all descriptors were looked at that had to be.
    pub complete: bool,
}
