//! HTTP/2: frames of all kinds, and who comes late.

use super::Talk;
use crate::{
    model::wire::{Evidence, Reason, Role},
    wire::{Direction, Piece, sniff::PREFACE},
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers as literals; with `add`, they are put into the table.
fn block(headers: &[(&str, &str)], add: bool) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let first = if add { 0x40 } else { 0 };
    headers.iter().flat_map(|(name, value)| [vec![first], text(name), text(value)].concat()).collect()
}

pub(super) fn request(stream: u32, path: &str, body: &str) -> Vec<u8> {
    let head = block(
        &[(":method", "POST"), (":path", path), (":authority", "h:1"), ("authorization", "PLANTED")],
        true,
    );
    [frame(HEADERS, END_HEADERS, stream, &head), frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

/// An answer that is to be so long, and does not end its stream.
pub(super) fn answer_of(stream: u32, length: usize, body: &str) -> Vec<u8> {
    let length = length.to_string();
    let head =
        [(":status", "200"), ("content-type", "application/json"), ("content-length", length.as_str())];
    let head = frame(HEADERS, END_HEADERS, stream, &block(&head, false));
    [head, frame(DATA, 0, stream, body.as_bytes())].concat()
}

fn answer_head(stream: u32, media: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(&[(":status", "200"), ("content-type", media)], false))
}

const ASK: &str = r#"{"model":"m","messages":[{"content":"PLANTED"}]}"#;
const ANSWER: &str =
    r#"{"object":"chat.completion","model":"m-1","usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

fn begun() -> Talk {
    let mut talk = Talk::new();
    talk.send(PREFACE).send(frame(4, 0, 0, &[])).receive(frame(4, 0, 0, &[]));
    talk
}

#[test]
fn padding_priority_and_continuations_are_taken_off() {
    let head = block(&[(":method", "POST"), (":path", "/v1/chat/completions"), (":authority", "h:1")], false);
    let (first, second) = head.split_at(10);
    let padded = [&[3, 0, 0, 0, 0, 9], first, &[0; 3]].concat();
    let mut talk = begun();
    talk.send(frame(HEADERS, PADDED | 0x20, 1, &padded)).send(frame(9, END_HEADERS, 1, second));
    let (a, b) = ASK.as_bytes().split_at(9);
    talk.send(frame(DATA, PADDED, 1, &[&[4], a, &[0; 4]].concat())).send(frame(6, 0, 0, &[0; 8]));
    talk.send(frame(DATA, END_STREAM, 1, b)).send(frame(8, 0, 0, &[0, 0, 1, 0]));
    talk.receive(frame(HEADERS, END_HEADERS, 1, &block(&[(":status", "103")], false)));
    talk.receive(answer_head(1, "application/json")).receive(frame(DATA, 0, 1, ANSWER.as_bytes()));
    talk.receive(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("grpc-status", "0")], false)));
    let records = talk.records();
    let shown = format!("{records:?}");
    assert!(
        shown.contains("grpc_status: Some(0)") && shown.contains("response_model: Some(\"m-1\")"),
        "{shown}"
    );
    assert!(shown.contains("partial: {}") && !shown.contains("PLANTED"), "{shown}");
}

#[test]
fn given_up_and_refused_streams_are_told_apart() {
    let mut talk = begun();
    for stream in [1, 3, 5] {
        talk.send(request(stream, "/v1/chat/completions", ASK));
    }
    talk.at(50).send(frame(3, 0, 1, &8_u32.to_be_bytes()));
    talk.receive(frame(7, 0, 0, &[&3_u32.to_be_bytes()[..], &[0; 4], b"PLANTED"].concat()));
    talk.receive(frame(3, 0, 3, &2_u32.to_be_bytes()));
    let calls = talk.calls();
    let errors: Vec<_> = calls.iter().map(|call| call.error_type.as_deref().unwrap()).collect();
    assert_eq!(errors, ["cancelled", "cut_off", "cut_off"]);
    assert_eq!(calls[0].duration_ns, 50);
}

#[test]
fn who_comes_late_knows_calls_by_their_shape() {
    let mut talk = Talk::new();
    // The headers stand in a table that was not seen: the path is the second newest entry of four.
    let head = frame(HEADERS, END_HEADERS, 7, &[0x83, 0xc0, 0xbf, 0xbe]);
    talk.send(head).send(frame(DATA, END_STREAM, 7, ASK.as_bytes()));
    talk.receive(frame(HEADERS, END_HEADERS, 7, &[0x88, 0xbe])).receive(frame(
        DATA,
        END_STREAM,
        7,
        ANSWER.as_bytes(),
    ));
    let call = talk.call();
    assert_eq!((call.evidence, call.provider), (Evidence::Shape, "openai"));
    assert_eq!((call.tokens.input, call.request_model.as_deref()), (Some(3), Some("m")));
    assert!(call.partial.has(Reason::HeadersUnknown));
}

#[test]
fn headers_tell_a_late_comer_who_asks() {
    let mut talk = Talk::new();
    talk.receive(request(1, "/v1/chat/completions", ASK)).send(answer_head(1, "application/json"));
    let call = talk.send(frame(DATA, END_STREAM, 1, ANSWER.as_bytes())).call();
    assert_eq!((call.role, call.tokens.output), (Role::Server, Some(4)));
}

#[test]
fn a_gap_within_data_leaves_the_other_streams_alone() {
    let events = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m-1\"}\n\n".repeat(2);
    let mut talk = begun();
    talk.send(request(1, "/v1/chat/completions", ASK)).send(request(3, "/v1/chat/completions", ASK));
    talk.receive(answer_head(1, "text/event-stream")).receive(answer_head(3, "application/json"));
    let data = frame(DATA, END_STREAM, 1, events.as_bytes());
    talk.receive(&data[..30]).piece(Direction::Received, Piece::Gap(Some(40))).receive(&data[70..]);
    talk.receive(frame(DATA, END_STREAM, 3, ANSWER.as_bytes()));
    let calls = talk.calls();
    assert!(calls[0].partial.has(Reason::BytesLost) && !calls[1].partial.is_partial());
    assert_eq!(calls[1].tokens.input, Some(3));
}

#[test]
fn after_a_gap_of_unknown_length_frames_are_found_again() {
    let mut talk = begun();
    talk.send(request(1, "/v1/chat/completions", ASK)).receive(answer_head(1, "application/json"));
    talk.piece(Direction::Received, Piece::Gap(None)).receive("middle of something");
    talk.send(request(3, "/v1/chat/completions", ASK)).receive(answer_head(3, "application/json"));
    talk.receive(frame(DATA, END_STREAM, 3, ANSWER.as_bytes())).close();
    let calls = talk.calls();
    let known: Vec<_> = calls.iter().map(|call| call.tokens.input).collect();
    assert_eq!(known, [Some(3), None]);
    assert!(calls[1].partial.has(Reason::BytesLost) && calls[1].partial.has(Reason::CutOff));
    assert!(!calls[0].partial.is_partial());
}

#[test]
fn an_upgrade_without_tls_goes_on_as_http2() {
    let mut talk = Talk::new();
    talk.send("GET /x HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n");
    talk.receive("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n").receive(frame(4, 0, 0, &[]));
    talk.send(PREFACE).send(frame(4, 0, 0, &[])).send(request(3, "/v1/chat/completions", ASK));
    talk.receive(answer_head(3, "application/json")).receive(frame(DATA, END_STREAM, 3, ANSWER.as_bytes()));
    assert_eq!(talk.call().tokens.input, Some(3));
}
