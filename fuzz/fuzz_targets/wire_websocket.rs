//! A WebSocket's frames, plain and compressed, whole and byte by byte, and with a gap.
#![no_main]

use agentperf::wire::{
    Piece,
    websocket::{Frames, Step},
};
use libfuzzer_sys::fuzz_target;

fn read(deflate: bool, pieces: &[&[u8]]) -> Vec<u8> {
    let (mut frames, mut text) = (Frames::new(deflate), Vec::new());
    for piece in pieces {
        frames.feed(piece, &mut |step| match step {
            Step::Data(Piece::Bytes(bytes)) => text.extend_from_slice(bytes),
            Step::Data(Piece::Gap(_)) => {}
            Step::End => text.push(0xff),
            Step::Lost => text.push(0xfe),
        });
    }
    text
}

fuzz_target!(|input: (bool, u8, u8, &[u8])| {
    let (deflate, at, gap, bytes) = input;
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let (whole, split) = (read(deflate, &[bytes]), read(deflate, &single));
    assert!(deflate || whole == split, "a split matters");
    let (before, behind) = bytes.split_at(usize::from(at).min(bytes.len()));
    let mut frames = Frames::new(deflate);
    frames.feed(before, &mut |_| {});
    frames.gap((gap > 0).then_some(u64::from(gap)), &mut |_| {});
    frames.feed(behind, &mut |_| {});
});
