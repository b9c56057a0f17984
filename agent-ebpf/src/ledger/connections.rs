//! What an agent's connections tell: one is being made, a request was sent and nothing has come back, an answer comes. Those
//! to models count under bits of their own, and those to all other hosts under others: an event loop that waits does not
//! say for what. An estimate: the bytes are not looked at, so what the end of an answer is, and what is a request, is
//! guessed from their number and their silence.
//!
//! Only the agent's own connections count: while a tool asks a model, the agent waits for the tool. Of tools' processes it is
//! noted that they have asked somebody: a helper that waits for that on an event loop does not wait to be asked. Only
//! those count that were made, over TCP: who is served is waited for by nobody.

use agent_common::{
    agent::probe,
    ledger::{Connection, Endpoint, is_awaited, period, phase, role, speaks},
    loss,
    thread::Thread,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::generated::bpf_get_current_task_btf,
    macros::{btf_tracepoint, map},
    maps::{HashMap, LruHashMap},
    programs::BtfTracePointContext,
};

use super::{
    is_watched, now,
    set::{self, generation},
};
use crate::{
    agents,
    calls::{Call, number},
    lifecycle, losses,
    sockets::{FIRST_CLIENT_PORT, MSG_ERRQUEUE, MSG_PEEK, Sock, family, is_handshake, is_tls, protocol, tcp},
    threads,
};

/// Where models answer, and how; filled by the daemon.
#[map]
static MODEL_ENDPOINTS: HashMap<Endpoint, u32> = HashMap::with_max_entries(4096, 0);

/// Connections, by the address of their `struct sock`. None is pushed out: what it counts would be counted for long. Those
/// of agents that are let go are removed by the daemon.
#[map]
static CONNECTIONS: HashMap<u64, Connection> = HashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

/// Processes of tools that have asked a host, and in which period, until they answer their agent.
#[map]
static UPSTREAM: LruHashMap<u64, u64> = LruHashMap::with_max_entries(4096, 0);

/// A TLS record of fewer bytes is no request to a model, nor to anybody while a connection is being made: the end of a
/// handshake.
const SMALL: u32 = 128;
/// What TLS adds to what is said: version 1.3, and 1.2.
const RECORD: [u32; 2] = [22, 29];
/// What asks for nothing is said at once after something came, ns.
const REACTION: u64 = 10_000_000;
/// No more than this is a ping or its answer (WebSocket).
const PING: u32 = 10;
/// Frames of HTTP/2 that ask for nothing: a window update or a reset, a ping or a farewell, two window updates.
const FRAMES: [u32; 3] = [13, 17, 26];
/// What is still sent of a request that nobody has answered for long is no log that is shipped if it is as much at once.
const BULK: u32 = 16_384;
/// Sends after which a connection in the clear stays so: a proxy is asked first, and TLS follows.
const SETTLED: u32 = 3;
/// What a server sends by itself before it answers the first request, at most, bytes: session tickets, settings.
const PRELUDE: u64 = 600;
/// For how long that comes, ns: a server that delays small packets (Nagle) waits for the client's acknowledgement, 40 ms.
const PRELUDE_LASTS: u64 = 60_000_000;
/// When such things have come at the latest: so many times what connecting took after the first request, and so long, ns.
const PRELUDE_ROUND_TRIPS: u64 = 2;
const PRELUDE_TIME: u64 = 80_000_000;
/// The port of TLS, where the first bytes cannot be read.
const TLS_PORT: u16 = 443;

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
                connection.connect = connection.round_trip;
                // A handshake of TLS goes on with what is sent next.
                turn(connection, phase::NONE);
            }
        }
        // Who has said all that it has to say may still wait for an answer.
        tcp::FIN_WAIT1 if Call::current().is_some_and(|call| call.number == number::SHUTDOWN) => {}
        tcp::FIN_WAIT1 | tcp::CLOSE | tcp::CLOSE_WAIT => {
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
    if connection.speaks != speaks::TLS && connection.sent < SETTLED {
        listen_to(connection, socket);
    }
    let tls = connection.speaks == speaks::TLS;
    if is_small(connection, length as u32) {
        // The end of the handshake: it is connected. Who takes long for that takes long for its tickets.
        if connection.sent != 0 && connection.phase == phase::CONNECT {
            connection.round_trip = now() - connection.since;
            takes_longer(connection, connection.round_trip);
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
    asked(connection, thread, length as u32);
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
    connection.heard_at = now();
    let waits = connection.phase == phase::REQUEST || connection.phase == phase::RESPONSE;
    // A host may say something unasked, but a model does not, nor anybody before TLS was asked for the first time.
    let begins = connection.speaks == speaks::TLS && connection.answered == 0;
    if connection.phase == phase::CONNECT || (begins && is_prelude(connection, length as u64)) {
        return 0;
    }
    if !waits && (begins || connection.model != 0) {
        return 0;
    }
    (connection.answered, connection.one_way) = (1, 0);
    if connection.phase != phase::RESPONSE || (connection.process == 0 && !set::goes_on(connection, now())) {
        comes_to(connection, phase::RESPONSE);
    }
    0
}

/// A request goes out, or `length` bytes more of one.
#[inline(always)]
fn asked(connection: &mut Connection, thread: &Thread, length: u32) {
    if connection.phase == phase::REQUEST {
        if connection.model == 0 && !is_awaited(connection.round, now()) {
            let bulk = length >= BULK;
            connection.one_way = !bulk as u16;
            comes_to(connection, if bulk { phase::REQUEST } else { phase::NONE });
        }
        return;
    }
    if connection.one_way != 0 {
        return;
    }
    let now = now();
    // The end of the handshake went with it.
    if connection.phase == phase::CONNECT {
        takes_longer(connection, now - connection.since);
    }
    if connection.model != 0 {
        lifecycle::report_model_request(thread, now, connection.connect);
    }
    (connection.since, connection.connect) = (now, 0);
    turn(connection, phase::REQUEST);
}

/// Connecting took so much longer, if it was seen to begin.
#[inline(always)]
fn takes_longer(connection: &mut Connection, time: u64) {
    if connection.connect != 0 {
        connection.connect += time;
    }
}

/// Finds out how a connection speaks, by what is sent on it at first.
#[inline(always)]
fn listen_to(connection: &mut Connection, socket: Sock) {
    let first = Call::current().and_then(|call| call.memory()).and_then(|memory| memory.first());
    let tls = match first {
        Some(first) => is_tls(first),
        None => socket.remote_port() == TLS_PORT,
    };
    if tls && connection.speaks == speaks::PLAIN {
        // What is no handshake comes after one.
        let begun = first.is_some_and(|first| !is_handshake(first)) as u32;
        (connection.sent, connection.answered) = (begun, begun);
    }
    connection.speaks = if tls { speaks::TLS } else { speaks::PLAIN };
}

#[inline(always)]
fn is_small(connection: &Connection, length: u32) -> bool {
    let tls = connection.speaks == speaks::TLS;
    if connection.model != 0 || connection.phase == phase::CONNECT {
        return tls && length < SMALL;
    }
    let asks_nothing = if tls {
        // It is not known which version it is.
        asks_nothing(length, RECORD[0]) || asks_nothing(length, RECORD[1])
    } else {
        asks_nothing(length, 0)
    };
    asks_nothing && now() < connection.heard_at + REACTION
}

/// Whether so many bytes, of which so many are `added` to what is said, are what the protocols say by themselves.
#[inline(always)]
fn asks_nothing(length: u32, added: u32) -> bool {
    length <= added + PING
        || length == added + FRAMES[0]
        || length == added + FRAMES[1]
        || length == added + FRAMES[2]
}

/// Whether the `length` bytes that came are what a server sends by itself once the handshake of TLS is over, such as session
/// tickets: few, at once, and too early for an answer. A client may send its first request in several pieces meanwhile.
#[inline(always)]
fn is_prelude(connection: &mut Connection, length: u64) -> bool {
    let now = now();
    connection.received += length;
    if connection.prelude_at == 0 {
        connection.prelude_at = now;
    }
    let late = connection.since + PRELUDE_ROUND_TRIPS * connection.round_trip + PRELUDE_TIME;
    connection.received < PRELUDE && now < connection.prelude_at + PRELUDE_LASTS && now < late
}

/// The current thread, if what it asks is of interest: to the ledger, or, of a tool, to who reads what it says.
#[inline(always)]
fn asker() -> Option<&'static mut Thread> {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let thread = threads::get(task.cast())?;
    let reads = thread.role != role::OWN && agents::wants(thread.agent, probe::WIRE);
    if reads || is_watched(thread) { Some(thread) } else { None }
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
    // A peer may have ended it while it was sent to; nobody would tell of its end again.
    if sent != 0 && socket.state() == tcp::CLOSE {
        return None;
    }
    let own = thread.role == role::OWN;
    let endpoint = Endpoint { address: socket.remote_address(), port: u32::from(socket.remote_port()) };
    let speaks = match MODEL_ENDPOINTS.get_ptr(endpoint) {
        // SAFETY: an element of the map.
        Some(speaks) => unsafe { *speaks },
        _ if sent == 0 || is_client(socket) => speaks::UNKNOWN,
        _ => return None,
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
        prelude_at: 0,
        heard_at: 0,
        since: now(),
        round_trip: 0,
        connect: 0,
        process: if own { 0 } else { thread.process },
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

/// The connection comes to another phase.
#[inline(always)]
fn turn(connection: &mut Connection, to: u32) {
    if connection.phase != to {
        comes_to(connection, to);
    }
}

/// The same, though it may be in that phase already.
#[inline(always)]
fn comes_to(connection: &mut Connection, to: u32) {
    if connection.process == 0 {
        return set::turn(connection, to);
    }
    (connection.phase, connection.round) = (to, period(now()));
    // Full it cannot be: who asked first makes room.
    if to != phase::NONE {
        let _ = UPSTREAM.insert(connection.process, connection.round, 0);
    }
}

/// A tool's process has told its agent something: it has no use for more of what it asked for.
#[inline(always)]
pub(super) fn has_told(process: u64) {
    let _ = UPSTREAM.remove(process);
}

/// Whether a tool's process waits for somebody whom it has asked.
#[inline(always)]
pub(super) fn waits_upstream(process: u64) -> bool {
    // SAFETY: an element of the map.
    UPSTREAM.get_ptr(process).is_some_and(|asked| is_awaited(unsafe { *asked }, now()))
}
