//! Records of TLS 1.3 as ring encrypts and decrypts them: their whole blocks by one function, and what is left over, as well
//! as the tag, block by block by another. What a record is, `records` says; which connection it belongs to as well.
//!
//! The blocks of a record are numbered: its first has the counter 2, and the tag, with which it is over, 1. It lies in one
//! buffer, in which it is encrypted or decrypted. So what was decrypted stands there when the tag is computed; how long it
//! is, the record's head tells, which stands before it. What is encrypted is told before that happens to its whole blocks,
//! and with it the bytes behind them: how many of these belong to it, and of which type it is, is known when its
//! end is encrypted (`direction::SEALED`). That is a copy, filled up with zeros, which cannot be mistaken: a type is not zero.
//!
//! A record of less than a block is a copy, too, and the same function goes both ways. What does not end with a type is
//! decrypted; what does is so, too, if whole blocks were decrypted under its key. Decrypted, it ends with a type where the copy
//! has its zeros: it is told too short if its own last bytes were encrypted to zeros, and a byte before them is a type, which
//! no byte of text is.
//!
//! Limits: as of rustls 0.23, which decrypts a record where it was received. Of a key that has had no whole blocks yet, a
//! record of less than one goes the wrong way if it was encrypted to what ends as a type (one of 85), or if a key
//! of the other direction was in that place before.

use agent_common::{
    loss,
    thread::Thread,
    wire::{CONNECTIONS, ConnectionKey, LARGEST, Piece, action, direction, length, parts, source},
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_get_attach_cookie,
    macros::{map, uprobe},
    maps::LruHashMap,
    programs::ProbeContext,
};

use super::{
    CONNECTIONS_OF_TLS, NO_WAKEUP, WIRE, caller,
    calls::tell_as,
    known, mark,
    records::{forget, opened, record, sealed, tied},
};
use crate::{calls::read, clock::now, losses};

/// Which way goes what is encrypted or decrypted under a key: see [`direction`].
#[map]
static WIRE_KEYS: LruHashMap<ConnectionKey, u64> = LruHashMap::with_max_entries(CONNECTIONS, 0);

/// Bytes of a block.
const BLOCK: u64 = 16;
/// Counters of blocks.
const TAG: u32 = 1;
const FIRST: u32 = 2;
/// In [`Thread::wire_sealing`]: all of the record is told.
const TOLD: u64 = 1;
/// In [`Thread::wire_sealing_last`]: the record is told.
const GOES_UP: u32 = 1 << 8;

/// Whole blocks are about to be encrypted or decrypted: (in, out, length, key, counter, …). The length is that of all of the
/// record where the function takes blocks of that by itself.
#[uprobe]
fn wire_blocks(ctx: ProbeContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    // SAFETY: the context is this program's, and its registers are the probed call's.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    let (action, _, length, _) = parts(cookie);
    let (buffer, bytes) = (registers.rdi, registers.rdx);
    if counter(registers.r8) != FIRST {
        return 0;
    }
    let key = ConnectionKey { process: thread.process, address: registers.rcx };
    thread.wire_opened = 0;
    thread.wire_sealing = 0;
    let is_whole = length != length::BLOCKS;
    if action == action::SAVE {
        goes(&key, direction::RECEIVED);
        thread.wire_opened = registers.rsi;
        thread.wire_opened_bytes = if is_whole { bytes } else { behind_head(buffer, bytes) };
    } else if is_whole {
        thread.wire_sealing = TOLD;
        sealed(thread, key, (buffer, bytes));
    } else {
        goes(&key, direction::SENT);
        begin(thread, key, (buffer, bytes));
    }
    0
}

/// Blocks are about to be encrypted or decrypted: (in, out, blocks, key, counter). Or one was: the same, but for the key.
#[uprobe]
fn wire_block(ctx: ProbeContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    // SAFETY: the context is this program's, and its registers are the probed call's.
    let (cookie, registers) = unsafe { (bpf_get_attach_cookie(ctx.as_ptr()), &*ctx.regs) };
    let (action, ..) = parts(cookie);
    if action == action::RETURNS {
        decrypted(thread, registers.rsi);
        return 0;
    }
    thread.wire_block = 0;
    if registers.rdx != 1 {
        return 0;
    }
    let key = ConnectionKey { process: thread.process, address: registers.rcx };
    let counter = counter(registers.r8);
    if counter == TAG {
        over(thread, key);
    } else if thread.wire_sealing == key.address {
        let before = thread.wire_sealing_bytes;
        if counter == FIRST + before / BLOCK as u32 {
            let (length, last) = content(registers.rdi);
            end(thread, key, u64::from(before) + length, last);
        }
    } else if counter == FIRST && thread.wire_sealing == 0 && thread.wire_opened == 0 {
        alone(thread, key, registers.rdi);
    }
    0
}

/// The number of a block, 0 if it cannot be read.
#[inline(always)]
fn counter(at: u64) -> u32 {
    u32::from_be(read::<u32>(at + 12).unwrap_or(0))
}

/// Notes which way goes what there is under a key.
#[inline(always)]
fn goes(key: &ConnectionKey, way: u32) {
    let way = u64::from(way);
    match WIRE_KEYS.get_ptr_mut(key) {
        // SAFETY: an element of the map.
        Some(known) => unsafe { *known = way },
        None if WIRE_KEYS.insert(key, &way, 0).is_err() => losses::count(loss::WIRE_CONNECTION_INSERT),
        None => {}
    }
}

/// How long a record is, with its type, that has these whole blocks, by the head that stands before it; 0 if it is none.
#[inline(always)]
fn behind_head(buffer: u64, bytes: u64) -> u64 {
    let Some([kind, major, minor, high, low]) = read::<[u8; 5]>(buffer - 5) else { return 0 };
    let length = (u64::from(high) << 8 | u64::from(low)).wrapping_sub(BLOCK);
    let is_head = kind == record::APPLICATION && major == 3 && minor == 3;
    if is_head && length.wrapping_sub(bytes) < BLOCK { length } else { 0 }
}

/// The whole blocks of a record are about to be encrypted.
#[inline(always)]
fn begin(thread: &mut Thread, key: ConnectionKey, (buffer, bytes): (u64, u64)) {
    if bytes < BLOCK || bytes > LARGEST as u64 {
        return;
    }
    let Some(last) = read::<u8>(buffer + bytes - 1) else { return losses::count(loss::WIRE_UNREADABLE) };
    let (connection, most) = (tied(&key), bytes + BLOCK - 1);
    let most = if most > LARGEST as u64 { LARGEST as u64 } else { most };
    let way = (direction::SENT, mark(thread), 1);
    let goes_up = tell_as(thread, connection, source::RUSTLS, way, (buffer, most));
    // It is counted when its end is known.
    if let Some(connection) = known(&CONNECTIONS_OF_TLS, &connection) {
        connection.sent -= most;
    }
    thread.wire_sealing = key.address;
    thread.wire_sealing_bytes = bytes as u32;
    thread.wire_sealing_last = u32::from(last) | if goes_up { GOES_UP } else { 0 };
}

/// The record that is being encrypted ends after so many bytes, of which the last is its type.
#[inline(always)]
fn end(thread: &mut Thread, key: ConnectionKey, length: u64, kind: u8) {
    let goes_up = thread.wire_sealing_last & GOES_UP != 0;
    thread.wire_sealing = TOLD;
    let connection = tied(&key);
    if let Some(state) = known(&CONNECTIONS_OF_TLS, &connection) {
        if kind == record::APPLICATION {
            state.sent += length - 1;
        }
        let (opened, position) = (state.opened, state.sent);
        if goes_up {
            tell_end(thread, connection, (opened, position));
        }
    }
    if kind == record::APPLICATION && connection == key {
        thread.wire_sealed = key.address;
    } else if kind == record::HANDSHAKE {
        forget(&key);
    }
}

#[inline(always)]
fn tell_end(thread: &Thread, key: ConnectionKey, (opened, position): (u64, u64)) {
    let Some(mut entry) = WIRE.reserve::<Piece>(0) else { return losses::count(loss::WIRE_RING_FULL) };
    let (at, agent, source, direction) = (now(), thread.agent, source::RUSTLS, direction::SEALED);
    let (length, mark, open) = (0, 0, 0);
    entry.write(Piece { at, key, opened, position, agent, direction, source, length, mark, open });
    entry.submit(NO_WAKEUP);
}

/// The tag of a record is computed: all before is done.
#[inline(always)]
fn over(thread: &mut Thread, key: ConnectionKey) {
    let (sealing, what) = (thread.wire_sealing, (thread.wire_opened, thread.wire_opened_bytes));
    thread.wire_sealing = 0;
    thread.wire_opened = 0;
    if sealing == key.address {
        let (length, last) = (thread.wire_sealing_bytes, thread.wire_sealing_last as u8);
        end(thread, key, length.into(), last);
        thread.wire_sealing = 0;
    } else if sealing == 0 {
        opened(thread, what);
    }
}

/// A record of less than a block is about to be encrypted or decrypted.
#[inline(always)]
fn alone(thread: &mut Thread, key: ConnectionKey, buffer: u64) {
    let (length, last) = content(buffer);
    if length >= BLOCK {
        return;
    }
    // SAFETY: an element of the map.
    let way = WIRE_KEYS.get_ptr(&key).map(|way| unsafe { *way });
    if is_type(last) && way != Some(direction::RECEIVED.into()) {
        thread.wire_sealing = TOLD;
        sealed(thread, key, (buffer, length));
    } else {
        thread.wire_block = length + 1;
    }
}

/// A block was decrypted that is a record.
#[inline(always)]
fn decrypted(thread: &mut Thread, buffer: u64) {
    let least = thread.wire_block;
    if least == 0 {
        return;
    }
    thread.wire_block = 0;
    let Some(block) = read::<[u64; 2]>(buffer) else { return losses::count(loss::WIRE_UNREADABLE) };
    let mut length = 0;
    // The last is no part of it.
    for index in 0..BLOCK - 1 {
        if length == 0 && index + 2 >= least && is_type(byte(block, index)) {
            length = index + 1;
        }
    }
    opened(thread, (buffer, length));
}

/// How much of a block comes before the zeros at its end, and the last byte of that.
#[inline(always)]
fn content(buffer: u64) -> (u64, u8) {
    let Some(block) = read::<[u64; 2]>(buffer) else { return (0, 0) };
    let (mut length, mut last) = (0, 0);
    for index in 0..BLOCK {
        let byte = byte(block, index);
        if byte != 0 {
            (length, last) = (index + 1, byte);
        }
    }
    (length, last)
}

#[inline(always)]
fn byte(block: [u64; 2], index: u64) -> u8 {
    let [low, high] = block;
    if index < 8 { (low >> (8 * index)) as u8 } else { (high >> (8 * (index - 8))) as u8 }
}

#[inline(always)]
fn is_type(byte: u8) -> bool {
    byte >= record::ALERT && byte <= record::APPLICATION
}
