//! Plaintext of TLS: probes on the functions of TLS libraries hand what agents send and receive to the daemon, as it goes
//! through. Attached to processes of agents only, so that nobody else pays.
//!
//! What a call moved is known when it returns: its arguments are remembered until then. Bytes go up in records of three
//! sizes with their place in the connection, so that whoever reads them sees what is missing: what found no room, and the
//! middle of very large calls. A connection that the daemon dismissed costs a look at the beginning of what it sends,
//! since a request may be the first of interest.

use core::ffi::c_void;

use agent_common::{
    agent::probe,
    ledger::role,
    loss,
    wire::{CONNECTIONS, ConnectionKey, HEADS, LARGEST, Piece, RING_BYTES, action, direction, length, parts},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid, bpf_ktime_get_ns, bpf_probe_read_user,
        generated::{
            bpf_get_attach_cookie, bpf_get_current_task_btf, bpf_loop, bpf_probe_read_user as read_user,
        },
    },
    macros::{map, uprobe, uretprobe},
    maps::{LruHashMap, RingBuf},
    programs::{ProbeContext, RetProbeContext},
};

use crate::{agents, ledger, losses, threads};

/// What goes up.
#[map]
static WIRE: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// The calls that are going on, by thread.
#[map]
static WIRE_CALLS: LruHashMap<u64, Call> = LruHashMap::with_max_entries(8192, 0);

/// Where connections stand.
#[map]
static WIRE_CONNECTIONS: LruHashMap<ConnectionKey, Connection> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// Connections that are of no interest, and when they were opened; filled by the daemon.
#[map]
static WIRE_DISMISSED: LruHashMap<ConnectionKey, u64> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// `BPF_RB_NO_WAKEUP`: nobody sleeps on the ring.
const NO_WAKEUP: u64 = 1;
/// More than any call moves: what is larger is no length.
const MOST: u64 = 1 << 30;
/// What requests of interest begin with: HTTP/1's method, HTTP/2's preface.
const POST: u32 = u32::from_le_bytes(*b"POST");
const PRI: u32 = u32::from_le_bytes(*b"PRI ");

/// A call that is going on.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    cookie: u64,
    address: u64,
    buffer: u64,
    /// The fourth argument: where the number of bytes will be.
    told: u64,
    at: u64,
    /// The agent's mark when it began.
    mark: u64,
}

/// Where a connection stands.
#[repr(C)]
#[derive(Clone, Copy)]
struct Connection {
    opened: u64,
    sent: u64,
    received: u64,
}

/// A function of (connection, buffer, size, …) is called.
#[uprobe]
fn wire_call(ctx: ProbeContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let Some(thread) = threads::get(task.cast()) else { return 0 };
    if !agents::wants(thread.agent, probe::WIRE) {
        return 0;
    }
    // SAFETY: the context is this program's, and its registers are the probed call's.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    // SAFETY: the helper has no preconditions.
    let at = unsafe { bpf_ktime_get_ns() };
    let address = registers.rdi;
    let (action, direction, _, source) = parts(cookie);
    if action == action::CLOSE {
        close(ConnectionKey { process: thread.process, address }, (thread.agent, source), at);
        return 0;
    }
    // What is sent goes while the call lasts, what is received has come when it returns.
    let mark =
        if direction == direction::SENT && thread.role == role::OWN { ledger::mark(thread.agent) } else { 0 };
    let mark = u64::from(mark);
    let call = Call { cookie, address, buffer: registers.rsi, told: registers.rcx, at, mark };
    if WIRE_CALLS.insert(bpf_get_current_pid_tgid(), &call, 0).is_err() {
        losses::count(loss::WIRE_CALL_INSERT);
    }
    0
}

/// It returns.
#[uretprobe]
fn wire_return(ctx: RetProbeContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let Some(thread) = threads::get(task.cast()) else { return 0 };
    let id = bpf_get_current_pid_tgid();
    let Some(call) = WIRE_CALLS.get_ptr(id) else { return 0 };
    // SAFETY: an element of the map, which only this thread writes.
    let call = unsafe { *call };
    let _ = WIRE_CALLS.remove(id);
    let (_, direction, length, source) = parts(call.cookie);
    // SAFETY: the registers are the probed call's.
    let returned = unsafe { (*ctx.regs).rax } as i32;
    let moved = match length {
        length::RETURNED if returned > 0 => returned as u64,
        // SAFETY: the read is checked.
        length::POINTED if returned == 1 => {
            unsafe { bpf_probe_read_user(call.told as *const u64) }.unwrap_or(0)
        }
        _ => 0,
    };
    if moved == 0 || moved > MOST {
        return 0;
    }
    // SAFETY: the helper has no preconditions.
    let at = if direction == direction::SENT { call.at } else { unsafe { bpf_ktime_get_ns() } };
    let key = ConnectionKey { process: thread.process, address: call.address };
    let (agent, mark) = (thread.agent, call.mark as u32);
    let head = Piece { at, key, opened: 0, position: 0, agent, direction, source, length: 0, mark, pad: 0 };
    through(head, call.buffer, moved, thread.role == role::OWN);
    0
}

/// Bytes went through.
#[inline(always)]
fn through(mut head: Piece, buffer: u64, moved: u64, own: bool) {
    let Some(connection) = connection(&head.key, head.at) else { return };
    if is_dismissed(&head.key, connection) {
        if head.direction == direction::RECEIVED || !begins_request(buffer) {
            return count(connection, head.direction, moved);
        }
        *connection = Connection { opened: head.at, sent: 0, received: 0 };
    }
    if own && head.direction == direction::RECEIVED {
        head.mark = ledger::mark(head.agent);
    }
    head.opened = connection.opened;
    head.position = if head.direction == direction::SENT { connection.sent } else { connection.received };
    count(connection, head.direction, moved);
    let mut pieces = Pieces { head, from: buffer, moved, heads: HEADS };
    let records = moved.div_ceil(LARGEST as u64) as u32;
    let records = if records > HEADS + 1 { HEADS + 1 } else { records };
    // SAFETY: `tell` takes such a context.
    unsafe { bpf_loop(records, tell as *mut c_void, (&raw mut pieces).cast(), 0) };
}

#[inline(always)]
fn count(connection: &mut Connection, direction: u32, moved: u64) {
    if direction == direction::SENT {
        connection.sent += moved;
    } else {
        connection.received += moved;
    }
}

/// The connection of this key, new if need be.
#[inline(always)]
fn connection(key: &ConnectionKey, at: u64) -> Option<&'static mut Connection> {
    if WIRE_CONNECTIONS.get_ptr(key).is_none() {
        let new = Connection { opened: at, sent: 0, received: 0 };
        if WIRE_CONNECTIONS.insert(key, &new, 0).is_err() {
            losses::count(loss::WIRE_CONNECTION_INSERT);
        }
    }
    // SAFETY: an element of the map; the calls of one connection follow each other, as its library demands.
    WIRE_CONNECTIONS.get_ptr_mut(key).map(|connection| unsafe { &mut *connection })
}

#[inline(always)]
fn is_dismissed(key: &ConnectionKey, connection: &Connection) -> bool {
    // SAFETY: an element of the map.
    WIRE_DISMISSED.get_ptr(key).is_some_and(|opened| unsafe { *opened } == connection.opened)
}

/// Whether what is sent may be a request of interest.
#[inline(always)]
fn begins_request(buffer: u64) -> bool {
    // SAFETY: the read is checked.
    unsafe { bpf_probe_read_user(buffer as *const u32) }.is_ok_and(|word| word == POST || word == PRI)
}

/// What a call moved, on its way up.
struct Pieces {
    head: Piece,
    from: u64,
    moved: u64,
    heads: u32,
}

/// Tells one record of it: those at the beginning in order, then the end.
extern "C" fn tell(index: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `through`, whose context it is.
    let pieces = unsafe { &*context.cast::<Pieces>() };
    let mut offset = u64::from(index) * LARGEST as u64;
    if index == pieces.heads && pieces.moved - offset > LARGEST as u64 {
        offset = pieces.moved - LARGEST as u64;
    }
    let left = pieces.moved - offset;
    let size = if left > LARGEST as u64 { LARGEST as u64 } else { left };
    if size <= 512 {
        put::<{ 512 + size_of::<Piece>() }>(pieces, offset, size)
    } else if size <= 4096 {
        put::<{ 4096 + size_of::<Piece>() }>(pieces, offset, size)
    } else {
        put::<{ LARGEST + size_of::<Piece>() }>(pieces, offset, size)
    }
    0
}

#[inline(always)]
fn put<const N: usize>(pieces: &Pieces, offset: u64, mut size: u64) {
    let Some(mut entry) = WIRE.reserve::<[u8; N]>(0) else { return losses::count(loss::WIRE_RING_FULL) };
    let most = (N - size_of::<Piece>()) as u64;
    // SAFETY: opaque to the optimiser, so that the bound below is tested on the register that the helper gets.
    unsafe { core::arch::asm!("{0} += 0", inout(reg) size) };
    if size > most {
        size = most;
    }
    let head = entry.as_mut_ptr().cast::<Piece>();
    // SAFETY: the record is ours until it is submitted, and as long as its head and `most` bytes; the read is checked.
    unsafe {
        copy(head, &pieces.head);
        (*head).position = pieces.head.position + offset;
        (*head).length = size as u32;
        if read_user(head.add(1).cast(), size as u32, (pieces.from + offset) as *const c_void) != 0 {
            losses::count(loss::WIRE_UNREADABLE);
            entry.discard(NO_WAKEUP);
            return;
        }
    }
    entry.submit(NO_WAKEUP);
}

/// Copies a head word by word: the compiler's own copy may become one of bytes.
#[inline(always)]
unsafe fn copy(to: *mut Piece, from: &Piece) {
    let (to, from) = (to.cast::<u64>(), core::ptr::from_ref(from).cast::<u64>());
    for word in 0..size_of::<Piece>() / 8 {
        // SAFETY: both are heads, by contract.
        unsafe { to.add(word).write(from.add(word).read()) }
    }
}

/// The connection is over, if it was one.
#[inline(always)]
fn close(key: ConnectionKey, (agent, source): (u32, u32), at: u64) {
    let Some(known) = WIRE_CONNECTIONS.get_ptr(&key) else { return };
    // SAFETY: an element of the map.
    let opened = unsafe { (*known).opened };
    let _ = WIRE_CONNECTIONS.remove(&key);
    let Some(mut entry) = WIRE.reserve::<Piece>(0) else { return losses::count(loss::WIRE_RING_FULL) };
    let direction = direction::CLOSED;
    let (position, length, mark, pad) = (0, 0, 0, 0);
    entry.write(Piece { at, key, opened, position, agent, direction, source, length, mark, pad });
    entry.submit(NO_WAKEUP);
}
