//! Compressed bodies of answers: gzip, deflate, brotli, zstd, read as JSON or events.
#![no_main]

use agentperf::wire::{Chunk, Direction, Piece, Wire};
use libfuzzer_sys::fuzz_target;

const ASK: &[u8] = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 29\r\n\r\n{\"model\":\"m\",\"messages\":[{}]}";

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, body) = input;
    let coding = ["gzip", "deflate", "br", "zstd"][usize::from(choice % 4)];
    let media = ["application/json", "text/event-stream"][usize::from(choice / 4 % 2)];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Encoding: {coding}\r\n\r\n");
    let mut wire = Wire::default();
    let mut take = |direction, bytes: &[u8]| {
        wire.take(&Chunk { connection: 1, direction, offset: None, at_ns: 0, piece: Piece::Bytes(bytes) });
    };
    take(Direction::Sent, ASK);
    take(Direction::Received, head.as_bytes());
    body.chunks(100).for_each(|part| take(Direction::Received, part));
    wire.close(1, 1);
    assert!(!wire.records().is_empty(), "an exchange that is not told");
});
