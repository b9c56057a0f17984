//! What the kernel programs know of an agent: whether it lives and what it is watched by.

/// Length of the AGENTS array unless the daemon asks for another: one more than the agents at once, since slot
/// 0 means "no agent".
pub const SLOTS: u32 = 257;

/// Bits of [`Agent::probes`], as `model::probe` has them.
pub mod probe {
    /// On-CPU stack samples.
    pub const CPU: u32 = 1;
    /// Off-CPU time by cause and stack.
    pub const OFF_CPU: u32 = 2;
    /// Syscall counts, errors and latencies.
    pub const SYSCALLS: u32 = 4;
    /// Where every second of the agent went.
    pub const LEDGER: u32 = 8;
    /// Calls of CUDA.
    pub const CUDA: u32 = 16;
    /// What is said to models and tools, as plaintext.
    pub const WIRE: u32 = 32;
    /// Files.
    pub const FILES: u32 = 64;
    /// Connections and traffic by peer.
    pub const NETWORK: u32 = 128;
    /// Block I/O by device.
    pub const DISK: u32 = 256;

    /// No probe: what it says is kept, so that large calls are told as a whole (see [`crate::wire::MESSAGE_HEADS`]).
    pub const KEPT: u32 = 1 << 31;
}

/// An agent, by slot. Written by the daemon, read by every program.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// 1 while the agent is watched: only then do its threads pass on membership at fork.
    pub live: u32,
    /// What it is watched by: bits of [`probe`].
    pub probes: u32,
    /// What it will be watched by once one of its processes executes a program; 0 if nothing is to change then.
    pub at_exec: u32,
    /// Pid of its root process.
    pub root: u32,
    /// Which of the slot's agents this is: what outlives an agent in maps is known by it. Never 0 while it lives.
    pub generation: u64,
}

const _: () = assert!(size_of::<Agent>() == 24);
crate::pod!(Agent);
