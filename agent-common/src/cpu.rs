//! On-CPU samples.

/// Samples that are counted together; the value is a count.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CpuKey {
    /// The process.
    pub process: u64,
    /// User stack id, 0 if none.
    pub user_stack: u64,
    /// Kernel stack id, 0 if none.
    pub kernel_stack: u64,
    /// The agent's slot.
    pub agent: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<CpuKey>() == 32);
crate::pod!(CpuKey);
