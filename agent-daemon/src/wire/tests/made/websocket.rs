//! Calls over a WebSocket, plain and compressed.

use flate2::{Compress, Compression, FlushCompress};

use super::Talk;
use crate::wire::{Direction, Piece};

const ASK: &str = r#"{"type":"response.create","model":"gpt-5-codex","input":[{"content":"PLANTED"}]}"#;
const EVENTS: [&str; 4] = [
    r#"{"type":"response.created","response":{"object":"response","model":"gpt-5-codex","status":"in_progress"}}"#,
    r#"{"type":"response.output_text.delta","delta":"PLANTED"}"#,
    r#"{"type":"response.output_item.done","item":{"type":"function_call","name":"shell","arguments":"PLANTED"}}"#,
    r#"{"type":"response.completed","response":{"status":"completed","model":"gpt-5-codex","usage":{"input_tokens":9,"output_tokens":2}}}"#,
];

/// A frame, masked if a client sends it.
fn frame(first: u8, mask: bool, payload: &[u8]) -> Vec<u8> {
    let bit = if mask { 0x80 } else { 0 };
    let length = match payload.len() {
        n @ ..126 => vec![bit | u8::try_from(n).unwrap()],
        n => [&[bit | 126], &u16::try_from(n).unwrap().to_be_bytes()[..]].concat(),
    };
    let key = [7, 1, 200, 55];
    let key: &[u8] = if mask { &key } else { &[] };
    let masked = payload.iter().enumerate().map(|(n, byte)| byte ^ key.get(n % 4).unwrap_or(&0));
    [&[first], &length[..], key, &masked.collect::<Vec<_>>()].concat()
}

fn opened(extension: &str) -> Talk {
    let mut talk = Talk::new();
    talk.send("GET /v1/responses HTTP/1.1\r\nHost: api.openai.com\r\nUpgrade: websocket\r\nSec-WebSocket-Key: PLANTED\r\n\r\n");
    talk.receive(format!("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n{extension}\r\n"));
    talk
}

#[test]
fn each_message_that_asks_is_a_call() {
    let mut talk = opened("");
    talk.send(frame(0x81, true, br#"{"type":"session.update","model":"other"}"#));
    for round in [100, 500] {
        let (a, b) = ASK.as_bytes().split_at(20);
        talk.at(round).send(frame(0x01, true, a)).send(frame(0x89, true, b"ping")).send(frame(0x80, true, b));
        for (n, event) in EVENTS.iter().enumerate() {
            talk.at(round + 10 * (n as u64 + 1)).receive(frame(0x81, false, event.as_bytes()));
        }
    }
    let calls = talk.close().calls();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!((call.provider, call.request_model.as_deref()), ("openai", Some("gpt-5-codex")));
        assert_eq!((call.tokens.input, call.tokens.output), (Some(9), Some(2)));
        assert_eq!((call.first_byte_ns, call.first_content_ns, call.duration_ns), (Some(10), Some(20), 40));
        assert_eq!(call.status, Some(101), "that of the socket");
        assert_eq!((call.tools.as_slice(), call.stream), (&["shell".to_owned()][..], true));
        assert!(!call.partial.is_partial() && call.error_type.is_none());
        assert!(!format!("{call:?}").contains("PLANTED"));
    }
}

#[test]
fn an_error_names_its_own_status() {
    let error = r#"{"type":"error","status":429,"error":{"type":"tokens","code":"rate_limit_exceeded","message":"PLANTED"}}"#;
    let mut talk = opened("");
    talk.send(frame(0x81, true, ASK.as_bytes())).receive(frame(0x81, false, error.as_bytes()));
    // The socket goes on.
    talk.send(frame(0x81, true, ASK.as_bytes())).receive(frame(0x81, false, EVENTS[3].as_bytes()));
    let calls = talk.close().calls();
    let told: Vec<_> = calls.iter().map(|call| (call.status, call.error_type.as_deref())).collect();
    assert_eq!(told, [(Some(429), Some("tokens")), (Some(101), None)]);
    assert_eq!(calls[0].finish_reason, None);
}

#[test]
fn compressed_messages_share_their_dictionary() {
    let mut compress = Compress::new(Compression::default(), false);
    let mut deflated = |text: &str| {
        let mut out = Vec::with_capacity(1000);
        compress.compress_vec(text.as_bytes(), &mut out, FlushCompress::Sync).unwrap();
        out.truncate(out.len() - 4);
        out
    };
    let mut talk = opened("Sec-WebSocket-Extensions: permessage-deflate\r\n");
    talk.send(frame(0x81, true, ASK.as_bytes()));
    let first = frame(0xc1, false, &deflated(EVENTS[0]));
    talk.receive(&first[..3]).receive(&first[3..]);
    for event in &EVENTS[1..] {
        talk.receive(frame(0xc1, false, &deflated(event)));
    }
    assert_eq!(talk.call().tokens.input, Some(9));
}

#[test]
fn a_lost_direction_ends_the_call() {
    let mut talk = opened("");
    talk.send(frame(0x81, true, ASK.as_bytes())).receive(frame(0x81, false, EVENTS[0].as_bytes()));
    talk.piece(Direction::Received, Piece::Gap(None)).receive(frame(0x81, false, EVENTS[3].as_bytes()));
    let call = talk.call();
    assert!(call.partial.is_partial() && call.tokens.input.is_none(), "{call:?}");
}

#[test]
fn other_websockets_are_not_read() {
    let mut talk = Talk::new();
    talk.send("GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
    talk.receive("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n")
        .send(frame(0x81, true, ASK.as_bytes()))
        .close();
    assert!(talk.calls().is_empty());
}
