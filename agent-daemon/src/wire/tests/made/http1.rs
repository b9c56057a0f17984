//! HTTP/1: framing, pairing, times.

use super::{ASK, EVENTS, Talk, chunk, json, post};
use crate::{
    model::wire::{Reason, Role},
    wire::{Direction, Piece},
};

#[test]
fn times_are_those_of_the_bytes() {
    let delta =
        |text: &str| chunk(&format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"));
    let request = post("/v1/chat/completions", ASK);
    let (head, body) = request.split_at(request.find("\r\n\r\n").unwrap() + 4);
    let mut talk = Talk::new();
    talk.at(1000).send(head).at(1005).send(body).at(1100).receive(EVENTS).at(1150).receive(delta(""));
    talk.at(1200).receive(delta("a")).at(1210).receive(delta("b")).at(1260).receive(delta("c"));
    let call = talk.at(1300).receive("0\r\nTrailer: x\r\n\r\n").call();
    assert_eq!((call.started_ns, call.is_first), (1000, true));
    assert_eq!((call.first_byte_ns, call.first_content_ns, call.duration_ns), (Some(100), Some(200), 300));
    assert_eq!((call.chunks, call.gap_mean_ns), (3, Some(30)));
    assert!(call.gap_p99_ns.unwrap().abs_diff(50) <= 2, "{call:?}");
    assert!(!call.partial.is_partial());
    // A second call has the same connection, and did not connect.
    let again = talk.send(post("/v1/chat/completions", ASK)).receive(json(200, "{}")).call();
    assert!(!again.is_first);
}

#[test]
fn answers_without_bodies_and_requests_at_once_are_paired() {
    let mut talk = Talk::new();
    talk.send("HEAD /a/4711 HTTP/1.1\r\nHost: h\r\n\r\nGET /b?x=PLANTED HTTP/1.1\r\nHost: h\r\n\r\n");
    talk.send(
        "PUT /c HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    );
    talk.send("DELETE /d HTTP/1.1\r\n\r\nPROPFIND /e HTTP/1.0\r\n\r\nGET /f HTTP/1.0\r\n\r\n");
    talk.receive("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n");
    talk.receive("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    talk.receive("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.0 405 No\r\nContent-Length: 0\r\n\r\n");
    talk.receive("HTTP/1.0 200 OK\r\n\r\nuntil the end").close();
    let exchanges = talk.exchanges();
    let told: Vec<_> = exchanges
        .iter()
        .map(|x| {
            (
                x.method.unwrap(),
                x.route.as_deref().unwrap(),
                x.status.unwrap(),
                x.request_bytes,
                x.response_bytes,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("HEAD", "/a/{id}", 200, 0, 0),
            ("GET", "/b", 304, 0, 0),
            ("PUT", "/c", 200, 3, 2),
            ("DELETE", "/d", 204, 0, 0),
            ("_OTHER", "/e", 405, 0, 0),
            ("GET", "/f", 200, 0, 13),
        ]
    );
    assert!(exchanges.iter().all(|exchange| !exchange.partial.is_partial()));
    assert_eq!(exchanges[0].server.as_deref(), Some("h"));
}

#[test]
fn the_observed_process_may_be_the_server() {
    let mut talk = Talk::new();
    talk.receive(post("/v1/chat/completions", ASK))
        .send(json(200, r#"{"object":"chat.completion","model":"m"}"#));
    assert_eq!(talk.call().role, Role::Server);
}

#[test]
fn what_is_skipped_in_the_middle_of_a_body_leaves_head_and_tail() {
    let long = "PLANTED \\\"model\\\":\\\"planted\\\" ".repeat(1000);
    let request = post(
        "/v1/chat/completions",
        &format!(r#"{{"messages":[{{"role":"user","content":"{long}"}}],"model":"gpt-5","stream":false}}"#),
    );
    let answer = json(
        200,
        &format!(
            r#"{{"object":"chat.completion","model":"gpt-5-x","choices":[{{"message":{{"content":"{long}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":7,"completion_tokens":8}}}}"#
        ),
    );
    let mut talk = Talk::new();
    for (direction, bytes) in
        [(Direction::Sent, request.as_bytes()), (Direction::Received, answer.as_bytes())]
    {
        let gap = (bytes.len() - 4096 - 300) as u64;
        talk.piece(direction, Piece::Bytes(&bytes[..4096])).piece(direction, Piece::Gap(Some(gap)));
        talk.piece(direction, Piece::Bytes(&bytes[bytes.len() - 300..]));
    }
    let call = talk.call();
    assert_eq!(call.request_model.as_deref(), Some("gpt-5"));
    assert_eq!(call.response_model.as_deref(), Some("gpt-5-x"));
    assert_eq!((call.tokens.input, call.tokens.output), (Some(7), None));
    assert_eq!(call.partial, Reason::BytesLost.into());
}

#[test]
fn who_comes_late_takes_part_from_the_next_message_on() {
    let mut talk = Talk::new();
    talk.send("half a body\"}").receive("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    talk.send(post("/v1/chat/completions", ASK)).receive(json(200, r#"{"object":"chat.completion"}"#));
    let records = talk.records();
    let shown = format!("{records:?}");
    assert_eq!(records.len(), 3, "{shown}");
    assert!(shown.contains("attached_late"), "{shown}");
}

#[test]
fn a_stream_that_is_entered_in_its_middle_is_told_from_there_on() {
    let delta = r#"{"object":"chat.completion.chunk","model":"m-1","choices":[{"delta":{"content":"a"}}]}"#;
    let usage = r#"{"object":"chat.completion.chunk","model":"m-1","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":6}}"#;
    let event = |text: &str| chunk(&format!("data: {text}\n\n")).replace(";x=y", "");
    let mut talk = Talk::new();
    // Of the first piece nobody saw the beginning.
    talk.at(1000)
        .receive("tent\":\"b\"}}]}\n\n\r\n")
        .at(1100)
        .receive(event(delta))
        .at(1200)
        .receive(event(delta));
    talk.at(1300).receive(event(usage)).at(1400).receive(event("[DONE]")).receive("0\r\n\r\n");
    let call = talk.call();
    assert_eq!((call.response_model.as_deref(), call.request_model.as_deref()), (Some("m-1"), None));
    assert_eq!((call.tokens.input, call.tokens.output), (Some(5), Some(6)));
    assert_eq!((call.partial, call.error_type.as_deref()), (Reason::AttachedLate.into(), None));
    assert_eq!((call.role, call.status, call.started_ns, call.is_first), (Role::Client, None, 1100, false));
    assert_eq!((call.first_byte_ns, call.first_content_ns), (None, None), "nobody saw when it was asked");
    // The next one is whole.
    let next = talk.send(post("/v1/chat/completions", ASK)).receive(json(200, "{}")).call();
    assert!(!next.partial.is_partial());
    // Other events are no calls.
    let mut talk = Talk::new();
    talk.receive(event(r#"{"price":5}"#)).receive("0\r\n\r\n");
    assert!(talk.calls().is_empty());
}

#[test]
fn a_stream_whose_request_was_not_seen_is_told_by_its_shape() {
    let events = [
        r#"{"type":"message_start","message":{"type":"message","model":"claude-x","usage":{"input_tokens":5,"output_tokens":1}}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":6}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    let mut talk = Talk::new();
    talk.receive(EVENTS);
    for event in events {
        talk.receive(chunk(&format!("data: {event}\n\n")));
    }
    let call = talk.close().call();
    assert_eq!((call.provider, call.response_model.as_deref()), ("anthropic", Some("claude-x")));
    assert_eq!((call.tokens.input, call.tokens.output), (Some(5), Some(6)));
    assert_eq!(call.partial, Reason::AttachedLate.into());
    assert_eq!(call.error_type, None, "the answer said that it was over");
}

#[test]
fn offsets_show_what_is_missing_and_what_comes_again() {
    let request = post("/v1/chat/completions", ASK);
    let mut talk = Talk::new();
    for (from, to) in [(0, 20), (10, 60), (60, request.len())] {
        let piece = Piece::Bytes(&request.as_bytes()[from..to]);
        let offset = Some(from as u64);
        talk.wire.take(&crate::wire::Chunk {
            connection: 1,
            direction: Direction::Sent,
            offset,
            at_ns: 0,
            piece,
        });
    }
    let call = talk.receive(json(200, "{}")).call();
    assert_eq!(call.request_model.as_deref(), Some("m"));
    assert!(!call.partial.is_partial());
}

#[test]
fn other_protocols_are_dismissed_until_a_request_begins() {
    let mut talk = Talk::new();
    talk.send("SSH-2.0-OpenSSH\r\n").receive("SSH-2.0-x\r\n").send("noise").receive(vec![0x55; 100_000]);
    assert!(talk.records().is_empty());
    let call = talk.send(post("/v1/chat/completions", ASK)).receive(json(200, "{}")).call();
    assert_eq!(call.request_model.as_deref(), Some("m"));
}

#[test]
fn a_tunnel_is_not_read() {
    let mut talk = Talk::new();
    talk.send("CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n")
        .receive("HTTP/1.1 200 Connection established\r\n\r\n");
    talk.send([0x16, 3, 1, 2, 0, 1, 0, 1]).receive([0x16, 3, 3, 0, 0x7a, 2, 0, 0]).close();
    assert_eq!(talk.exchanges().len(), 1);
}
