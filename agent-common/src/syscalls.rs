//! Syscall statistics.

/// Buckets of the latency histogram: bucket `i` counts `[2^i, 2^(i+1))` ns, the last everything above.
pub const BUCKETS: usize = 36;

/// Whose statistics.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SyscallKey {
    /// The process.
    pub process: u64,
    /// The agent's slot.
    pub agent: u32,
    /// The syscall's number.
    pub number: u32,
}

/// The statistics, of one CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SyscallValue {
    /// Calls that returned.
    pub count: u64,
    /// Time inside, ns.
    pub total: u64,
    /// The longest, ns.
    pub max: u64,
    /// Latencies by log2 of ns.
    pub histogram: [u32; BUCKETS],
}

impl SyscallValue {
    /// Nothing counted.
    pub const ZERO: Self = Self { count: 0, total: 0, max: 0, histogram: [0; BUCKETS] };
}

/// Whose errors; the value is a count.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorKey {
    /// The process.
    pub process: u64,
    /// The agent's slot.
    pub agent: u32,
    /// The syscall's number.
    pub number: u32,
    /// The errno, positive.
    pub errno: u64,
}

const _: () = assert!(size_of::<SyscallKey>() == 16);
const _: () = assert!(size_of::<SyscallValue>() == 24 + 4 * BUCKETS);
const _: () = assert!(size_of::<ErrorKey>() == 24);
crate::pod!(SyscallKey, SyscallValue, ErrorKey);
