//! Records of TLS 1.3 as they are encrypted and decrypted, of programs whose TLS library has no functions that could be found
//! (rustls): the cryptography under it is assembly, the same in every program. A record ends with its type there, which tells
//! what applications say from the library's own messages.
//!
//! Both directions have keys of their own, and nothing there tells of the connection: that is the socket on which the thread
//! last received what it decrypts, or next sends what it has encrypted. So what is sent first is told of its key, and then the
//! two are tied; from then on it is told of the connection.
//!
//! Limits: who decrypts on another thread than it receives on is taken for another connection, or not seen; records of TLS
//! 1.2 have no type, and padded ones end with zeros; what else is encrypted by the same assembly, ends as a record does, and
//! is followed by a send of other records by the same thread is taken for one; without the hooks of sockets (kernel 6.3) nothing is told.

use agent_common::{
    loss,
    thread::Thread,
    wire::{CONNECTIONS, ConnectionKey, LARGEST, Piece, Tie, action, direction, parts, source},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_attach_cookie, bpf_get_current_task_btf},
    macros::{map, uprobe, uretprobe},
    maps::LruHashMap,
    programs::{ProbeContext, RetProbeContext},
};

use super::{CONNECTIONS_OF_TLS, WIRE, caller, calls::tell, close, connection, known, mark};
use crate::{calls::read, clock::now, losses, threads};

/// The connection on which what is encrypted under a key is sent.
#[map]
static WIRE_TIES: LruHashMap<ConnectionKey, u64> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// The same the other way, for when the connection is over and the key's place may be used again.
#[map]
static WIRE_TIED: LruHashMap<ConnectionKey, u64> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// Types of records.
pub(super) mod record {
    pub(crate) const ALERT: u8 = 21;
    pub(crate) const HANDSHAKE: u8 = 22;
    pub(crate) const APPLICATION: u8 = 23;
}

/// A record is about to be encrypted or decrypted: (key, state, position, in, length, out).
#[uprobe]
fn wire_seal(ctx: ProbeContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    // SAFETY: the context is this program's, and its registers are the probed call's.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    let (action, ..) = parts(cookie);
    if action == action::SAVE {
        thread.wire_opened = registers.r9;
        thread.wire_opened_bytes = registers.r8;
        return 0;
    }
    let (buffer, length) = (registers.rcx, registers.r8);
    let key = ConnectionKey { process: thread.process, address: registers.rdi };
    sealed(thread, key, (buffer, length));
    0
}

/// All of a record is about to be encrypted under a key.
#[inline(always)]
pub(super) fn sealed(thread: &mut Thread, key: ConnectionKey, (buffer, length): (u64, u64)) {
    match kind(buffer, length) {
        record::HANDSHAKE => forget(&key),
        record::APPLICATION => seal(thread, key, (buffer, length - 1)),
        _ => {}
    }
}

/// What has the place of this key now may be another key.
#[inline(always)]
pub(super) fn forget(key: &ConnectionKey) {
    let _ = WIRE_TIES.remove(key);
    let _ = CONNECTIONS_OF_TLS.remove(key);
}

#[inline(always)]
fn seal(thread: &mut Thread, key: ConnectionKey, what: (u64, u64)) {
    let connection = tied(&key);
    if connection == key {
        thread.wire_sealed = key.address;
    }
    tell(thread, connection, source::RUSTLS, (direction::SENT, mark(thread)), what);
}

/// The connection that a key is tied to, else the key itself.
#[inline(always)]
pub(super) fn tied(key: &ConnectionKey) -> ConnectionKey {
    match WIRE_TIES.get_ptr(key) {
        // SAFETY: an element of the map.
        Some(tie) => ConnectionKey { process: key.process, address: unsafe { *tie } },
        None => *key,
    }
}

/// A record was decrypted.
#[uretprobe]
fn wire_opened(_ctx: RetProbeContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let Some(thread) = threads::get(task.cast()) else { return 0 };
    let what = (thread.wire_opened, thread.wire_opened_bytes);
    thread.wire_opened = 0;
    opened(thread, what);
    0
}

/// All of a record was decrypted.
#[inline(always)]
pub(super) fn opened(thread: &mut Thread, (buffer, length): (u64, u64)) {
    if buffer == 0 || thread.wire_socket == 0 || kind(buffer, length) != record::APPLICATION {
        return;
    }
    let key = ConnectionKey { process: thread.process, address: thread.wire_socket };
    tell(thread, key, source::RUSTLS, (direction::RECEIVED, 0), (buffer, length - 1));
}

/// The type of a record, 0 if it is none.
#[inline(always)]
fn kind(buffer: u64, length: u64) -> u8 {
    if length < 2 || length > LARGEST as u64 + 1 {
        return 0;
    }
    read::<u8>(buffer + length - 1).unwrap_or(0)
}

/// The key under which a thread has encrypted what it now tries to send, whether it succeeds or not.
#[inline(always)]
pub(super) fn take_sealed(thread: &mut Thread) -> u64 {
    let sealed = thread.wire_sealed;
    if sealed != 0 {
        thread.wire_sealed = 0;
    }
    sealed
}

/// What was encrypted under a key is sent on this connection.
#[inline(always)]
pub(super) fn tie(thread: &Thread, sealed: u64, to: ConnectionKey) {
    let key = ConnectionKey { process: thread.process, address: sealed };
    if WIRE_TIES.insert(&key, &to.address, 0).is_err() || WIRE_TIED.insert(&to, &sealed, 0).is_err() {
        losses::count(loss::WIRE_CONNECTION_INSERT);
    }
    let Some(before) = known(&CONNECTIONS_OF_TLS, &key) else { return };
    let (opened, sent) = (before.opened, before.sent);
    let _ = CONNECTIONS_OF_TLS.remove(&key);
    let Some(connection) = connection(&CONNECTIONS_OF_TLS, &to, now()) else { return };
    // Something, if the key is not the first of this connection: keys are updated, and ties evicted.
    let before = connection.sent;
    connection.sent += sent;
    let at = connection.opened;
    let Some(mut entry) = WIRE.reserve::<Tie>(0) else { return losses::count(loss::WIRE_RING_FULL) };
    let (agent, source, direction) = (thread.agent, source::RUSTLS, direction::TIED);
    let (position, length, mark, open) = (to.address, size_of_val(&before) as u32, 0, 0);
    let piece = Piece { at, key, opened, position, agent, direction, source, length, mark, open };
    entry.write(Tie { piece, before });
    entry.submit(super::NO_WAKEUP);
}

/// A connection is over.
#[inline(always)]
pub(super) fn ended(thread: &Thread, key: &ConnectionKey) {
    close(&CONNECTIONS_OF_TLS, key, thread, source::RUSTLS, now());
    let Some(sealed) = WIRE_TIED.get_ptr(key) else { return };
    // SAFETY: an element of the map.
    let address = unsafe { *sealed };
    let _ = WIRE_TIED.remove(key);
    let _ = WIRE_TIES.remove(&ConnectionKey { process: key.process, address });
}
