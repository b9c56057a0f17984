//! Off-CPU time.

/// Waits that are summed together.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OffCpuKey {
    /// The process.
    pub process: u64,
    /// User stack id, 0 if none.
    pub user_stack: u64,
    /// Kernel stack id, 0 if none.
    pub kernel_stack: u64,
    /// The agent's slot.
    pub agent: u32,
    /// See [`crate::thread::state`].
    pub state: u32,
    /// Syscall in progress, or [`crate::thread::NO_SYSCALL`].
    pub syscall: u32,
    /// See [`crate::thread::descriptor`].
    pub descriptor: u32,
    /// Tgid of the process that ended the wait, 0 if none did.
    pub waker: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// Their sums, of one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct OffCpuValue {
    /// Time blocked, ns.
    pub blocked: u64,
    /// Time runnable but not running, ns.
    pub run_queue: u64,
    /// Waits that ended.
    pub count: u64,
    /// The longest wait, blocked and run queue together, ns.
    pub max: u64,
}

impl OffCpuValue {
    /// Nothing counted.
    pub const ZERO: Self = Self { blocked: 0, run_queue: 0, count: 0, max: 0 };
}

const _: () = assert!(size_of::<OffCpuKey>() == 48);
const _: () = assert!(size_of::<OffCpuValue>() == 32);
crate::pod!(OffCpuKey, OffCpuValue);
