//! HTTP/1's parser in both directions, with bodies of every framing and a gap.
#![no_main]

use agentperf::wire::http1::{Framing, Kind, Parser, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, u8, u16, u16, &[u8])| {
    let (requests, framing, at, gap, bytes) = input;
    let mut parser = Parser::new(if requests { Kind::Requests } else { Kind::Responses });
    let (before, behind) = bytes.split_at(usize::from(at).min(bytes.len()));
    for (n, mut piece) in [before, behind].into_iter().enumerate() {
        if n == 1 && gap > 0 {
            parser.gap((gap < 1000).then_some(u64::from(gap)));
            parser.resume(piece);
        }
        let mut steps = 0;
        while let Some(step) = parser.next(&mut piece, 0) {
            steps += 1;
            assert!(steps <= 2 * bytes.len() + 4, "a parser that does not end");
            if let Step::Head(head, ..) = step {
                parser.frame(match framing % 3 {
                    0 => Framing::Length(head.length.unwrap_or(0)),
                    1 => Framing::Chunked,
                    _ => Framing::UntilClose,
                });
            }
        }
    }
});
