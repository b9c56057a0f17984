//! Plaintext: what agents send and receive goes to the daemon as it goes through. Of TLS by probes on the functions of TLS
//! libraries (`calls`, `go`), or of the cryptography below
//! (`records`, `blocks`), without TLS by the sockets themselves (`sockets`), of servers that are spoken to by standard input and
//! output by sockets and libc (`stdio`). Threads of agents only, so that nobody else pays.
//!
//! Bytes go up in records of three sizes with their place in the connection, so that whoever reads them sees what is
//! missing: what found no room, and the middle of very large calls. A connection that is of no interest costs a look at the
//! beginning of what it sends, since a request may be the first that is.

mod blocks;
mod calls;
mod go;
mod records;
mod sockets;
pub(crate) mod stdio;

use core::ffi::c_void;

use agent_common::{
    agent::probe,
    ledger::role,
    loss,
    thread::Thread,
    wire::{
        BUFFERS, CONNECTIONS, ConnectionKey, Dismissed, FOR_GOOD, HEADS, LARGEST, MESSAGE_HEADS, Piece,
        RING_BYTES, direction, source,
    },
};
use aya_ebpf::{
    helpers::generated::{bpf_get_current_task_btf, bpf_loop, bpf_probe_read_user as read_user},
    macros::map,
    maps::{LruHashMap, RingBuf},
};

use crate::{
    agents,
    calls::{Memory, read},
    ledger, losses, threads,
};

/// The current thread, if its agent is watched by this probe.
#[inline(always)]
fn caller() -> Option<&'static mut Thread> {
    // SAFETY: the helper has no preconditions.
    let thread = threads::get(unsafe { bpf_get_current_task_btf() }.cast())?;
    if agents::wants(thread.agent, probe::WIRE) { Some(thread) } else { None }
}

/// Marks that a thread says something, if it is one of the agent's own.
#[inline(always)]
fn mark(thread: &Thread) -> u32 {
    if thread.role == role::OWN { ledger::mark(thread.agent) } else { 0 }
}

/// What goes up.
#[map]
static WIRE: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

type Connections = LruHashMap<ConnectionKey, Connection>;

/// Where connections of TLS stand.
#[map(name = "WIRE_CONNECTIONS")]
static CONNECTIONS_OF_TLS: Connections = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// Where sockets stand, and what servers read and write.
#[map(name = "WIRE_SOCKETS")]
static PLAIN_CONNECTIONS: Connections = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// Connections of which not everything is told; filled by the daemon.
#[map]
static WIRE_DISMISSED: LruHashMap<ConnectionKey, Dismissed> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// `BPF_RB_NO_WAKEUP`: nobody sleeps on the ring.
const NO_WAKEUP: u64 = 1;

/// What messages begin with.
mod word {
    macro_rules! words {
        ($($name:ident = $text:literal),*) => { $(pub(super) const $name: u32 = u32::from_le_bytes(*$text);)* };
    }
    words! {
        GET = b"GET ", POST = b"POST", PUT = b"PUT ", DELETE = b"DELE", HEAD = b"HEAD", PATCH = b"PATC", OPTIONS = b"OPTI",
        PRI = b"PRI ", HTTP = b"HTTP"
    }
}

/// Where a connection stands.
#[repr(C)]
#[derive(Clone, Copy)]
struct Connection {
    opened: u64,
    sent: u64,
    received: u64,
    /// See [`interest`]; of TLS the daemon alone finds out.
    interest: u64,
}

/// Whether a connection is read.
mod interest {
    /// It is; the process asks.
    pub(super) const READ: u64 = 0;
    /// Not until it sends what may be a request.
    pub(super) const DISMISSED: u64 = 1;
    /// Never: it speaks TLS.
    pub(super) const NEVER: u64 = 2;
    /// It is; the process is asked. Of TLS the daemon alone finds out.
    pub(super) const SERVED: u64 = 3;
}

/// What is told of a call.
mod rest {
    /// All that it moved.
    pub(super) const TOLD: u64 = 0;
    /// Nothing: it is in the middle of a body.
    pub(super) const BODY: u64 = 1;
    /// Nothing, unless a request begins with it.
    pub(super) const UNTIL_REQUEST: u64 = 2;
}

impl Connection {
    const fn new(at: u64, interest: u64) -> Self {
        Self { opened: at, sent: 0, received: 0, interest }
    }

    /// It begins anew, for who was not interested in it.
    #[inline(always)]
    fn begin(&mut self, at: u64, interest: u64) {
        self.opened = at;
        self.sent = 0;
        self.received = 0;
        self.interest = interest;
    }

    #[inline(always)]
    fn is_read(&self) -> bool {
        self.interest == interest::READ || self.interest == interest::SERVED
    }
}

/// Whether this is one of these.
#[inline(always)]
fn begins(first: u32, words: &[u32]) -> bool {
    words.iter().any(|word| *word == first)
}

/// Bytes went through: tells them.
#[inline(always)]
fn through(mut head: Piece, connection: &mut Connection, memory: Memory, moved: u64) {
    head.opened = connection.opened;
    head.position = if head.direction == direction::SENT { connection.sent } else { connection.received };
    count(connection, head.direction, moved);
    let is_whole = head.source == source::STDIO || agents::wants(head.agent, probe::KEPT);
    let heads = if is_whole { MESSAGE_HEADS } else { HEADS };
    if memory.buffers == 0 {
        return Pieces { head, from: memory.at, moved, heads }.tell();
    }
    let pieces = Pieces { head, from: 0, moved: 0, heads };
    let mut scattered = Scattered { pieces, vector: memory.at, left: moved };
    let buffers = if memory.buffers > BUFFERS { BUFFERS } else { memory.buffers };
    // SAFETY: `tell_buffer` takes such a context.
    unsafe { bpf_loop(buffers as u32, tell_buffer as *mut c_void, (&raw mut scattered).cast(), 0) };
}

#[inline(always)]
fn count(connection: &mut Connection, direction: u32, moved: u64) {
    if direction == direction::SENT {
        connection.sent += moved;
    } else {
        connection.received += moved;
    }
}

/// The connection of this key, if it is known.
#[inline(always)]
fn known(of: &'static Connections, key: &ConnectionKey) -> Option<&'static mut Connection> {
    // SAFETY: an element of the map; calls of one direction of a connection follow each other.
    of.get_ptr_mut(key).map(|connection| unsafe { &mut *connection })
}

/// Adds one.
#[inline(always)]
fn insert(of: &'static Connections, key: &ConnectionKey, new: &Connection) {
    if of.insert(key, new, 0).is_err() {
        losses::count(loss::WIRE_CONNECTION_INSERT);
    }
}

/// The connection of this key, new if need be.
#[inline(always)]
fn connection(of: &'static Connections, key: &ConnectionKey, at: u64) -> Option<&'static mut Connection> {
    if of.get_ptr(key).is_none() {
        insert(of, key, &Connection::new(at, interest::READ));
    }
    known(of, key)
}

/// Whether this may be the beginning of a request.
#[inline(always)]
fn is_request(first: u32) -> bool {
    use word::{DELETE, GET, HEAD, OPTIONS, PATCH, POST, PRI, PUT};
    begins(first, &[GET, POST, PUT, DELETE, HEAD, PATCH, OPTIONS, PRI])
}

/// What the daemon wants to be told of a call of this direction that moved so much: see [`rest`]. And which way requests go,
/// where it waits for one.
#[inline(always)]
fn wanted(key: &ConnectionKey, connection: &Connection, direction: u32, moved: u64) -> (u64, u64) {
    let Some(dismissed) = WIRE_DISMISSED.get_ptr(key) else { return (rest::TOLD, 0) };
    // SAFETY: an element of the map, which the daemon writes.
    let Dismissed { opened, sent, received, asks } = unsafe { *dismissed };
    let (until, position) =
        if direction == direction::SENT { (sent, connection.sent) } else { (received, connection.received) };
    if opened != connection.opened || until != FOR_GOOD && position + moved >= until {
        (rest::TOLD, 0)
    } else if until == FOR_GOOD {
        (rest::UNTIL_REQUEST, asks)
    } else {
        (rest::BODY, 0)
    }
}

/// What a call moved, of several buffers.
struct Scattered {
    /// The present buffer's.
    pieces: Pieces,
    vector: u64,
    /// What it moved beyond the present buffer.
    left: u64,
}

/// Tells one buffer of it.
extern "C" fn tell_buffer(index: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `through`, whose context it is.
    let scattered = unsafe { &mut *context.cast::<Scattered>() };
    // `struct iovec`.
    let Some([from, length]) = read::<[u64; 2]>(scattered.vector + u64::from(index) * 16) else {
        losses::count(loss::WIRE_UNREADABLE);
        return 1;
    };
    let moved = if length < scattered.left { length } else { scattered.left };
    scattered.pieces.from = from;
    scattered.pieces.moved = moved;
    scattered.pieces.tell();
    scattered.pieces.head.position += moved;
    scattered.left -= moved;
    i64::from(scattered.left == 0)
}

/// What a call moved, on its way up.
struct Pieces {
    head: Piece,
    from: u64,
    moved: u64,
    heads: u32,
}

impl Pieces {
    #[inline(always)]
    fn tell(&mut self) {
        let records = self.moved.div_ceil(LARGEST as u64);
        let most = u64::from(self.heads + 1);
        let records = if records > most { most } else { records };
        // SAFETY: `tell` takes such a context.
        unsafe { bpf_loop(records as u32, tell as *mut c_void, core::ptr::from_mut(self).cast(), 0) };
    }
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
fn close(of: &'static Connections, key: &ConnectionKey, thread: &Thread, source: u32, at: u64) {
    let Some(known) = known(of, key) else { return };
    let (opened, is_read) = (known.opened, known.is_read());
    let _ = of.remove(key);
    if !is_read {
        return;
    }
    let Some(mut entry) = WIRE.reserve::<Piece>(0) else { return losses::count(loss::WIRE_RING_FULL) };
    // Who gave up waited until now.
    let (agent, direction, mark) = (thread.agent, direction::CLOSED, mark(thread));
    let (position, length, open) = (0, 0, 0);
    entry.write(Piece { at, key: *key, opened, position, agent, direction, source, length, mark, open });
    entry.submit(NO_WAKEUP);
}
