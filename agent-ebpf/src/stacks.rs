//! Takes user and kernel stacks and stores each once, under a hash of its content. This is the walker's
//! interface: `user` may be replaced by one that needs no frame pointers.

use agent_common::{
    loss,
    stack::{MAX_FRAMES, Stack},
};
use aya_ebpf::{
    EbpfContext,
    bindings::BPF_F_USER_STACK,
    helpers::generated::{bpf_get_stack, bpf_get_task_stack},
    macros::map,
    maps::{LruHashMap, PerCpuArray},
};

use crate::losses;

/// Which scratch buffer a program uses: a sample may interrupt a switch.
#[derive(Clone, Copy)]
pub(crate) enum Scratch {
    Sample = 0,
    Switch = 1,
    Iterator = 2,
}

#[map]
static STACKS: LruHashMap<u64, Stack> = LruHashMap::with_max_entries(8192, 0);
#[map]
static SCRATCH: PerCpuArray<Stack> = PerCpuArray::with_max_entries(3, 0);

const FRAME_BYTES: u32 = (MAX_FRAMES * 8) as u32;

/// The current task's user stack, by frame pointers; 0 if there is none. `known` is an id that is known to be
/// stored, which saves a look-up.
#[inline(always)]
pub(crate) fn user<C: EbpfContext>(ctx: &C, scratch: Scratch, known: u64) -> u64 {
    let Some(stack) = SCRATCH.get_ptr_mut(scratch as u32) else { return 0 };
    // SAFETY: `frames` is FRAME_BYTES long and ours alone: one buffer per CPU and kind of program.
    let n = unsafe {
        bpf_get_stack(
            ctx.as_ptr(),
            (&raw mut (*stack).frames).cast(),
            FRAME_BYTES,
            u64::from(BPF_F_USER_STACK),
        )
    };
    if n <= 0 {
        losses::count(loss::USER_STACK);
        return 0;
    }
    store(stack, n as u64 / 8, known)
}

/// The current kernel stack; 0 if there is none. `known` as in `user`.
#[inline(always)]
pub(crate) fn kernel<C: EbpfContext>(ctx: &C, scratch: Scratch, known: u64) -> u64 {
    let Some(stack) = SCRATCH.get_ptr_mut(scratch as u32) else { return 0 };
    // SAFETY: as in `user`.
    let n = unsafe { bpf_get_stack(ctx.as_ptr(), (&raw mut (*stack).frames).cast(), FRAME_BYTES, 0) };
    if n <= 0 {
        losses::count(loss::KERNEL_STACK);
        return 0;
    }
    store(stack, n as u64 / 8, known)
}

/// The kernel stack of another, sleeping task; 0 if there is none.
#[inline(always)]
pub(crate) fn kernel_of(task: *mut u8) -> u64 {
    let Some(stack) = SCRATCH.get_ptr_mut(Scratch::Iterator as u32) else { return 0 };
    // SAFETY: as in `user`, and `task` is the iterator's trusted pointer.
    let n = unsafe { bpf_get_task_stack(task.cast(), (&raw mut (*stack).frames).cast(), FRAME_BYTES, 0) };
    if n <= 0 {
        return 0;
    }
    store(stack, n as u64 / 8, 0)
}

#[inline(always)]
fn store(stack: *mut Stack, length: u64, known: u64) -> u64 {
    // SAFETY: a per-CPU scratch buffer, as above.
    let stack = unsafe { &mut *stack };
    stack.length = length;
    let id = hash(stack, length);
    if id != known && STACKS.get_ptr(id).is_none() && STACKS.insert(id, &*stack, 0).is_err() {
        losses::count(loss::STACK_INSERT);
    }
    id
}

/// A multiplicative hash, one step a frame (constants of MurmurHash3's finaliser and the golden ratio).
#[inline(always)]
fn hash(stack: &Stack, length: u64) -> u64 {
    let mut h = 0x9e37_79b9_7f4a_7c15 ^ length;
    for (i, frame) in stack.frames.iter().enumerate() {
        if i as u64 >= length {
            break;
        }
        h = (h ^ frame).wrapping_mul(0xff51_afd7_ed55_8ccd);
        h ^= h >> 32;
    }
    h | 1
}
