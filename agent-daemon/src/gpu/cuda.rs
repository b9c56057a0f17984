//! The functions of libcuda.so.1 whose calls tell what a process does with a GPU: what uprobes are to be put on.
//! A table only; nothing here attaches anything.
//!
//! These are functions of the driver's interface, which frameworks reach directly or through the runtime library
//! (libcudart), whose calls end in these. Symbols that end in `_ptsz` or `_ptds` are the variants for per-thread
//! default streams. A call that only queues work returns before the GPU has done it. Newer runtime libraries get
//! their functions by `cuGetProcAddress`: whether these are at the symbols' addresses, so that a probe there sees
//! them, has not been tried.

/// What a call of the driver's interface means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CudaRole {
    /// Gives work to the GPU.
    Launch,
    /// Copies or sets memory; most of these return when it is done.
    Copy,
    /// Queues a copy or a setting of memory.
    CopyAsync,
    /// Allocates memory. Freeing often waits for the GPU.
    Allocate,
    /// Frees memory.
    Free,
    /// Waits until the GPU has done something: time in it is a wait for the GPU.
    Synchronise,
    /// Asks whether the GPU has done something, which a loop may do instead of waiting.
    Poll,
    /// Makes a context or loads code: slow, and once per process.
    Setup,
}

/// A function to probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CudaFunction {
    /// Its symbol.
    pub symbol: &'static str,
    /// What a call means.
    pub role: CudaRole,
    /// Which argument, from 0, says how many bytes; `None` where none does, or a structure does.
    pub bytes_argument: Option<u8>,
    /// Which argument, from 0, is the stream.
    pub stream_argument: Option<u8>,
}

const fn function(
    symbol: &'static str,
    role: CudaRole,
    bytes: Option<u8>,
    stream: Option<u8>,
) -> CudaFunction {
    CudaFunction { symbol, role, bytes_argument: bytes, stream_argument: stream }
}

/// All of them. A driver need not have each.
pub const CUDA_FUNCTIONS: [CudaFunction; 53] = [
    function("cuLaunchKernel", CudaRole::Launch, None, Some(8)),
    function("cuLaunchKernel_ptsz", CudaRole::Launch, None, Some(8)),
    function("cuLaunchKernelEx", CudaRole::Launch, None, None),
    function("cuLaunchKernelEx_ptsz", CudaRole::Launch, None, None),
    function("cuLaunchCooperativeKernel", CudaRole::Launch, None, Some(8)),
    function("cuLaunchCooperativeKernel_ptsz", CudaRole::Launch, None, Some(8)),
    function("cuGraphLaunch", CudaRole::Launch, None, Some(1)),
    function("cuGraphLaunch_ptsz", CudaRole::Launch, None, Some(1)),
    function("cuMemcpy", CudaRole::Copy, Some(2), None),
    function("cuMemcpy_ptds", CudaRole::Copy, Some(2), None),
    function("cuMemcpyHtoD_v2", CudaRole::Copy, Some(2), None),
    function("cuMemcpyHtoD_v2_ptds", CudaRole::Copy, Some(2), None),
    function("cuMemcpyDtoH_v2", CudaRole::Copy, Some(2), None),
    function("cuMemcpyDtoH_v2_ptds", CudaRole::Copy, Some(2), None),
    function("cuMemcpyDtoD_v2", CudaRole::Copy, Some(2), None),
    function("cuMemcpyDtoD_v2_ptds", CudaRole::Copy, Some(2), None),
    function("cuMemcpy2D_v2", CudaRole::Copy, None, None),
    function("cuMemcpy3D_v2", CudaRole::Copy, None, None),
    function("cuMemcpyPeer", CudaRole::Copy, Some(4), None),
    function("cuMemcpyAsync", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpyAsync_ptsz", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpyHtoDAsync_v2", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpyHtoDAsync_v2_ptsz", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpyDtoHAsync_v2", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpyDtoHAsync_v2_ptsz", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpyDtoDAsync_v2", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpyDtoDAsync_v2_ptsz", CudaRole::CopyAsync, Some(2), Some(3)),
    function("cuMemcpy2DAsync_v2", CudaRole::CopyAsync, None, Some(1)),
    function("cuMemcpy3DAsync_v2", CudaRole::CopyAsync, None, Some(1)),
    function("cuMemcpyPeerAsync", CudaRole::CopyAsync, Some(4), Some(5)),
    function("cuMemsetD8_v2", CudaRole::Copy, Some(2), None),
    function("cuMemsetD8Async", CudaRole::CopyAsync, Some(2), Some(3)),
    // Of the next two the argument counts words of 4 bytes.
    function("cuMemsetD32_v2", CudaRole::Copy, None, None),
    function("cuMemsetD32Async", CudaRole::CopyAsync, None, Some(3)),
    function("cuMemAlloc_v2", CudaRole::Allocate, Some(1), None),
    function("cuMemAllocPitch_v2", CudaRole::Allocate, None, None),
    function("cuMemAllocManaged", CudaRole::Allocate, Some(1), None),
    function("cuMemAllocHost_v2", CudaRole::Allocate, Some(1), None),
    function("cuMemHostAlloc", CudaRole::Allocate, Some(1), None),
    function("cuMemAllocAsync", CudaRole::Allocate, Some(1), Some(2)),
    function("cuMemCreate", CudaRole::Allocate, Some(1), None),
    function("cuMemFree_v2", CudaRole::Free, None, None),
    function("cuMemFreeHost", CudaRole::Free, None, None),
    function("cuMemFreeAsync", CudaRole::Free, None, Some(1)),
    function("cuStreamSynchronize", CudaRole::Synchronise, None, Some(0)),
    function("cuStreamSynchronize_ptsz", CudaRole::Synchronise, None, Some(0)),
    function("cuCtxSynchronize", CudaRole::Synchronise, None, None),
    function("cuEventSynchronize", CudaRole::Synchronise, None, None),
    function("cuStreamQuery", CudaRole::Poll, None, Some(0)),
    function("cuEventQuery", CudaRole::Poll, None, None),
    function("cuInit", CudaRole::Setup, None, None),
    function("cuCtxCreate_v2", CudaRole::Setup, None, None),
    function("cuModuleLoadData", CudaRole::Setup, None, None),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn symbols_are_unique_and_variants_agree() {
        let symbols: BTreeSet<_> = CUDA_FUNCTIONS.iter().map(|function| function.symbol).collect();
        assert_eq!(symbols.len(), CUDA_FUNCTIONS.len());
        for variant in CUDA_FUNCTIONS {
            let base = variant.symbol.trim_end_matches("_ptsz").trim_end_matches("_ptds");
            let base = CUDA_FUNCTIONS.iter().find(|function| function.symbol == base).unwrap();
            assert_eq!(CudaFunction { symbol: base.symbol, ..variant }, *base);
        }
    }
}
