//! Calls of CUDA's driver API: how many of what kind, how many bytes, and how long the process waited for the GPU in
//! them.

use serde::{Deserialize, Serialize};

use super::id::ProcessId;

/// What calls do, in the order of the kernel programs' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CudaCall {
    /// Put a kernel on a stream.
    Launch,
    /// Put a graph of kernels on a stream.
    GraphLaunch,
    /// Copy from the host's memory to the GPU's.
    CopyToGpu,
    /// Copy from the GPU's memory to the host's.
    CopyToHost,
    /// Copy within a GPU, between two, or between memories that the call does not tell.
    Copy,
    /// Fill memory of the GPU.
    Fill,
    /// Take memory.
    Allocate,
    /// Give memory back.
    Free,
    /// Wait for a context, a stream or an event.
    Synchronize,
}

impl CudaCall {
    /// Every kind, in order.
    pub const ALL: [Self; 9] = [
        Self::Launch,
        Self::GraphLaunch,
        Self::CopyToGpu,
        Self::CopyToHost,
        Self::Copy,
        Self::Fill,
        Self::Allocate,
        Self::Free,
        Self::Synchronize,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::GraphLaunch => "graph_launch",
            Self::CopyToGpu => "copy_to_gpu",
            Self::CopyToHost => "copy_to_host",
            Self::Copy => "copy",
            Self::Fill => "fill",
            Self::Allocate => "allocate",
            Self::Free => "free",
            Self::Synchronize => "synchronize",
        }
    }

    /// Its number, by which the kernel programs and stores know it.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied()
    }

    /// Whether time inside is time in which the process waits for the GPU. Of copies, only those that return when they
    /// are done have such time.
    #[must_use]
    pub fn is_wait(self) -> bool {
        match self {
            Self::Synchronize | Self::CopyToGpu | Self::CopyToHost | Self::Copy => true,
            Self::Launch | Self::GraphLaunch | Self::Fill | Self::Allocate | Self::Free => false,
        }
    }
}

/// Calls of one kind by one process in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CudaStat {
    /// Who called.
    pub process: ProcessId,
    /// What.
    pub call: CudaCall,
    /// How often: counted when a call returns where that is watched, else when it is made.
    pub calls: u64,
    /// Calls that failed; 0 where returns are not watched.
    pub errors: u64,
    /// Bytes that the calls asked for, as far as their arguments tell; of those that failed, where that is seen, none.
    pub bytes: u64,
    /// Time inside, over all threads, ns; 0 where returns are not watched.
    pub total_ns: u64,
    /// The longest, ns.
    pub max_ns: u64,
}

impl CudaStat {
    /// No calls yet.
    #[must_use]
    pub fn new(process: ProcessId, call: CudaCall) -> Self {
        Self { process, call, calls: 0, errors: 0, bytes: 0, total_ns: 0, max_ns: 0 }
    }

    /// Adds the calls of another row.
    pub fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.errors = self.errors.saturating_add(other.errors);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Time in which the process waited for the GPU, ns.
    #[must_use]
    pub fn wait_ns(&self) -> u64 {
        if self.call.is_wait() { self.total_ns } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for call in CudaCall::ALL {
            assert_eq!(CudaCall::from_number(call.number().into()), Some(call));
        }
        assert_eq!(CudaCall::from_number(9), None);
    }

    #[test]
    fn the_longest_call_is_no_sum() {
        let mut sum = CudaStat {
            calls: 2,
            total_ns: 7,
            max_ns: 4,
            ..CudaStat::new(ProcessId(1), CudaCall::Synchronize)
        };
        sum.merge(&CudaStat { bytes: 3, max_ns: 5, total_ns: 5, ..sum });
        assert_eq!((sum.calls, sum.bytes, sum.total_ns, sum.max_ns), (4, 3, 12, 5));
        assert_eq!(sum.wait_ns(), 12);
        assert_eq!(CudaStat { call: CudaCall::Allocate, ..sum }.wait_ns(), 0);
    }
}
