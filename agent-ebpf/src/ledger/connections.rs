//! What an agent's connections tell: one is being made, a request was sent and nothing has come back, an answer comes. Those
//! to models count under bits of their own, and those to all other hosts under others: an event loop that waits does not
//! say for what. An estimate: the bytes are not looked at, so what the end of an answer is, and what is a request, is
//! guessed from their number and their silence.
//!
//! Only the agent's own connections count: while a tool asks a model, the agent waits for the tool. Only those that it has
//! made, over TCP: who is served is waited for by nobody.

use agent_common::{
    ledger::{Connection, Endpoint, bit, period, phase, request_of, role, speaks},
    loss,
    thread::Thread,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::generated::bpf_get_current_task_btf,
    macros::{btf_tracepoint, map},
    maps::HashMap,
    programs::BtfTracePointContext,
};

use super::{
    is_watched, now,
    set::{self, answered, generation, round, shift},
};
use crate::{
    calls::Call,
    lifecycle, losses,
    sockets::{MSG_ERRQUEUE, MSG_PEEK, Sock, family, is_tls, protocol, tcp},
    threads,
};

/// Where models answer, and how; filled by the daemon.
#[map]
static MODEL_ENDPOINTS: HashMap<Endpoint, u32> = HashMap::with_max_entries(4096, 0);

/// Connections, by the address of their `struct sock`. None is pushed out: what it counts would be counted for long. Those
/// of agents that are let go are removed by the daemon.
#[map]
static CONNECTIONS: HashMap<u64, Connection> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// A TLS record of fewer bytes is no request: the end of a handshake.
const SMALL: u32 = 128;
/// The same once the handshake is over: a window update of HTTP/2, a ping. Requests to models are longer than that.
const SMALL_AFTERWARDS: u32 = 64;
/// What a server sends before it answers the first request, at most, bytes: session tickets, settings.
const PRELUDE: u64 = 1024;
/// When such things have come at the latest: so many times what connecting took after the first request, and so long, ns.
const PRELUDE_ROUND_TRIPS: u64 = 2;
const PRELUDE_TIME: u64 = 50_000_000;
/// The port of TLS, where the first bytes cannot be read.
const TLS_PORT: u16 = 443;
/// The first port that a client is given by default. Servers of others' have ports below.
const FIRST_CLIENT_PORT: u16 = 32_768;

/// inet_sock_set_state(sk, oldstate, newstate)
#[btf_tracepoint(function = "inet_sock_set_state")]
fn connection_state(ctx: BtfTracePointContext) -> u32 {
    let (socket, state): (Sock, u32) = (Sock::of(&ctx), ctx.arg(2));
    match state {
        // The connecting thread's own doing; all others may come in an interrupt.
        tcp::SYN_SENT => {
            if let Some(thread) = asker()
                && let Some(connection) = meet(socket, thread, 0)
            {
                turn(connection, phase::CONNECT);
            }
        }
        tcp::ESTABLISHED => {
            if let Some(connection) = known(socket) {
                connection.round_trip = now() - connection.since;
                if connection.speaks != speaks::TLS {
                    turn(connection, phase::NONE);
                }
            }
        }
        tcp::FIN_WAIT1 | tcp::FIN_WAIT2 | tcp::CLOSE | tcp::CLOSE_WAIT => {
            if let Some(connection) = known(socket) {
                turn(connection, phase::NONE);
            }
            if state == tcp::CLOSE {
                let _ = CONNECTIONS.remove(socket.address());
            }
        }
        _ => {}
    }
    0
}

/// sock_send_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_send_length")]
fn connection_send(ctx: BtfTracePointContext) -> u32 {
    let (socket, length): (Sock, i32) = (Sock::of(&ctx), ctx.arg(1));
    let Some(thread) = asker() else { return 0 };
    if length <= 0 {
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
    if connection.speaks == speaks::UNKNOWN {
        listen_to(connection, socket);
    }
    let tls = connection.speaks == speaks::TLS;
    if tls && is_small(connection, length as u32) {
        // The end of the handshake: it is connected. Who takes long for that takes long for its tickets.
        if connection.sent != 0 && connection.phase == phase::CONNECT {
            connection.round_trip = now() - connection.since;
            turn(connection, phase::NONE);
        }
        return 0;
    }
    connection.sent += 1;
    if tls && connection.sent == 1 {
        connection.since = now();
        turn(connection, phase::CONNECT);
        return 0;
    }
    asked(connection, thread);
    0
}

/// sock_recv_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_recv_length")]
fn connection_receive(ctx: BtfTracePointContext) -> u32 {
    let (socket, length, flags): (Sock, i32, u32) = (Sock::of(&ctx), ctx.arg(1), ctx.arg(2));
    if asker().is_none() || length <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return 0;
    }
    let Some(connection) = known(socket) else { return 0 };
    let waits = connection.phase == phase::REQUEST || connection.phase == phase::RESPONSE;
    // A host may say something unasked, but a model does not, nor anybody before TLS was asked for the first time.
    let begins = connection.speaks == speaks::TLS && connection.answered == 0;
    if connection.phase == phase::CONNECT || (!waits && (begins || connection.model != 0)) {
        return 0;
    }
    if is_prelude(connection, length as u64) {
        return 0;
    }
    (connection.answered, connection.one_way) = (1, 0);
    if connection.model != 0 {
        stream(connection);
    } else {
        respond(connection);
    }
    0
}

/// A request goes out, or more of one.
#[inline(always)]
fn asked(connection: &mut Connection, thread: &Thread) {
    if connection.phase == phase::REQUEST {
        // Given up, and still nobody answers.
        if connection.model == 0 && !is_counted(connection, now()) {
            (connection.phase, connection.one_way) = (phase::NONE, 1);
        }
        return;
    }
    if connection.one_way != 0 {
        return;
    }
    connection.since = now();
    turn(connection, phase::REQUEST);
    if connection.model != 0 {
        lifecycle::report_model_request(thread.agent, thread.process, connection.since);
    }
}

/// Finds out how a connection speaks, by the first bytes that are sent on it.
#[inline(always)]
fn listen_to(connection: &mut Connection, socket: Sock) {
    let first = Call::current().and_then(|call| call.memory()).and_then(|memory| memory.first());
    let tls = match first {
        Some(first) => is_tls(first),
        None => socket.remote_port() == TLS_PORT,
    };
    connection.speaks = if tls { speaks::TLS } else { speaks::PLAIN };
}

#[inline(always)]
fn is_small(connection: &Connection, length: u32) -> bool {
    let over = connection.model == 0 && connection.sent > 1;
    length < if over { SMALL_AFTERWARDS } else { SMALL }
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

/// Begins to follow a connection of `thread`'s agent, which was `sent` something before if it is not new.
#[inline(always)]
fn meet(socket: Sock, thread: &Thread, sent: u32) -> Option<&'static mut Connection> {
    if !matches!(socket.family(), family::INET | family::INET6) || !is_tcp(socket) {
        return None;
    }
    let endpoint = Endpoint { address: socket.remote_address(), port: u32::from(socket.remote_port()) };
    let speaks = match MODEL_ENDPOINTS.get_ptr(endpoint) {
        // SAFETY: an element of the map.
        Some(speaks) => unsafe { *speaks },
        None if sent == 0 || is_client(socket) => speaks::UNKNOWN,
        None => return None,
    };
    // The socket's memory may have been another's, or it another agent's: what that counted is over.
    if let Some(before) = known(socket) {
        turn(before, phase::NONE);
    }
    let connection = Connection {
        agent: thread.agent,
        phase: phase::NONE,
        generation: generation(thread.agent),
        round: 0,
        speaks,
        sent: if speaks == speaks::PLAIN { 0 } else { sent },
        received: 0,
        since: now(),
        round_trip: 0,
        answered: sent,
        model: (speaks != speaks::UNKNOWN) as u16,
        one_way: 0,
    };
    if CONNECTIONS.insert(socket.address(), &connection, 0).is_err() {
        losses::count(loss::CONNECTION_INSERT);
        return None;
    }
    known(socket)
}

#[inline(always)]
fn is_tcp(socket: Sock) -> bool {
    matches!(socket.protocol(), protocol::TCP | protocol::MPTCP)
}

/// Whether this end has made the connection, as far as its ports tell.
#[inline(always)]
fn is_client(socket: Sock) -> bool {
    socket.local_port() >= FIRST_CLIENT_PORT && socket.remote_port() < FIRST_CLIENT_PORT
}

/// The connection comes to another phase, which is not that of an answer.
#[inline(always)]
fn turn(connection: &mut Connection, to: u32) {
    if connection.phase == to {
        return;
    }
    let now = now();
    let left = counted_under(connection, now);
    connection.phase = to;
    if connection.model == 0 {
        connection.round = period(now);
    }
    let entered = counted_under(connection, now);
    shift(connection.agent, now, None, None, left, entered);
}

/// The bit that the connection is counted under.
#[inline(always)]
fn counted_under(connection: &Connection, now: u64) -> u32 {
    let model = connection.model != 0;
    match connection.phase {
        phase::CONNECT if model => bit::LLM_CONNECT,
        phase::REQUEST if model => bit::LLM_FIRST_TOKEN,
        phase::RESPONSE if model && is_counted(connection, now) => bit::LLM_STREAM,
        phase::CONNECT | phase::REQUEST if !model && is_counted(connection, now) => {
            request_of(connection.round)
        }
        _ => bit::NONE,
    }
}

/// Whether the ledger has not given up what the connection waits for.
#[inline(always)]
fn is_counted(connection: &Connection, now: u64) -> bool {
    if connection.model != 0 {
        connection.round == round(connection.agent)
    } else {
        period(now) < connection.round + 2
    }
}

/// Bytes of a model's answer have come. One that was given up for over has gone on.
#[inline(always)]
fn stream(connection: &mut Connection) {
    let now = now();
    let left = counted_under(connection, now);
    connection.phase = phase::RESPONSE;
    connection.round = answered(connection.agent, now);
    if left != bit::LLM_STREAM {
        shift(connection.agent, now, None, None, left, bit::LLM_STREAM);
    }
}

/// Bytes of another host's answer have come: the agent is counted under that once, whoever answers.
#[inline(always)]
fn respond(connection: &mut Connection) {
    let now = now();
    let left = counted_under(connection, now);
    connection.phase = phase::RESPONSE;
    let entered = if set::responds(connection.agent, now) { bit::NONE } else { bit::NETWORK_RESPONSE };
    if left != entered {
        shift(connection.agent, now, None, None, left, entered);
    }
}
