//! Events: what happens to the processes of agents, and the execs of everybody else.
//!
//! Each event begins with its kind (see [`kind`]); the ring carries them in the order of the CPU that
//! wrote them, so two events of one process are in order, those of two processes need not be.

/// Kinds of events.
pub mod kind {
    /// [`super::Fork`]
    pub const FORK: u32 = 1;
    /// [`super::Exec`]
    pub const EXEC: u32 = 2;
    /// [`super::Exit`]
    pub const EXIT: u32 = 3;
    /// [`super::ThreadExit`]
    pub const THREAD_EXIT: u32 = 4;
    /// [`super::ForeignExec`]
    pub const FOREIGN_EXEC: u32 = 5;
    /// [`super::NewStack`]
    pub const NEW_STACK: u32 = 6;
    /// [`super::ModelRequest`]
    pub const MODEL_REQUEST: u32 = 7;
    /// [`super::LibraryLoaded`]
    pub const LIBRARY_LOADED: u32 = 8;
    /// [`crate::network::NameAnswer`]
    pub const NAME_ANSWER: u32 = 12;
    /// [`super::Signal`]
    pub const SIGNAL: u32 = 13;
}

/// Who sent a signal.
pub mod origin {
    /// A process.
    pub const PROCESS: u32 = 1;
    /// The kernel.
    pub const KERNEL: u32 = 2;
    /// A timer or another interrupt.
    pub const UNKNOWN: u32 = 3;
}

/// What becomes of a signal.
pub mod outcome {
    /// The host does not let the programs look.
    pub const UNKNOWN: u32 = 0;
    /// It ends the process.
    pub const ENDS: u32 = 1;
    /// A handler runs.
    pub const HANDLED: u32 = 2;
    /// Nothing.
    pub const IGNORED: u32 = 3;
    /// The process stops.
    pub const STOPS: u32 = 4;
    /// The process goes on.
    pub const CONTINUES: u32 = 5;
}

/// Bytes kept of an executable's path.
pub const PATH_BYTES: usize = 256;
/// Bytes kept of a command line.
pub const ARGS_BYTES: usize = 1024;

/// A process of an agent forked another.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Fork {
    /// [`kind::FORK`]
    pub kind: u32,
    /// The agent's slot.
    pub agent: u32,
    /// When, ns since boot (monotonic).
    pub at: u64,
    /// The new process.
    pub process: u64,
    /// The process that forked.
    pub parent: u64,
    /// The parent's tgid (with CLONE_PARENT not the forking process's).
    pub parent_pid: u32,
    /// Explicit padding.
    pub pad: u32,
    /// The new process's name.
    pub comm: [u8; 16],
}

/// A process of an agent executed a program.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Exec {
    /// [`kind::EXEC`]
    pub kind: u32,
    /// The agent's slot.
    pub agent: u32,
    /// When, ns since boot (monotonic).
    pub at: u64,
    /// The process.
    pub process: u64,
    /// The process's new name.
    pub comm: [u8; 16],
    /// Bytes of `path` in use.
    pub path_length: u32,
    /// Bytes of `args` in use.
    pub args_length: u32,
    /// Length of the whole command line, which may be more than was kept.
    pub args_total: u64,
    /// Path of the file that was mapped (the interpreter's, for scripts), as given to the kernel.
    pub path: [u8; PATH_BYTES],
    /// Command line, NUL-separated.
    pub args: [u8; ARGS_BYTES],
}

/// What a thread used, or several together, as the kernel accounts it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    /// CPU time, ns.
    pub cpu: u64,
    /// What clock ticks found in user mode, ns: how `cpu` divides, no more.
    pub user: u64,
    /// What clock ticks found in the kernel, ns.
    pub system: u64,
    /// Bytes that calls like read returned, from whatever they read. This and the others are 0 on a kernel that does
    /// not account I/O.
    pub read_chars: u64,
    /// Bytes that calls like write took.
    pub written_chars: u64,
    /// Bytes that were fetched from storage.
    pub read_bytes: u64,
    /// Bytes that were sent to storage, or will be.
    pub written_bytes: u64,
}

/// A process's last thread exited.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// [`kind::EXIT`]
    pub kind: u32,
    /// The agent's slot.
    pub agent: u32,
    /// When, ns since boot (monotonic).
    pub at: u64,
    /// The process.
    pub process: u64,
    /// What this last thread used.
    pub account: Account,
    /// Peak resident set, bytes.
    pub peak_rss: u64,
    /// Wait status.
    pub status: u32,
    /// 1 where the kernel had chosen the process to die because memory ran out.
    pub out_of_memory: u32,
}

/// A signal was sent to a process of an agent, or by one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// [`kind::SIGNAL`]
    pub kind: u32,
    /// Its number.
    pub signal: u32,
    /// When, ns since boot (monotonic).
    pub at: u64,
    /// The process that it was sent to.
    pub process: u64,
    /// The process that sent it; 0 where none did.
    pub sender: u64,
    /// Who sent it: of [`origin`].
    pub origin: u32,
    /// What becomes of it: of [`outcome`].
    pub outcome: u32,
    /// The name of the process that it was sent to.
    pub comm: [u8; 16],
    /// The name of the process that sent it.
    pub sender_comm: [u8; 16],
}

/// Another thread of a process exited.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ThreadExit {
    /// [`kind::THREAD_EXIT`]
    pub kind: u32,
    /// The agent's slot.
    pub agent: u32,
    /// The process.
    pub process: u64,
    /// What the thread used.
    pub account: Account,
}

/// A process outside every agent executed a program.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ForeignExec {
    /// [`kind::FOREIGN_EXEC`]
    pub kind: u32,
    /// Its tgid.
    pub pid: u32,
}

/// A user stack was stored that something must be read for while its process lives: names, or mappings.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NewStack {
    /// [`kind::NEW_STACK`]
    pub kind: u32,
    /// Explicit padding.
    pub pad: u32,
    /// Whose.
    pub process: u64,
    /// Its id.
    pub stack: u64,
}

/// An agent sent a request to its model: what waits for input now is no tool. Of tools, that one has asked by a connection.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ModelRequest {
    /// [`kind::MODEL_REQUEST`]
    pub kind: u32,
    /// The agent's slot.
    pub agent: u32,
    /// The process.
    pub process: u64,
    /// When (ns, monotonic).
    pub at: u64,
    /// Whose thread it was: see [`crate::ledger::role`].
    pub role: u32,
    /// How long connecting took, TCP's handshake and that of TLS, if it is the first on its connection and that was seen,
    /// microseconds; else 0.
    pub connect_us: u32,
}

/// A process of an agent loaded a library, or let go of one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LibraryLoaded {
    /// [`kind::LIBRARY_LOADED`]
    pub kind: u32,
    /// Explicit padding.
    pub pad: u32,
    /// Which process.
    pub process: u64,
}

/// A process that the seeding iterator found and took into an agent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Seeded {
    /// The process.
    pub process: u64,
    /// Start of the process, ns since boot (boot clock).
    pub start: u64,
    /// What threads used that had exited before.
    pub dead: Account,
    /// Parent's tgid.
    pub parent_pid: u32,
    /// The agent's slot.
    pub agent: u32,
    /// The process's name.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<Account>() == 56);
const _: () = assert!(size_of::<Fork>() == 56);
const _: () = assert!(size_of::<Exec>() == 56 + PATH_BYTES + ARGS_BYTES);
const _: () = assert!(size_of::<Exit>() == 96);
const _: () = assert!(size_of::<Signal>() == 72);
const _: () = assert!(size_of::<ThreadExit>() == 72);
const _: () = assert!(size_of::<ForeignExec>() == 8);
const _: () = assert!(size_of::<NewStack>() == 24);
const _: () = assert!(size_of::<LibraryLoaded>() == 16);
const _: () = assert!(size_of::<ModelRequest>() == 32);
const _: () = assert!(size_of::<Seeded>() == 96);
crate::pod!(
    Account,
    Fork,
    Exec,
    Exit,
    Signal,
    ThreadExit,
    ForeignExec,
    NewStack,
    ModelRequest,
    LibraryLoaded,
    Seeded,
);
