//! From a descriptor to the file behind it. The table of descriptors is found by direct loads; from its entries on the verifier
//! knows only numbers, hence bounded reads.

use aya_ebpf::helpers::bpf_probe_read_kernel;

use crate::layout::{self, field};

/// The `struct file` behind a descriptor of `task`.
///
/// # Safety
/// `task` is trusted, and `CAN_READ_KERNEL` is set.
#[inline(always)]
pub(crate) unsafe fn file(task: *const u8, fd: u64) -> Option<u64> {
    // SAFETY: by contract, and pointers are null-checked.
    unsafe {
        let files: *const u8 = field(task, &layout::TASK_FILES);
        if files.is_null() {
            return None;
        }
        let table: *const u8 = field(files, &layout::FILES_FDT);
        if fd >= u64::from(field::<u32>(table, &layout::FDT_MAX_FDS)) {
            return None;
        }
        let entries: u64 = field(table, &layout::FDT_FD);
        let file = bpf_probe_read_kernel((entries + fd * 8) as *const u64).ok()?;
        if file == 0 { None } else { Some(file) }
    }
}
