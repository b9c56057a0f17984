//! What processes send, receive and connect to, by peer.
//!
//! Bytes are counted where calls return, under the process that calls. Of connections, only the connecting thread's
//! first step is its own doing: whether one is made, fails or sends again comes in interrupts that borrow any task, and
//! is its owner's, by the cookie of the socket. Who belongs to no agent pays a look-up; the kernel of 6.1 has no hooks
//! where calls return, so that bytes are not seen there.
//!
//! Ports that are listened on already when an agent is attached are told by the daemon.
//!
//! Limits: a connect that finds no route fails before it is seen. Of processes that listen on one address and port, the last
//! one is taken for all. A datagram socket that is not connected is with whom it last
//! sent to; one that receives before it sends is a server, whose clients are not told apart.

mod arguments;

use agent_common::{
    agent::probe,
    loss,
    network::{FailureKey, Listener, ListenerKey, NetworkKey, NetworkValue, Peer, Socket, protocol, side},
    thread::Thread,
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::generated::bpf_get_current_task_btf,
    macros::{btf_tracepoint, map},
    maps::{LruHashMap, PerCpuHashMap},
    programs::BtfTracePointContext,
};

use crate::{
    agents,
    atomics::{add, exchange},
    clock::{bucket, now},
    epoch, losses,
    sockets::{MSG_ERRQUEUE, MSG_PEEK, Sock, family, mapped, protocol as ip, tcp},
    threads,
};

type Traffic = PerCpuHashMap<NetworkKey, NetworkValue>;
type Failures = PerCpuHashMap<FailureKey, u64>;

#[map]
static NETWORK_EVEN: Traffic = PerCpuHashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);
#[map]
static NETWORK_ODD: Traffic = PerCpuHashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);
#[map]
static FAILURES_EVEN: Failures = PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);
#[map]
static FAILURES_ODD: Failures = PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// Sockets of agents, by cookie.
#[map]
static SOCKETS: LruHashMap<u64, Socket> = LruHashMap::with_max_entries(16_384, 0);

/// Ports that agents listen on.
#[map]
static LISTENERS: LruHashMap<ListenerKey, Listener> = LruHashMap::with_max_entries(1024, 0);

static ZERO: NetworkValue = NetworkValue::ZERO;
static NO_FAILURES: u64 = 0;

/// The port of name servers.
const NAMES_PORT: u16 = 53;

/// inet_sock_set_state(sk, oldstate, newstate)
#[btf_tracepoint(function = "inet_sock_set_state")]
fn network_state(ctx: BtfTracePointContext) -> u32 {
    let (socket, old, new): (Sock, u32, u32) = (Sock::of(&ctx), ctx.arg(1), ctx.arg(2));
    // MPTCP's is told by the socket beneath it.
    if socket.protocol() != ip::TCP {
        return 0;
    }
    match new {
        // The thread's own doing, as is to listen; all others may come in an interrupt.
        tcp::SYN_SENT => connecting(socket),
        tcp::LISTEN => listening(socket),
        tcp::ESTABLISHED if old == tcp::SYN_SENT => connected(socket),
        tcp::ESTABLISHED if old == tcp::SYN_RECV => accepted(socket),
        tcp::CLOSE => closed(socket, old),
        _ => {}
    }
    0
}

/// tcp_retransmit_skb(sk, skb, …)
#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn network_retransmit(ctx: BtfTracePointContext) -> u32 {
    if let Some(known) = known(Sock::of(&ctx))
        && let Some(traffic) = traffic(known.agent, known.process, &known.peer)
    {
        add(&mut traffic.retransmits, 1);
    }
    0
}

/// sock_send_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_send_length")]
fn network_send(ctx: BtfTracePointContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    let (socket, length): (Sock, i32) = (Sock::of(&ctx), ctx.arg(1));
    if length > 0
        && let Some(peer) = sends_to(socket, thread)
        && let Some(traffic) = traffic(thread.agent, thread.process, &peer)
    {
        add(&mut traffic.sent, length as u64);
    }
    0
}

/// sock_recv_length(sk, ret, flags)
#[btf_tracepoint(function = "sock_recv_length")]
fn network_receive(ctx: BtfTracePointContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    let (socket, length, flags): (Sock, i32, u32) = (Sock::of(&ctx), ctx.arg(1), ctx.arg(2));
    if length <= 0 || flags & (MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return 0;
    }
    let Some(peer) = receives_from(socket, thread) else { return 0 };
    if let Some(traffic) = traffic(thread.agent, thread.process, &peer) {
        add(&mut traffic.received, length as u64);
    }
    if peer.protocol == protocol::UDP && peer.side == side::CLIENT && peer.port == NAMES_PORT {
        arguments::report_answer(thread.agent, length as u32);
    }
    0
}

/// The current thread, if its agent is watched by this probe.
#[inline(always)]
fn caller() -> Option<&'static mut Thread> {
    // SAFETY: the helper has no preconditions.
    let task: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    let thread = threads::get(task)?;
    if agents::wants(thread.agent, probe::NETWORK) { Some(thread) } else { None }
}

#[inline(always)]
fn connecting(socket: Sock) {
    if let Some(thread) = caller() {
        remember(socket.cookie(), thread.agent, thread.process, &remote(socket, protocol::TCP), now());
    }
}

#[inline(always)]
fn connected(socket: Sock) {
    let Some(known) = known(socket) else { return };
    let since = exchange(&mut known.connect_at, 0);
    let now = now();
    let took = if since != 0 && now > since { now - since } else { 0 };
    let Some(traffic) = traffic(known.agent, known.process, &known.peer) else { return };
    add(&mut traffic.connects, 1);
    add(&mut traffic.connect_total, took);
    if took > traffic.connect_max {
        traffic.connect_max = took;
    }
    if let Some(bucket) = traffic.histogram.get_mut(bucket(took)) {
        *bucket += 1;
    }
}

#[inline(always)]
fn listening(socket: Sock) {
    let Some(thread) = caller() else { return };
    let (process, agent) = (thread.process, thread.agent);
    let listener = Listener { process, generation: agents::generation(agent), agent, pad: 0 };
    if LISTENERS.insert(port_of(socket), &listener, 0).is_err() {
        losses::count(loss::SOCKET_INSERT);
    }
}

/// A connection that a peer made: the listening process's, until somebody uses it.
#[inline(always)]
fn accepted(socket: Sock) {
    let Some(listener) = listener(socket) else { return };
    let (agent, process) = (listener.agent, listener.process);
    let peer = served(socket);
    remember(socket.cookie(), agent, process, &peer, 0);
    if let Some(traffic) = traffic(agent, process, &peer) {
        add(&mut traffic.accepts, 1);
    }
}

#[inline(always)]
fn closed(socket: Sock, old: u32) {
    if old == tcp::LISTEN {
        if listener(socket).is_some() {
            let _ = LISTENERS.remove(port_of(socket));
        }
        return;
    }
    let Some(known) = known(socket) else { return };
    if old == tcp::SYN_SENT && exchange(&mut known.connect_at, 0) != 0 {
        let key = NetworkKey { process: known.process, peer: known.peer, agent: known.agent, pad: 0 };
        failed(&FailureKey { key, errno: u64::from(socket.error()) });
    }
    let _ = SOCKETS.remove(socket.known_cookie());
}

#[inline(always)]
fn failed(key: &FailureKey) {
    let count = if epoch::is_odd() {
        epoch::entry(&FAILURES_ODD, key, &NO_FAILURES, loss::NETWORK_FAILURE_INSERT)
    } else {
        epoch::entry(&FAILURES_EVEN, key, &NO_FAILURES, loss::NETWORK_FAILURE_INSERT)
    };
    if let Some(count) = count {
        // SAFETY: map memory, alive until the program ends; other writers add atomically, too.
        add(unsafe { &mut *count }, 1);
    }
}

/// Whom the calling thread sends to.
#[inline(always)]
fn sends_to(socket: Sock, thread: &Thread) -> Option<Peer> {
    if is_unix(socket)? {
        return Some(unix());
    }
    let known = known(socket);
    // A datagram may go anywhere, unless its socket is connected, or serves.
    if socket.protocol() == ip::UDP
        && socket.remote_port() == 0
        && !matches!(&known, Some(known) if known.peer.side == side::SERVER)
    {
        if let Some(peer) = arguments::destination() {
            remember(socket.cookie(), thread.agent, thread.process, &peer, 0);
            return Some(peer);
        }
    }
    Some(match known {
        Some(known) => known.peer,
        None => meet(socket, thread),
    })
}

/// Whom the calling thread receives from.
#[inline(always)]
fn receives_from(socket: Sock, thread: &Thread) -> Option<Peer> {
    if is_unix(socket)? {
        return Some(unix());
    }
    Some(match known(socket) {
        Some(known) => known.peer,
        None => meet(socket, thread),
    })
}

/// `None` for what is neither a unix socket nor one of IP.
#[inline(always)]
fn is_unix(socket: Sock) -> Option<bool> {
    match socket.family() {
        family::UNIX => Some(true),
        family::INET | family::INET6 => Some(false),
        _ => None,
    }
}

#[inline(always)]
fn unix() -> Peer {
    Peer { address: [0; 16], port: 0, protocol: protocol::UNIX, side: side::CLIENT, pad: 0 }
}

/// A socket that is followed, of an agent that is still there.
#[inline(always)]
fn known(socket: Sock) -> Option<&'static mut Socket> {
    let cookie = socket.known_cookie();
    if cookie == 0 {
        return None;
    }
    let known = SOCKETS.get_ptr_mut(cookie)?;
    // SAFETY: an element of the map, whose words are written one by one.
    let known = unsafe { &mut *known };
    if known.generation == agents::generation(known.agent) { Some(known) } else { None }
}

/// Begins to follow a socket that was there before its agent was, or that needed no connection.
#[inline(always)]
fn meet(socket: Sock, thread: &Thread) -> Peer {
    let peer = match socket.protocol() {
        ip::TCP | ip::MPTCP if listener(socket).is_none() => remote(socket, protocol::TCP),
        ip::TCP | ip::MPTCP => served(socket),
        ip::UDP if socket.remote_port() != 0 => remote(socket, protocol::UDP),
        ip::UDP => Peer {
            address: [0; 16],
            port: socket.local_port(),
            protocol: protocol::UDP,
            side: side::SERVER,
            pad: 0,
        },
        other => remote(socket, other as u8),
    };
    remember(socket.cookie(), thread.agent, thread.process, &peer, 0);
    peer
}

#[inline(always)]
fn remote(socket: Sock, protocol: u8) -> Peer {
    let (address, port) = (socket.remote_address(), socket.remote_port());
    Peer { address, port, protocol, side: side::CLIENT, pad: 0 }
}

/// The peer of a connection to a port of the process's own.
#[inline(always)]
fn served(socket: Sock) -> Peer {
    let (address, port) = (socket.remote_address(), socket.local_port());
    Peer { address, port, protocol: protocol::TCP, side: side::SERVER, pad: 0 }
}

#[inline(always)]
fn port_of(socket: Sock) -> ListenerKey {
    let (address, namespace) = (socket.local_address(), socket.namespace());
    ListenerKey { address, namespace, port: u32::from(socket.local_port()) }
}

/// Who of an agent that is still there listens on the socket's own port: at its own address, or at any.
#[inline(always)]
fn listener(socket: Sock) -> Option<&'static Listener> {
    let mut key = port_of(socket);
    if let Some(listener) = listener_at(&key) {
        return Some(listener);
    }
    key.address = [0; 16];
    if let Some(listener) = listener_at(&key) {
        return Some(listener);
    }
    key.address = mapped([0; 4]);
    listener_at(&key)
}

#[inline(always)]
fn listener_at(key: &ListenerKey) -> Option<&'static Listener> {
    let listener = LISTENERS.get_ptr(key)?;
    // SAFETY: an element of the map, whose words are written one by one.
    let listener = unsafe { &*listener };
    if listener.generation == agents::generation(listener.agent) { Some(listener) } else { None }
}

#[inline(always)]
fn remember(cookie: u64, agent: u32, process: u64, peer: &Peer, connect_at: u64) {
    let generation = agents::generation(agent);
    let socket = Socket { process, generation, connect_at, peer: *peer, agent, pad: 0 };
    if SOCKETS.insert(cookie, &socket, 0).is_err() {
        losses::count(loss::SOCKET_INSERT);
    }
}

/// What the traffic of a process with a peer is summed in.
#[inline(always)]
fn traffic(agent: u32, process: u64, peer: &Peer) -> Option<&'static mut NetworkValue> {
    let key = NetworkKey { process, peer: *peer, agent, pad: 0 };
    let entry = if epoch::is_odd() {
        epoch::entry(&NETWORK_ODD, &key, &ZERO, loss::NETWORK_INSERT)
    } else {
        epoch::entry(&NETWORK_EVEN, &key, &ZERO, loss::NETWORK_INSERT)
    };
    // SAFETY: as in `failed`.
    entry.map(|traffic| unsafe { &mut *traffic })
}
