//! Reads the calls of CUDA that were counted in one generation.

use agent_common::cuda::{CudaKey, CudaValue, call};
use aya::Ebpf;

use super::{counts::drain, error::KernelError};
use crate::model::{
    cuda::{CudaCall, CudaStat},
    id::{ProcessId, Slot},
};

// The model imports nothing of ours, so that its order is the kernel programs' by agreement.
const _: () = assert!(CudaCall::ALL.len() == call::SYNCHRONIZE as usize + 1);
const _: () = assert!(CudaCall::Launch as u32 == call::LAUNCH && CudaCall::Copy as u32 == call::COPY);
const _: () = assert!(CudaCall::Allocate as u32 == call::ALLOCATE);

/// Takes every row out of the map.
pub(super) fn calls(ebpf: &Ebpf, map: &'static str) -> Result<Vec<(Slot, CudaStat)>, KernelError> {
    let mut rows = Vec::new();
    drain(ebpf, map, |key: CudaKey, values: &[CudaValue]| rows.extend(row(&key, values)))?;
    Ok(rows)
}

fn row(key: &CudaKey, values: &[CudaValue]) -> Option<(Slot, CudaStat)> {
    let sum = |number: fn(&CudaValue) -> u64| values.iter().map(number).fold(0, u64::saturating_add);
    let stat = CudaStat {
        process: ProcessId(key.process),
        call: CudaCall::from_number(key.call.into())?,
        calls: sum(|value| value.calls),
        errors: sum(|value| value.errors),
        bytes: sum(|value| value.bytes),
        total_ns: sum(|value| value.total),
        max_ns: values.iter().map(|value| value.max).max().unwrap_or(0),
    };
    Some((Slot(key.agent), stat))
}
