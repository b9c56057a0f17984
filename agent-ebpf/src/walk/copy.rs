//! Copies the top of a stack for the daemon, which unwinds it in its own way: a few times a second, where a sample's
//! walk ended since the daemon has not told yet what it takes; and beside every walk of the processes that the daemon
//! marks, which it does in tests, to judge the walks.

use core::ffi::c_void;

use agent_common::{
    loss,
    stack::{COPIED, TAKE_AGAIN, UserStack, end},
    unwind::{COPIES_BYTES, COPY_BYTES, StackCopy},
};
use aya_ebpf::{
    helpers::{
        bpf_ktime_get_ns,
        generated::{bpf_loop, bpf_probe_read_user},
    },
    macros::map,
    maps::{Array, RingBuf},
};

use super::{Registers, USER_CS, mix};
use crate::{atomics::compare_exchange, losses};

/// The daemon makes it larger where it judges walks.
#[map]
static STACK_COPIES: RingBuf = RingBuf::with_byte_size(COPIES_BYTES, 0);
/// Until when the copies that stand in for walks are paid for: CLOCK_MONOTONIC, ns.
#[map]
static COPIES_PAID: Array<u64> = Array::with_max_entries(1, 0);

/// One copy in so much time stands in for a walk, on the whole host, ns: 20 a second.
const COPY_INTERVAL: u64 = 50_000_000;
/// How far ahead copies may be paid for, ns: 64 at once, after a rest.
const MAX_AHEAD: u64 = 63 * COPY_INTERVAL;

/// Bytes of one read: it fails as a whole where a page is absent.
const PIECE: usize = 1024;
/// 64-bit words of what a walk found, and how many of them are copied in one go.
const WORDS: usize = size_of::<UserStack>() / 8;
const LINE: usize = 8;
/// `BPF_RB_NO_WAKEUP`: nobody sleeps on the ring.
const NO_WAKEUP: u64 = 1;

/// What a copy may be made for.
#[derive(Clone, Copy)]
pub(crate) struct Purpose {
    /// To judge the walk.
    pub(crate) judges: bool,
    /// To stand in for what the walk could not see.
    pub(crate) stands_in: bool,
}

/// Sends a copy of the current task's stack, if one is wanted and there is room for it. Returns the stack's id: a
/// new one if what is found in the copy shall take the walk's place.
#[inline(always)]
pub(crate) fn send(stack: &UserStack, process: u64, registers: Registers, id: u64, purpose: Purpose) -> u64 {
    if id == 0 || registers.cs != USER_CS {
        return id;
    }
    let stands_in = purpose.stands_in && is_cut(stack) && pay();
    if !stands_in && !purpose.judges {
        return id;
    }
    let Some(mut entry) = STACK_COPIES.reserve::<StackCopy>(0) else {
        losses::count(loss::STACK_COPY);
        return id;
    };
    let id = if stands_in { own_id(id, registers) } else { id };
    let copy = entry.as_mut_ptr();
    // SAFETY: the record is ours until it is submitted, and all but the rest of `bytes` is written.
    unsafe {
        (*copy).process = process;
        (*copy).id = id;
        (*copy).registers = [registers.ip, registers.sp, registers.bp];
        let mut pieces = Pieces { copy, walked: stack, from: registers.sp, length: 0 };
        bpf_loop((COPY_BYTES / PIECE) as u32, take as *mut c_void, (&raw mut pieces).cast(), 0);
        (*copy).length = pieces.length;
        bpf_loop((WORDS / LINE) as u32, note_walk as *mut c_void, (&raw mut pieces).cast(), 0);
    }
    entry.submit(NO_WAKEUP);
    id
}

/// Whether the daemon only needs time to tell what the walk lacked.
#[inline(always)]
fn is_cut(stack: &UserStack) -> bool {
    stack.end == end::NO_TABLE || stack.end == end::FRAME_POINTERS
}

/// Pays for one copy; whether that may be.
#[inline(always)]
fn pay() -> bool {
    let Some(paid) = COPIES_PAID.get_ptr_mut(0) else { return false };
    // SAFETY: a map's element, and a helper without preconditions.
    let (paid, now) = unsafe { (&mut *paid, bpf_ktime_get_ns()) };
    let before = *paid;
    let from = if before > now { before } else { now };
    // Where another CPU pays at this moment, the copy is its.
    from - now <= MAX_AHEAD && compare_exchange(paid, before, from + COPY_INTERVAL)
}

/// An id that no other stack has: what lies beyond the end of this walk is not the same for all that ended there.
#[inline(always)]
fn own_id(id: u64, registers: Registers) -> u64 {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    mix(mix(id, now), registers.sp) | TAKE_AGAIN | COPIED | 1
}

/// What of a stack has been copied.
struct Pieces {
    copy: *mut StackCopy,
    walked: *const UserStack,
    from: u64,
    length: u64,
}

/// Copies one piece; ends the loop where it cannot be read.
extern "C" fn take(index: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `send`; the mask repeats for the verifier what bounds the loop.
    unsafe {
        let pieces = &mut *context.cast::<Pieces>();
        let at = (index as usize & (COPY_BYTES / PIECE - 1)) * PIECE;
        let to = (&raw mut (*pieces.copy).bytes).cast::<u8>().add(at);
        let from = pieces.from.wrapping_add(at as u64) as *const c_void;
        if bpf_probe_read_user(to.cast(), PIECE as u32, from) != 0 {
            return 1;
        }
        pieces.length += PIECE as u64;
    }
    0
}

/// Copies a line of what was walked: the compiler's own copy of so much is more than the verifier likes to see.
extern "C" fn note_walk(index: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `send`; the mask repeats for the verifier what bounds the loop.
    unsafe {
        let pieces = &*context.cast::<Pieces>();
        let at = (index as usize & (WORDS / LINE - 1)) * LINE;
        let from = pieces.walked.cast::<u64>().add(at);
        let to = (&raw mut (*pieces.copy).walked).cast::<u64>().add(at);
        for i in 0..LINE {
            to.add(i).write(from.add(i).read());
        }
    }
    0
}
