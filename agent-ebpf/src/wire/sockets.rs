//! What agents say on sockets without TLS, as clients and as servers: read from the memory of the calls that send and receive
//! it, as these return. No function is probed, and so any program is seen, however it was built.
//!
//! A connection is judged by the first bytes that are seen of it. One that does not begin as HTTP is left alone, unless a
//! request is sent on it later, or an answer; one that begins as TLS for good. Whoever is sent a request first is the server.
//! Limits: calls by io_uring and splice have no memory that could be read, and leave gaps; a process that
//! half-closes its connection is taken to be done; the kernel of 6.1 has no hooks where calls return.

use agent_common::{
    thread::Thread,
    wire::{ConnectionKey, Piece, SOCKET, direction, source},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::{
    Connection, PLAIN_CONNECTIONS, caller, close, count, insert, interest, is_request, known, mark, records,
    rest, stdio, through, wanted, word,
};
use crate::{
    calls::{Call, Memory, number},
    clock::now,
    sockets::{MSG_ERRQUEUE, MSG_PEEK, Sock, family, is_tls, protocol, tcp},
};

/// Results that say nothing of the connection: EINTR, EAGAIN; calls that are to begin again have yet others.
const EINTR: i32 = -4;
const EAGAIN: i32 = -11;
const ERESTARTSYS: i32 = -512;
/// Both sides.
const SHUT_RDWR: u32 = 2;

/// sock_send_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_send_length")]
fn wire_socket_send(ctx: BtfTracePointContext) -> u32 {
    if let Some(thread) = caller() {
        went(Sock::of(&ctx), thread, ctx.arg(1), direction::SENT);
    }
    0
}

/// sock_recv_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_recv_length")]
fn wire_socket_receive(ctx: BtfTracePointContext) -> u32 {
    let flags: u32 = ctx.arg(2);
    if flags & (MSG_PEEK | MSG_ERRQUEUE) == 0
        && let Some(thread) = caller()
    {
        went(Sock::of(&ctx), thread, ctx.arg(1), direction::RECEIVED);
    }
    0
}

/// inet_sock_set_state(sk, oldstate, newstate)
#[btf_tracepoint(function = "inet_sock_set_state")]
fn wire_socket_state(ctx: BtfTracePointContext) -> u32 {
    let (socket, old, new): (Sock, u32, u32) = (Sock::of(&ctx), ctx.arg(1), ctx.arg(2));
    let leaves = (old == tcp::ESTABLISHED || old == tcp::CLOSE_WAIT) && new != tcp::CLOSE_WAIT;
    // One side may have been shut down before.
    if !leaves && new != tcp::CLOSE {
        return 0;
    }
    // What closes it is the process's own doing, or an interrupt's, whose task knows nothing of it: a reset is told by the
    // next call.
    if let Some(thread) = caller()
        && !Call::current().is_some_and(|call| shuts_one_side(&call))
    {
        end(socket, thread);
    }
    0
}

/// Who shuts one side down may still listen.
#[inline(always)]
fn shuts_one_side(call: &Call) -> bool {
    call.number == number::SHUTDOWN && call.second as u32 != SHUT_RDWR
}

/// A call has returned.
#[inline(always)]
fn went(socket: Sock, thread: &mut Thread, result: i32, direction: u32) {
    // Whatever a thread sends next is what it has encrypted: what goes elsewhere, or is no record, was none of TLS.
    let sealed = if direction == direction::SENT { records::take_sealed(thread) } else { 0 };
    match socket.family() {
        family::UNIX if stdio::moved_by_socket(socket, thread, i64::from(result), direction) => return,
        family::UNIX => {}
        family::INET | family::INET6 if matches!(socket.protocol(), protocol::TCP | protocol::MPTCP) => {}
        _ => return,
    }
    if result <= 0 {
        let is_over = if result == 0 { direction == direction::RECEIVED } else { is_failure(result) };
        if is_over {
            end(socket, thread);
        }
        return;
    }
    let key = key(socket, thread);
    if direction == direction::RECEIVED {
        thread.wire_socket = key.address;
    } else if sealed != 0 && socket.family() != family::UNIX && sends_tls() {
        records::tie(thread, sealed, key);
    }
    match known(&PLAIN_CONNECTIONS, &key) {
        Some(connection) if connection.interest == interest::NEVER => {}
        Some(connection) => said(key, thread, connection, (result as u64, direction)),
        None => meet(key, thread, (result as u64, direction)),
    }
}

/// Whether what the current call sends begins with a record of TLS.
#[inline(always)]
fn sends_tls() -> bool {
    Call::current().and_then(|call| call.memory()).and_then(Memory::first).is_some_and(is_tls)
}

#[inline(always)]
fn is_failure(result: i32) -> bool {
    result != EINTR && result != EAGAIN && result > ERESTARTSYS
}

#[inline(always)]
fn key(socket: Sock, thread: &Thread) -> ConnectionKey {
    let cookie = match socket.known_cookie() {
        0 => socket.cookie(),
        cookie => cookie,
    };
    ConnectionKey { process: thread.process, address: SOCKET | cookie }
}

#[inline(always)]
fn end(socket: Sock, thread: &Thread) {
    let key = ConnectionKey { process: thread.process, address: SOCKET | socket.known_cookie() };
    close(&PLAIN_CONNECTIONS, &key, thread, source::SOCKET, now());
    records::ended(thread, &key);
}

/// A connection is seen for the first time.
#[inline(always)]
fn meet(key: ConnectionKey, thread: &Thread, moved: (u64, u32)) {
    let memory = Call::current().and_then(|call| call.memory());
    let interest = match memory.and_then(Memory::first) {
        Some(first) => judge(first, moved.1),
        None => interest::DISMISSED,
    };
    insert(&PLAIN_CONNECTIONS, &key, &Connection::new(now(), interest));
    if (interest == interest::READ || interest == interest::SERVED)
        && let (Some(connection), Some(memory)) = (known(&PLAIN_CONNECTIONS, &key), memory)
    {
        tell(key, thread, connection, memory, moved);
    }
}

/// What is to become of a connection that begins with this.
#[inline(always)]
fn judge(first: u32, direction: u32) -> u64 {
    let asks = if is_request(first) {
        direction == direction::SENT
    } else if first == word::HTTP {
        direction == direction::RECEIVED
    } else if is_tls(first) {
        return interest::NEVER;
    } else {
        return interest::DISMISSED;
    };
    if asks { interest::READ } else { interest::SERVED }
}

/// One that is known has sent or received.
#[inline(always)]
fn said(key: ConnectionKey, thread: &Thread, connection: &mut Connection, moved: (u64, u32)) {
    let (wanted, asks) = match connection.interest {
        // What a connection receives that is of no interest is not looked at.
        interest::DISMISSED => (rest::UNTIL_REQUEST, u64::from(direction::SENT)),
        _ => wanted(&key, connection, moved.1, moved.0),
    };
    if wanted == rest::BODY {
        return count(connection, moved.1, moved.0);
    }
    if wanted == rest::UNTIL_REQUEST && u64::from(moved.1) != asks {
        return;
    }
    let Some(memory) = Call::current().and_then(|call| call.memory()) else {
        return count(connection, moved.1, moved.0);
    };
    if wanted == rest::UNTIL_REQUEST {
        let Some(first) = memory.first() else { return };
        let by_daemon = connection.is_read();
        // What is no request may be an answer, to one that nobody looked at.
        if !is_request(first) && (by_daemon || first != word::HTTP) {
            return;
        }
        let interest = if by_daemon { connection.interest } else { judge(first, moved.1) };
        connection.begin(now(), interest);
    }
    tell(key, thread, connection, memory, moved);
}

#[inline(always)]
fn tell(
    key: ConnectionKey,
    thread: &Thread,
    connection: &mut Connection,
    memory: Memory,
    (moved, direction): (u64, u32),
) {
    // A server's answers say nothing of what it waits for.
    let mark = if connection.interest == interest::READ { mark(thread) } else { 0 };
    let (agent, source) = (thread.agent, source::SOCKET);
    let head =
        Piece { at: now(), key, opened: 0, position: 0, agent, direction, source, length: 0, mark, open: 0 };
    through(head, connection, memory, moved);
}
