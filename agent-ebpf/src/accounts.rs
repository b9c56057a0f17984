//! What a thread used when it is over, and what those of its process had used that were over before it was seen.

use agent_common::lifecycle::Account;
use aya_ebpf::Global;

use crate::layout::{self, field};

/// What `task` used. Complete at its last switch.
///
/// # Safety
/// `task` is a BTF task pointer.
#[inline(always)]
pub(crate) unsafe fn of_thread(task: *const u8) -> Account {
    // SAFETY: by contract.
    unsafe {
        Account {
            cpu: field(task, &layout::TASK_RUNTIME),
            user: field(task, &layout::TASK_UTIME),
            system: field(task, &layout::TASK_STIME),
            read_chars: optional(task, &layout::TASK_READ_CHARS),
            written_chars: optional(task, &layout::TASK_WRITTEN_CHARS),
            read_bytes: optional(task, &layout::TASK_READ_BYTES),
            written_bytes: optional(task, &layout::TASK_WRITTEN_BYTES),
        }
    }
}

/// What the threads of a process used that are over and gone.
///
/// # Safety
/// `signal` is the process's `signal_struct`.
#[inline(always)]
pub(crate) unsafe fn of_dead_threads(signal: *const u8) -> Account {
    // SAFETY: by contract.
    unsafe {
        Account {
            cpu: field(signal, &layout::SIGNAL_SUM_RUNTIME),
            user: field(signal, &layout::SIGNAL_UTIME),
            system: field(signal, &layout::SIGNAL_STIME),
            read_chars: optional(signal, &layout::SIGNAL_READ_CHARS),
            written_chars: optional(signal, &layout::SIGNAL_WRITTEN_CHARS),
            read_bytes: optional(signal, &layout::SIGNAL_READ_BYTES),
            written_bytes: optional(signal, &layout::SIGNAL_WRITTEN_BYTES),
        }
    }
}

/// The field, where this kernel has it: the verifier does not look at code behind a constant 0.
///
/// # Safety
/// As of [`field`].
#[inline(always)]
unsafe fn optional(object: *const u8, offset: &Global<u32>) -> u64 {
    // SAFETY: by contract.
    if offset.load() == 0 { 0 } else { unsafe { field(object, offset) } }
}
