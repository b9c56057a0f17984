//! Takes user and kernel stacks and stores each once, under a hash of its content. User stacks are walked by
//! `walk` where the daemon has told what it needs to know about the process, else by frame pointers.

use core::ffi::c_void;

use agent_common::{
    loss,
    stack::{COPIED, KernelStack, MAX_FRAMES, MAX_KERNEL_FRAMES, TAKE_AGAIN, UserStack, end, interpreter},
    thread::{PID_BITS, START_SHIFT, Thread},
    unwind::process,
};
use aya_ebpf::{
    EbpfContext,
    bindings::BPF_F_USER_STACK,
    helpers::generated::{bpf_get_stack, bpf_get_task_stack, bpf_ktime_get_boot_ns, bpf_loop},
    macros::map,
    maps::{LruHashMap, PerCpuArray},
};

use crate::{
    lifecycle, losses,
    walk::{self, Purpose, Registers, Walk},
};

/// Which scratch buffer a program uses: a sample may interrupt a switch.
#[derive(Clone, Copy)]
pub(crate) enum Scratch {
    Sample = 0,
    Switch = 1,
    Iterator = 2,
}

#[map]
static USER_STACKS: LruHashMap<u64, UserStack> = LruHashMap::with_max_entries(8192, 0);
#[map]
static KERNEL_STACKS: LruHashMap<u64, KernelStack> = LruHashMap::with_max_entries(4096, 0);
#[map]
static WALKS: PerCpuArray<Walk> = PerCpuArray::with_max_entries(3, 0);
#[map]
static KERNEL_SCRATCH: PerCpuArray<KernelStack> = PerCpuArray::with_max_entries(3, 0);

const KERNEL_BYTES: u32 = (MAX_KERNEL_FRAMES * 8) as u32;
const USER_BYTES: u32 = (MAX_FRAMES * 8) as u32;

/// The user stack of `task`, the current one; 0 if there is none. `known` is an id that is known to be
/// stored, which saves a look-up.
#[inline(always)]
pub(crate) fn user<C: EbpfContext>(
    ctx: &C,
    task: *mut u8,
    thread: &mut Thread,
    registers: Registers,
    scratch: Scratch,
    known: u64,
) -> u64 {
    let Some(walk) = WALKS.get_ptr_mut(scratch as u32) else { return 0 };
    // SAFETY: a scratch buffer of ours alone: one per CPU and kind of program.
    let walk = unsafe { &mut *walk };
    let mut purpose = Purpose { judges: false, stands_in: matches!(scratch, Scratch::Sample) };
    let id = match walk::process(thread.process) {
        Some(process) => {
            // SAFETY: a map's element.
            let process = unsafe { &*process };
            purpose.judges = process.flags & process::COPY != 0;
            walk::walk::<false>(walk, process, task, thread, registers)
        }
        None => by_frame_pointers(ctx, &mut walk.stack, thread),
    };
    let id = walk::send_copy(&walk.stack, thread.process, registers, id, purpose);
    store_user(&walk.stack, thread.process, id, known)
}

/// The user stack of a task that does not run and has the address space `mm`; 0 if it cannot be walked.
#[inline(always)]
pub(crate) fn user_of(
    task: *mut u8,
    mm: *const u8,
    thread: &mut Thread,
    registers: Registers,
    scratch: Scratch,
) -> u64 {
    let Some(walk) = WALKS.get_ptr_mut(scratch as u32) else { return 0 };
    // SAFETY: as in `user`.
    let walk = unsafe { &mut *walk };
    if !walk::can_read_others() {
        return 0;
    }
    let Some(process) = walk::process(thread.process) else { return 0 };
    walk.memory.begin(mm);
    // SAFETY: a map's element.
    let id = walk::walk::<true>(walk, unsafe { &*process }, task, thread, registers);
    store_user(&walk.stack, thread.process, id, 0)
}

#[inline(always)]
fn store_user(stack: &UserStack, process: u64, id: u64, known: u64) -> u64 {
    if id == 0 || id == known || USER_STACKS.get_ptr(id).is_some() {
        return id;
    }
    if USER_STACKS.insert(id, stack, 0).is_err() {
        losses::count(loss::STACK_INSERT);
    } else if stack.end == end::NO_MAPPING || stack.interpreter_length > 0 && is_young(process) {
        lifecycle::report_stack(process, id);
    }
    id
}

/// Whether the process may be one of those that are gone before their window closes: what its interpreter's
/// frames are called must be read at once.
#[inline(always)]
fn is_young(process: u64) -> bool {
    const YOUTH_NS: u64 = 10_000_000_000;
    let start = process >> PID_BITS << START_SHIFT;
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }.wrapping_sub(start) < YOUTH_NS
}

/// What can be had while nothing is known about the process.
#[inline(always)]
fn by_frame_pointers<C: EbpfContext>(ctx: &C, stack: &mut UserStack, thread: &Thread) -> u64 {
    let flags = u64::from(BPF_F_USER_STACK);
    // SAFETY: `frames` is USER_BYTES long.
    let n = unsafe { bpf_get_stack(ctx.as_ptr(), (&raw mut stack.frames).cast(), USER_BYTES, flags) };
    if n <= 0 {
        losses::count(loss::USER_STACK);
        return 0;
    }
    stack.length = n as u32 / 8;
    stack.interpreter_length = 0;
    stack.interpreter_kind = interpreter::NONE;
    stack.execs = thread.execs;
    stack.end = end::FRAME_POINTERS;
    hash(&raw const stack.frames, stack.length) & !COPIED | TAKE_AGAIN
}

/// The current kernel stack; 0 if there is none. `known` as in `user`.
#[inline(always)]
pub(crate) fn kernel<C: EbpfContext>(ctx: &C, scratch: Scratch, known: u64) -> u64 {
    let Some(stack) = KERNEL_SCRATCH.get_ptr_mut(scratch as u32) else { return 0 };
    // SAFETY: `frames` is KERNEL_BYTES long and ours alone: one buffer per CPU and kind of program.
    let n = unsafe { bpf_get_stack(ctx.as_ptr(), (&raw mut (*stack).frames).cast(), KERNEL_BYTES, 0) };
    store_kernel(stack, n, known)
}

/// The kernel stack of another, sleeping task; 0 if there is none.
#[inline(always)]
pub(crate) fn kernel_of(task: *mut u8) -> u64 {
    let Some(stack) = KERNEL_SCRATCH.get_ptr_mut(Scratch::Iterator as u32) else { return 0 };
    // SAFETY: as in `kernel`, and `task` is the iterator's trusted pointer.
    let n = unsafe { bpf_get_task_stack(task.cast(), (&raw mut (*stack).frames).cast(), KERNEL_BYTES, 0) };
    store_kernel(stack, n, 0)
}

#[inline(always)]
fn store_kernel(stack: *mut KernelStack, bytes: i64, known: u64) -> u64 {
    if bytes <= 0 {
        losses::count(loss::KERNEL_STACK);
        return 0;
    }
    // SAFETY: a per-CPU scratch buffer, as above.
    let stack = unsafe { &mut *stack };
    stack.length = bytes as u64 / 8;
    // The length stands before the frames.
    let id = hash((&raw const *stack).cast(), stack.length as u32 + 1);
    if id != known && KERNEL_STACKS.get_ptr(id).is_none() && KERNEL_STACKS.insert(id, &*stack, 0).is_err() {
        losses::count(loss::STACK_INSERT);
    }
    id
}

/// The words of a stack that are being hashed, and how far that is.
struct Words {
    first: *const [u64; HASHED_WORDS],
    hash: u64,
}

/// Enough for either kind of stack; a power of two, so that a mask keeps an index inside.
const HASHED_WORDS: usize = 128;

/// Hashes `length` words. A loop of the kernel's: the verifier looks at one turn of it, not at each.
#[inline(always)]
fn hash(first: *const [u64; HASHED_WORDS], length: u32) -> u64 {
    let mut words = Words { first, hash: walk::SEED ^ u64::from(length) };
    // SAFETY: the callback gets the context that it expects, which outlives the call.
    unsafe { bpf_loop(length, hash_word as *mut c_void, (&raw mut words).cast(), 0) };
    words.hash | 1
}

extern "C" fn hash_word(index: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `hash`.
    unsafe {
        let words = &mut *context.cast::<Words>();
        words.hash = walk::mix(words.hash, (*words.first)[index as usize & (HASHED_WORDS - 1)]);
    }
    0
}
