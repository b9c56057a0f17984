//! Libraries that a process loads while it runs. The dynamic loader calls an empty function whenever its list of
//! libraries changes, for debuggers: a probe on that one tells the daemon to look at what is mapped.

use aya_ebpf::{helpers::generated::bpf_get_current_task_btf, macros::uprobe, programs::ProbeContext};

use crate::{lifecycle, threads};

/// On `_dl_debug_state` of a process's dynamic loader.
#[uprobe]
fn library_loaded(_: ProbeContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    if let Some(thread) = threads::get(task) {
        lifecycle::report_library(thread.process);
    }
    0
}
