//! The parts of a divided GPU (MIG).

use std::ffi::c_uint;

use nvml_wrapper::{
    Device,
    error::{NvmlError, nvml_try},
    struct_wrappers::device::MemoryInfo,
};
use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_NOT_FOUND as NOT_FOUND};

use super::{
    ask::Asker,
    feature::Feature,
    reading::{Memory, Mig, MigInstance},
    reason::Reason,
};

/// More parts than any GPU has.
const MOST: u32 = 64;

/// Whether the GPU is divided, and the handles of its parts.
pub(super) fn read<'nvml>(
    device: &Device<'nvml>,
    asker: &mut Asker<'_>,
) -> (Option<Mig>, Vec<Device<'nvml>>) {
    let Some(mode) = asker.ask(Feature::MigMode, || device.mig_mode()) else { return (None, Vec::new()) };
    let is_enabled = mode.current == 1;
    let parts = if is_enabled { parts(device, asker) } else { Vec::new() };
    let instances = parts.iter().map(|part| instance(part, asker)).collect();
    (Some(Mig { is_enabled, instances }), parts)
}

fn parts<'nvml>(device: &Device<'nvml>, asker: &mut Asker<'_>) -> Vec<Device<'nvml>> {
    let most = asker.ask(Feature::MigInstances, || device.mig_device_count()).unwrap_or(0).min(MOST);
    let mut parts = Vec::new();
    for index in 0..most {
        match asker.attempt(Feature::MigInstances, || device.mig_device_by_index(index)) {
            Some(Ok(part)) => parts.push(part),
            // Numbers of parts have holes.
            Some(Err(Reason::Nvml { code: NOT_FOUND, .. })) => {}
            Some(Err(reason)) => asker.miss(Feature::MigInstances, reason),
            None => break,
        }
    }
    parts
}

fn instance(part: &Device<'_>, asker: &mut Asker<'_>) -> MigInstance {
    let ids = ids(part, asker);
    MigInstance {
        uuid: asker.ask(Feature::MigInstances, || part.uuid()),
        gpu_instance: ids.map(|ids| ids.0),
        compute_instance: ids.map(|ids| ids.1),
        memory: asker.ask(Feature::MigInstances, || part.memory_info()).map(Memory::from),
    }
}

/// GPU instance and compute instance of a part.
pub(super) fn ids(part: &Device<'_>, asker: &mut Asker<'_>) -> Option<(u32, u32)> {
    asker.ask(Feature::MigInstances, || {
        let lib = part.nvml().lib();
        Ok((id(part, &lib.nvmlDeviceGetGpuInstanceId)?, id(part, &lib.nvmlDeviceGetComputeInstanceId)?))
    })
}

/// What the wrapper does not wrap: an id of a part.
fn id<E: std::fmt::Display>(part: &Device<'_>, function: &Result<IdFunction, E>) -> Result<u32, NvmlError> {
    let function = function.as_ref().map_err(|error| NvmlError::FailedToLoadSymbol(error.to_string()))?;
    let mut id: c_uint = 0;
    // SAFETY: the handle is of a device of this running NVML, and `id` outlives the call.
    nvml_try(unsafe { function(part.handle(), &raw mut id) })?;
    Ok(id)
}

type IdFunction = unsafe extern "C" fn(nvmlDevice_t, *mut c_uint) -> u32;

impl From<MemoryInfo> for Memory {
    fn from(info: MemoryInfo) -> Self {
        Self { used_bytes: info.used, total_bytes: info.total }
    }
}
