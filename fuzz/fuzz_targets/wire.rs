//! Conversations on two connections and a pipe, from bytes to records: pieces and gaps of any length, in any order.
//!
//! The input is a list of parts: a byte of flags, two of length, and so many bytes. `seeds.sh` makes such lists of the
//! recordings, with the same flags.
#![no_main]

use agentperf::{
    model::content::{Keep, Part},
    wire::{Chunk, Direction, Opened, Piece, Transport, Wire},
};
use libfuzzer_sys::fuzz_target;

/// The process received it.
const RECEIVED: u8 = 1;
/// A gap of that length instead of the bytes; with `UNKNOWN`, of unknown length.
const GAP: u8 = 2;
const UNKNOWN: u8 = 4;
/// The connection ends.
const CLOSE: u8 = 8;
/// The other connection.
const OTHER: u8 = 16;
/// The pipe.
const PIPE: u8 = 32;

fuzz_target!(|input: &[u8]| {
    let mut wire = Wire::default();
    // What is said on the pipe and on one of the connections is kept, in little room.
    let keep = Keep::new(0, &Part::ALL, 300);
    wire.open(Opened { connection: 3, owner: 7, transport: Transport::Stdio, keep });
    wire.open(Opened { connection: 1, owner: 1, transport: Transport::Stream, keep });
    let mut rest = input;
    let mut at_ns = 0;
    while let Some(([flags, high, low], behind)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (bytes, behind) = behind.split_at(length.min(behind.len()));
        rest = behind;
        at_ns += 1;
        let is = |flag: u8| flags & flag != 0;
        let connection = if is(PIPE) { 3 } else { 1 + u64::from(is(OTHER)) };
        if is(CLOSE) {
            wire.close(connection, at_ns);
            continue;
        }
        let piece = match (is(GAP), is(UNKNOWN)) {
            (false, _) => Piece::Bytes(bytes),
            (true, unknown) => Piece::Gap((!unknown).then_some(length as u64)),
        };
        let direction = if is(RECEIVED) { Direction::Received } else { Direction::Sent };
        wire.take(&Chunk { connection, direction, offset: None, at_ns, piece });
    }
    (1..=3).for_each(|connection| wire.close(connection, at_ns));
    let _ = wire.records();
});
