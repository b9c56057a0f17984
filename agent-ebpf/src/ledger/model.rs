//! What connections to models tell: one is being made, a request was sent and nothing has come back, an answer comes.
//! An estimate: the bytes are not looked at, so what the end of an answer is, and what is a request, is guessed from
//! their number and their silence.
//!
//! Only the agent's own connections count: while a tool asks a model, the agent waits for the tool. That a tool asks is told, once
//! of each connection, for who reads what it says.

use agent_common::{
    agent::probe,
    ledger::{Connection, Endpoint, bit, role, speaks},
    loss,
    thread::Thread,
};
use aya_ebpf::{
    helpers::generated::bpf_get_current_task_btf,
    macros::{btf_tracepoint, map},
    maps::{HashMap, LruHashMap},
    programs::BtfTracePointContext,
};

use super::{
    is_watched, now,
    set::{answered, generation, round, shift},
};
use crate::{
    agents, lifecycle, losses,
    sockets::{MSG_PEEK, Sock, family, tcp},
    threads,
};

/// Where models answer, and how; filled by the daemon.
#[map]
static MODEL_ENDPOINTS: HashMap<Endpoint, u32> = HashMap::with_max_entries(4096, 0);

/// Connections to them, by the address of their `struct sock`. None is pushed out: what it counts would be counted for
/// ever. Those of agents that are let go are removed by the daemon.
#[map]
static CONNECTIONS: HashMap<u64, Connection> = HashMap::with_max_entries(4096, 0);

/// What tools have sent on theirs that could be a request, by the same address. Some may be pushed out.
#[map]
static TOOL_CONNECTIONS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(4096, 0);

/// A TLS record of fewer bytes is no request: the end of a handshake, a window update of HTTP/2, a ping.
const SMALL: u32 = 128;
/// What a server sends before it answers the first request, at most, bytes: session tickets, settings.
const PRELUDE: u64 = 1024;
/// When such things have come at the latest: so many round trips after the first request, and so long, ns.
const PRELUDE_ROUND_TRIPS: u64 = 2;
const PRELUDE_TIME: u64 = 20_000_000;

/// inet_sock_set_state(sk, oldstate, newstate)
#[btf_tracepoint(function = "inet_sock_set_state")]
fn model_socket_state(ctx: BtfTracePointContext) -> u32 {
    let (socket, state): (Sock, u32) = (Sock::of(&ctx), ctx.arg(2));
    match state {
        // The connecting thread's own doing; all others may come in an interrupt.
        tcp::SYN_SENT => {
            if let Some(thread) = asker()
                && let Some(connection) = meet(socket, thread, 0)
            {
                turn(connection, bit::LLM_CONNECT);
            }
        }
        tcp::ESTABLISHED => {
            if let Some(connection) = known(socket) {
                connection.round_trip = now() - connection.since;
                if connection.speaks == speaks::PLAIN {
                    turn(connection, bit::NONE);
                }
            }
        }
        tcp::FIN_WAIT1 | tcp::FIN_WAIT2 | tcp::CLOSE | tcp::CLOSE_WAIT => {
            if let Some(connection) = known(socket) {
                turn(connection, bit::NONE);
            }
            if state == tcp::CLOSE {
                let _ = CONNECTIONS.remove(socket.address());
                let _ = TOOL_CONNECTIONS.remove(socket.address());
            }
        }
        _ => {}
    }
    0
}

/// sock_send_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_send_length")]
fn model_send(ctx: BtfTracePointContext) -> u32 {
    let (socket, length): (Sock, i32) = (Sock::of(&ctx), ctx.arg(1));
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let Some(thread) = threads::get(task.cast()) else { return 0 };
    if length <= 0 {
        return 0;
    }
    if thread.role != role::OWN {
        tool_sent(socket, thread, length as u32);
        return 0;
    }
    if !is_watched(thread) {
        return 0;
    }
    // Of one that was there before its agent was, the handshake is over.
    let connection = match known(socket) {
        Some(connection) if connection.agent == thread.agent => connection,
        _ => match meet(socket, thread, 1) {
            Some(connection) => connection,
            None => return 0,
        },
    };
    let tls = connection.speaks == speaks::TLS;
    if tls && (length as u32) < SMALL {
        // The end of the handshake: it is connected.
        if connection.sent != 0 && connection.phase == bit::LLM_CONNECT {
            turn(connection, bit::NONE);
        }
        return 0;
    }
    connection.sent += 1;
    if tls && connection.sent == 1 {
        return 0;
    }
    if connection.phase != bit::LLM_FIRST_TOKEN {
        connection.since = now();
        turn(connection, bit::LLM_FIRST_TOKEN);
        lifecycle::report_model_request(thread, connection.since);
    }
    0
}

/// A tool has sent something.
#[inline(always)]
fn tool_sent(socket: Sock, thread: &Thread, length: u32) {
    if !agents::wants(thread.agent, probe::WIRE) {
        return;
    }
    let Some(endpoint) = endpoint(socket) else { return };
    // SAFETY: an element of the map.
    let Some(speaks) = MODEL_ENDPOINTS.get_ptr(endpoint).map(|speaks| unsafe { *speaks }) else { return };
    let tls = speaks == speaks::TLS;
    if tls && length < SMALL {
        return;
    }
    let address = socket.address();
    // SAFETY: as above.
    let before = TOOL_CONNECTIONS.get_ptr(address).map_or(0, |sent| unsafe { *sent });
    // By TLS the first is the beginning of the handshake.
    let request = if tls { 1 } else { 0 };
    if before > request {
        return;
    }
    if TOOL_CONNECTIONS.insert(address, before + 1, 0).is_err() {
        return losses::count(loss::CONNECTION_INSERT);
    }
    if before == request {
        lifecycle::report_model_request(thread, now());
    }
}

/// sock_recv_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_recv_length")]
fn model_receive(ctx: BtfTracePointContext) -> u32 {
    let (socket, length, flags): (Sock, i32, u32) = (Sock::of(&ctx), ctx.arg(1), ctx.arg(2));
    if asker().is_none() || length <= 0 || flags & MSG_PEEK != 0 {
        return 0;
    }
    let Some(connection) = known(socket) else { return 0 };
    if connection.phase != bit::LLM_FIRST_TOKEN && connection.phase != bit::LLM_STREAM {
        return 0;
    }
    if is_prelude(connection, length as u64) {
        return 0;
    }
    connection.answered = 1;
    stream(connection);
    0
}

/// Whether the `length` bytes that came are what a server sends by itself once the handshake is over, such as TLS 1.3's
/// session tickets: few, and too early for an answer. A client may send its first request in several pieces meanwhile.
#[inline(always)]
fn is_prelude(connection: &mut Connection, length: u64) -> bool {
    if connection.speaks != speaks::TLS || connection.answered != 0 {
        return false;
    }
    connection.received += length;
    let late = connection.since + PRELUDE_ROUND_TRIPS * connection.round_trip + PRELUDE_TIME;
    connection.received < PRELUDE && now() < late
}

/// The current thread, if it is one of an agent's own.
#[inline(always)]
fn asker() -> Option<&'static mut Thread> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let thread = threads::get(task.cast())?;
    if thread.role == role::OWN && is_watched(thread) { Some(thread) } else { None }
}

/// A connection that is followed, for an agent that is still there.
#[inline(always)]
fn known(socket: Sock) -> Option<&'static mut Connection> {
    let connection = CONNECTIONS.get_ptr_mut(socket.address())?;
    // SAFETY: an element of the map, whose words are written one by one.
    let connection = unsafe { &mut *connection };
    if connection.generation == generation(connection.agent) { Some(connection) } else { None }
}

/// Begins to follow a connection of `thread`'s agent, if it leads to a model.
#[inline(always)]
fn meet(socket: Sock, thread: &Thread, sent: u32) -> Option<&'static mut Connection> {
    let endpoint = endpoint(socket)?;
    // SAFETY: an element of the map.
    let speaks = unsafe { *MODEL_ENDPOINTS.get_ptr(endpoint)? };
    // The socket's memory may have been another's, or it another agent's: what that counted is over.
    if let Some(before) = known(socket) {
        turn(before, bit::NONE);
    }
    let connection = Connection {
        agent: thread.agent,
        phase: bit::NONE,
        generation: generation(thread.agent),
        stream_round: 0,
        speaks,
        sent: if speaks == speaks::TLS { sent } else { 0 },
        received: 0,
        since: now(),
        round_trip: 0,
        answered: sent,
        pad: 0,
    };
    if CONNECTIONS.insert(socket.address(), &connection, 0).is_err() {
        losses::count(loss::CONNECTION_INSERT);
        return None;
    }
    known(socket)
}

/// Where the socket leads.
#[inline(always)]
fn endpoint(socket: Sock) -> Option<Endpoint> {
    match socket.family() {
        family::INET | family::INET6 => {
            Some(Endpoint { address: socket.remote_address(), port: u32::from(socket.remote_port()) })
        }
        _ => None,
    }
}

/// The connection comes to another phase.
#[inline(always)]
fn turn(connection: &mut Connection, to: u32) {
    let from = connection.phase;
    if from == to {
        return;
    }
    connection.phase = to;
    let now = now();
    let left = if from == bit::LLM_STREAM && !is_current(connection, now, false) { bit::NONE } else { from };
    shift(connection.agent, now, None, None, left, to);
}

/// Bytes of an answer have come. One that was given up for over has gone on.
#[inline(always)]
fn stream(connection: &mut Connection) {
    let now = now();
    let current = is_current(connection, now, true);
    if connection.phase == bit::LLM_STREAM && current {
        return;
    }
    let left = if connection.phase == bit::LLM_STREAM { bit::NONE } else { connection.phase };
    connection.phase = bit::LLM_STREAM;
    shift(connection.agent, now, None, None, left, bit::LLM_STREAM);
}

/// Whether the answer that the connection counts is still counted; notes that bytes of it `came`.
#[inline(always)]
fn is_current(connection: &mut Connection, now: u64, came: bool) -> bool {
    let round = if came { answered(connection.agent, now) } else { round(connection.agent) };
    let current = connection.stream_round == round;
    connection.stream_round = round;
    current
}
