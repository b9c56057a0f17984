//! Calls of Go's `crypto/tls`. Go moves stacks, so that no return address may be replaced: the instructions by which a
//! function returns are probed themselves. A goroutine may return on another thread than it called on, but it is the same
//! `g`, to which r14 points throughout: that keys what is remembered. Arguments are where Go has them since 1.17: the
//! connection in rax, the buffer in rbx, its length in rcx, and what is returned in rax.
//!
//! What is written is told before it is: another goroutine may read the answer before the call that asked has returned.
//!
//! Limit: two goroutines that write to one connection at once are told in the order in which they came to it.

use agent_common::{
    loss,
    thread::Thread,
    wire::{ConnectionKey, action, direction, parts, source},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_get_attach_cookie,
    macros::{map, uprobe},
    maps::LruHashMap,
    programs::ProbeContext,
};

use super::{
    CONNECTIONS_OF_TLS, caller,
    calls::{MOST, tell},
    close, mark,
};
use crate::{clock::now, losses};

/// A goroutine.
#[repr(C)]
#[derive(Clone, Copy)]
struct Goroutine {
    process: u64,
    address: u64,
}

/// A connection is being read.
#[repr(C)]
#[derive(Clone, Copy)]
struct Read {
    connection: u64,
    buffer: u64,
}

/// The reads that are going on.
#[map]
static WIRE_GO_READS: LruHashMap<Goroutine, Read> = LruHashMap::with_max_entries(8192, 0);

/// A method of `tls.Conn` is called, or returns.
#[uprobe]
fn wire_go(ctx: ProbeContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    // SAFETY: the context is this program's, and its registers are the probed function's.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    let (action, ..) = parts(cookie);
    let goroutine = Goroutine { process: thread.process, address: registers.r14 };
    let key = ConnectionKey { process: thread.process, address: registers.rax };
    match action {
        action::SENDS => {
            moved(thread, key, (direction::SENT, mark(thread)), (registers.rbx, registers.rcx));
        }
        action::SAVE => {
            let read = Read { connection: registers.rax, buffer: registers.rbx };
            if WIRE_GO_READS.insert(&goroutine, &read, 0).is_err() {
                losses::count(loss::WIRE_CALL_INSERT);
            }
        }
        action::RETURNS => {
            let Some(read) = WIRE_GO_READS.get_ptr(&goroutine) else { return 0 };
            // SAFETY: an element of the map, which only this goroutine writes.
            let read = unsafe { *read };
            let _ = WIRE_GO_READS.remove(&goroutine);
            let key = ConnectionKey { process: thread.process, address: read.connection };
            moved(thread, key, (direction::RECEIVED, 0), (read.buffer, registers.rax));
        }
        _ => close(&CONNECTIONS_OF_TLS, &key, thread, source::GO, now()),
    }
    0
}

#[inline(always)]
fn moved(thread: &Thread, key: ConnectionKey, way: (u32, u32), (buffer, moved): (u64, u64)) {
    if moved != 0 && moved <= MOST {
        tell(thread, key, source::GO, way, (buffer, moved));
    }
}
