//! Server-sent events and AWS's event stream, whole and byte by byte.
#![no_main]

use agentperf::wire::{event_stream, sse};
use libfuzzer_sys::fuzz_target;

fn events(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut events, mut text) = (sse::Events::default(), Vec::new());
    for piece in pieces {
        events.feed(piece, &mut |part| match part {
            sse::Part::Data(data) => text.extend_from_slice(data),
            sse::Part::End => text.push(0xff),
            sse::Part::Done => text.push(0xfe),
        });
    }
    text
}

fn messages(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut messages, mut text) = (event_stream::Messages::default(), Vec::new());
    for piece in pieces {
        let _ = messages.feed(piece, &mut |part| match part {
            event_stream::Part::Exception(name) => text.extend_from_slice(name.as_bytes()),
            event_stream::Part::Payload(data) => text.extend_from_slice(data),
            event_stream::Part::End => text.push(0xff),
        });
    }
    text
}

fuzz_target!(|bytes: &[u8]| {
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert!(events(&[bytes]) == events(&single), "a split matters");
    assert!(messages(&[bytes]) == messages(&single), "a split matters");
});
