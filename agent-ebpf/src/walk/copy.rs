//! Copies the top of a stack beside the walk of it, for the daemon's other unwinder to judge the walk. Only for
//! processes that the daemon marks so, which it does in tests.

use core::ffi::c_void;

use agent_common::unwind::{COPY_BYTES, StackCopy};
use aya_ebpf::{
    helpers::generated::{bpf_loop, bpf_probe_read_kernel, bpf_probe_read_user},
    macros::map,
    maps::RingBuf,
};

use super::{Registers, Walk};
use crate::layout;

/// As small as can be; the daemon makes it larger where it wants copies.
#[map]
static STACK_COPIES: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Bytes of one read: it fails as a whole where a page is absent.
const PIECE: usize = 1024;

/// Sends a copy, if there is room for it.
#[inline(always)]
pub(super) fn send(walk: &Walk, process: u64, registers: Registers) {
    if layout::CAN_READ_KERNEL.load() == 0 {
        return;
    }
    let Some(mut entry) = STACK_COPIES.reserve::<StackCopy>(0) else { return };
    let copy = entry.as_mut_ptr();
    // SAFETY: the record is ours until it is submitted, and all but the rest of `bytes` is written.
    unsafe {
        (*copy).process = process;
        (*copy).registers = [registers.ip, registers.sp, registers.bp];
        let mut pieces = Pieces { copy, from: registers.sp, length: 0 };
        bpf_loop((COPY_BYTES / PIECE) as u32, take as *mut c_void, (&raw mut pieces).cast(), 0);
        (*copy).length = pieces.length;
        bpf_probe_read_kernel(
            (&raw mut (*copy).walked).cast(),
            size_of_val(&walk.stack) as u32,
            (&raw const walk.stack).cast(),
        );
    }
    entry.submit(0);
}

/// What of a stack has been copied.
struct Pieces {
    copy: *mut StackCopy,
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
