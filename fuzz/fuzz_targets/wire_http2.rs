//! HTTP/2's frames with a gap, and HPACK with the blocks that are in them, for who saw all and who came late.
#![no_main]

use agentperf::wire::http2::{Frames, Step, hpack::Decoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (at, gap, bytes) = input;
    let (mut frames, mut whole, mut late) = (Frames::default(), Decoder::default(), Decoder::late());
    let (before, behind) = bytes.split_at(usize::from(at).min(bytes.len()));
    for (n, mut piece) in [before, behind].into_iter().enumerate() {
        if n == 1 && gap > 0 {
            frames.gap((gap < 1000).then_some(u64::from(gap)));
            frames.resume(piece);
        }
        while let Some(step) = frames.next(&mut piece, 0) {
            if let Step::Block { block, .. } = step {
                let _ = whole.decode(&block, &mut |_| {});
                let _ = late.decode(&block, &mut |_| {});
            }
        }
    }
    let _ = Decoder::default().decode(bytes, &mut |_| {});
});
