//! Return addresses that the kernel has put aside. Where the return of a function is probed, the kernel writes the address
//! of a trampoline of its own onto the stack, and keeps the true one in a list of the task, by the stack pointer that the
//! function began with.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use super::Walk;
use crate::layout::{self, field};

/// Functions whose returns are probed that a walk looks through for one address: those called last.
const DEPTH: usize = 4;

/// Notes where the task keeps them: once for each walk.
///
/// # Safety
/// `task` is a trusted task.
#[inline(always)]
pub(super) unsafe fn begin(walk: &mut Walk, task: *const u8) {
    walk.returns = 0;
    if layout::CAN_READ_KERNEL.load() == 0 || layout::TASK_UTASK.load() == 0 {
        return;
    }
    // SAFETY: by contract. The number goes through map memory, and is no pointer to the verifier any more.
    unsafe { (&raw mut walk.returns).write_volatile(field(task, &layout::TASK_UTASK)) };
}

/// Puts the true return address in the place of the trampoline's, if the frame just reached is one; whether it was.
#[inline(always)]
pub(super) fn restore(walk: &mut Walk) -> bool {
    if layout::CAN_READ_KERNEL.load() == 0 || walk.returned == 0 {
        return false;
    }
    // SAFETY: a field of ours.
    let list = unsafe { (&raw const walk.returns).read_volatile() };
    if list == 0 {
        return false;
    }
    let mut instance = word(list, layout::UTASK_RETURNS.load());
    for _ in 0..DEPTH {
        if instance == 0 {
            return false;
        }
        if word(instance, layout::RETURN_STACK.load()) == walk.sp.wrapping_sub(8) {
            let ip = word(instance, layout::RETURN_ADDRESS.load());
            let is_other = ip != 0 && ip != walk.ip;
            walk.ip = if is_other { ip } else { walk.ip };
            return is_other;
        }
        instance = word(instance, layout::RETURN_NEXT.load());
    }
    false
}

/// A word of the kernel's memory; 0 where it cannot be read.
#[inline(always)]
fn word(object: u64, offset: u32) -> u64 {
    let mut word = 0_u64;
    let from = object.wrapping_add(u64::from(offset)) as *const _;
    // SAFETY: the kernel checks the address; `word` is as long as said.
    if unsafe { bpf_probe_read_kernel((&raw mut word).cast(), 8, from) } == 0 { word } else { 0 }
}
