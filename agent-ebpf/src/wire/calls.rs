//! Calls of TLS libraries, and of a libc that tells nothing sooner. What a call moved is known when it returns: its
//! arguments are remembered until then.

use agent_common::{
    ledger::role,
    loss,
    thread::Thread,
    wire::{Call, ConnectionKey, Piece, action, direction, length, parts, source},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_attach_cookie, bpf_get_current_task_btf},
    },
    macros::{map, uprobe, uretprobe},
    maps::LruHashMap,
    programs::{ProbeContext, RetProbeContext},
};

use super::{
    CONNECTIONS_OF_TLS, caller, close, connection, count, interest, is_request, rest, stdio, through, wanted,
};
use crate::{
    calls::{Memory, read},
    clock::now,
    ledger, losses, threads,
};

/// The calls that are going on in another, for which the thread itself has no place: the `read` of a libc in the `SSL_read`
/// of a library, TLS in TLS.
#[map]
static WIRE_CALLS: LruHashMap<Frame, Call> = LruHashMap::with_max_entries(8192, 0);

/// More than any call moves: what is larger is no length.
pub(super) const MOST: u64 = 1 << 30;

/// What tells a call that is going on from others.
#[repr(C)]
#[derive(Clone, Copy)]
struct Frame {
    thread: u64,
    /// Where on the stack its return address is.
    stack: u64,
    /// Whose probe: of two functions of which one ends in a jump to the other, the return addresses are the same.
    source: u64,
}

/// A function of (connection, buffer, size, …) is called.
#[uprobe]
fn wire_call(ctx: ProbeContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    // SAFETY: the context is this program's, and its registers are the probed call's.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    let (at, address) = (now(), registers.rdi);
    let (action, direction, length, source) = parts(cookie);
    if action == action::CLOSE {
        let key = ConnectionKey { process: thread.process, address };
        close(&CONNECTIONS_OF_TLS, &key, thread, source, at);
        return 0;
    }
    // What is sent goes while the call lasts, what is received has come when it returns.
    let marks = direction == direction::SENT && thread.role == role::OWN && source != source::STDIO;
    let mark = u64::from(if marks { ledger::mark(thread.agent) } else { 0 });
    // SAFETY: they are fields of the registers. Volatile, since the verifier takes no choice between two places in them.
    let (fourth, fifth) =
        unsafe { ((&raw const registers.rcx).read_volatile(), (&raw const registers.r8).read_volatile()) };
    let told = if length == length::POINTED_BY_FIFTH { fifth } else { fourth };
    let call = Call { address, buffer: registers.rsi, length: registers.rdx, told, at, mark };
    begin(thread, (registers.rsp, source.into()), call);
    0
}

/// Remembers a call until it returns.
#[inline(always)]
fn begin(thread: &mut Thread, (stack, source): (u64, u64), call: Call) {
    let is_same = thread.wire_call_stack == stack && thread.wire_call_source == source;
    if thread.wire_call_stack == 0 || is_same {
        thread.wire_call_stack = stack;
        thread.wire_call_source = source;
        thread.wire_call = call;
        return;
    }
    let frame = Frame { thread: bpf_get_current_pid_tgid(), stack, source };
    if WIRE_CALLS.insert(frame, &call, 0).is_err() {
        losses::count(loss::WIRE_CALL_INSERT);
    }
}

/// The call that returns.
#[inline(always)]
fn end(thread: &mut Thread, (stack, source): (u64, u64)) -> Option<Call> {
    if thread.wire_call_stack == stack && thread.wire_call_source == source {
        thread.wire_call_stack = 0;
        return Some(thread.wire_call);
    }
    let frame = Frame { thread: bpf_get_current_pid_tgid(), stack, source };
    // SAFETY: an element of the map, which only this thread writes.
    let call = WIRE_CALLS.get_ptr(frame).map(|call| unsafe { *call })?;
    let _ = WIRE_CALLS.remove(frame);
    Some(call)
}

/// It returns.
#[uretprobe]
fn wire_return(ctx: RetProbeContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let Some(thread) = threads::get(task.cast()) else { return 0 };
    // SAFETY: the context is this program's, and its registers are those that the probed call leaves.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    let (_, direction, length, source) = parts(cookie);
    // The return address is taken off the stack by now.
    let stack = registers.rsp.wrapping_sub(8);
    let Some(call) = end(thread, (stack, source.into())) else { return 0 };
    let returned = registers.rax;
    if source == source::STDIO {
        stdio::returned(thread, (call.address, call.buffer, call.length), cookie, returned as i64);
        return 0;
    }
    let moved = match length {
        length::RETURNED if returned as i32 > 0 => u64::from(returned as u32),
        length::POINTED | length::POINTED_BY_FIFTH if returned as i32 == 1 => {
            read::<u64>(call.told).unwrap_or(0)
        }
        _ => 0,
    };
    if moved == 0 || moved > MOST {
        return 0;
    }
    let at = if direction == direction::SENT { call.at } else { now() };
    let key = ConnectionKey { process: thread.process, address: call.address };
    let (agent, mark) = (thread.agent, call.mark as u32);
    let head = Piece { at, key, opened: 0, position: 0, agent, direction, source, length: 0, mark, open: 0 };
    said(head, call.buffer, moved, thread.role == role::OWN);
    0
}

/// Bytes go through now, one way: the direction, and the mark.
#[inline(always)]
pub(super) fn tell(
    thread: &Thread,
    key: ConnectionKey,
    source: u32,
    (direction, mark): (u32, u32),
    what: (u64, u64),
) {
    tell_as(thread, key, source, (direction, mark, 0), what);
}

/// The same, of what may have no end yet: whether that is so is the last of the three. Whether it goes up.
#[inline(always)]
pub(super) fn tell_as(
    thread: &Thread,
    key: ConnectionKey,
    source: u32,
    (direction, mark, open): (u32, u32, u32),
    (buffer, moved): (u64, u64),
) -> bool {
    let (at, agent) = (now(), thread.agent);
    let head = Piece { at, key, opened: 0, position: 0, agent, direction, source, length: 0, mark, open };
    said(head, buffer, moved, thread.role == role::OWN)
}

/// Bytes went through. Whether it is told what they are.
#[inline(always)]
fn said(mut head: Piece, buffer: u64, moved: u64, own: bool) -> bool {
    let Some(connection) = connection(&CONNECTIONS_OF_TLS, &head.key, head.at) else { return false };
    let memory = Memory { at: buffer, buffers: 0 };
    let (wanted, asks) = wanted(&head.key, connection, head.direction, moved);
    if wanted == rest::BODY {
        count(connection, head.direction, moved);
        return false;
    }
    if wanted == rest::UNTIL_REQUEST {
        let is_request = || memory.first().is_some_and(is_request);
        if u64::from(head.direction) != asks || !is_request() {
            count(connection, head.direction, moved);
            return false;
        }
        connection.begin(head.at, interest::READ);
    }
    if own && head.direction == direction::RECEIVED {
        head.mark = ledger::mark(head.agent);
    }
    through(head, connection, memory, moved);
    true
}
