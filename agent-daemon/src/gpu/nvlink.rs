//! NVLink traffic, by the counters of payload that exist since Volta. The wrapper cannot name the scope of a field,
//! which says "all links" here, so that this is one of two places that call NVML's functions themselves.

use nvml_wrapper::{
    Device,
    error::{NvmlError, nvml_try},
};
use nvml_wrapper_sys::bindings::{
    field_id::{NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX},
    nvmlFieldValue_t,
};

use super::reading::Traffic;

/// `scopeId` of the sum over all links.
const ALL_LINKS: u32 = u32::MAX;

/// Bytes over all links since the driver was loaded.
///
/// # Errors
/// NVML's; most GPUs do not have NVLink.
pub(super) fn totals(device: &Device<'_>) -> Result<Traffic, NvmlError> {
    let mut fields =
        [field(NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX), field(NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX)];
    let function = device.nvml().lib().nvmlDeviceGetFieldValues.as_ref();
    let function = function.map_err(|error| NvmlError::FailedToLoadSymbol(error.to_string()))?;
    // SAFETY: the handle is of a device of this running NVML, and the array has two fields.
    nvml_try(unsafe { function(device.handle(), 2, fields.as_mut_ptr()) })?;
    let [sent, received] = fields;
    Ok(Traffic { sent_bytes: bytes(&sent)?, received_bytes: bytes(&received)? })
}

fn field(id: u32) -> nvmlFieldValue_t {
    // SAFETY: the structure is made of integers and a union of numbers, for which zero is a value.
    let mut field: nvmlFieldValue_t = unsafe { std::mem::zeroed() };
    field.fieldId = id;
    field.scopeId = ALL_LINKS;
    field
}

/// The value of a field, which is in KiB.
fn bytes(field: &nvmlFieldValue_t) -> Result<u64, NvmlError> {
    nvml_try(field.nvmlReturn)?;
    // SAFETY: NVML wrote the union, or it is zero; any bits are a number.
    Ok(unsafe { field.value.ullVal }.saturating_mul(1024))
}
