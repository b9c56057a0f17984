//! What answers tell: who wrote them, how they count, and what must not be taken from them.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::{ASK, Talk, json, post};
use crate::{
    model::wire::{Evidence, Reason, Usage},
    wire::{Direction, Piece},
};

fn asked(path: &str, answer: &str) -> Talk {
    let mut talk = Talk::new();
    talk.send(post(path, ASK)).receive(json(200, answer));
    talk
}

#[test]
fn servers_of_ones_own_are_known_by_what_only_they_say() {
    for (answer, provider) in [
        (r#"{"choices":[{"stop_reason":17,"token_ids":null}]}"#, "vllm"),
        (r#"{"choices":[{"matched_stop":128009}]}"#, "sglang"),
        (r#"{"timings":{"prompt_n":5}}"#, "llama_cpp"),
        (r#"{"system_fingerprint":"fp_ollama"}"#, "ollama"),
        (r#"{"system_fingerprint":"fp_1"}"#, "openai"),
    ] {
        let call = asked("/v1/chat/completions", answer).call();
        let evidence = if provider == "openai" { Evidence::Path } else { Evidence::Answer };
        assert_eq!((call.provider, call.evidence), (provider, evidence), "{answer}");
    }
}

#[test]
fn reasoning_that_is_counted_apart_is_added_where_the_total_says_so() {
    let usage = |total: u64| {
        format!(
            r#"{{"usage":{{"prompt_tokens":10,"completion_tokens":5,"total_tokens":{total},"completion_tokens_details":{{"reasoning_tokens":3}}}}}}"#
        )
    };
    for (total, output) in [(15, 5), (18, 8)] {
        let call = asked("/v1/chat/completions", &usage(total)).call();
        assert_eq!((call.tokens.output, call.tokens.reasoning), (Some(output), Some(3)), "{total}");
    }
}

#[test]
fn a_request_is_as_long_as_it_is_out_of_its_coding() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(ASK.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let mut talk = Talk::new();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    talk.send(head).send(packed).receive(json(200, r#"{"object":"chat.completion"}"#));
    assert_eq!(talk.call().request_bytes, ASK.len() as u64);
}

#[test]
fn usage_that_is_not_sent_is_said_to_be() {
    let call = asked("/v1/chat/completions", r#"{"object":"chat.completion"}"#).call();
    assert_eq!((call.usage, call.tokens.input), (Usage::NotSent, None));
}

#[test]
fn sentences_are_no_names() {
    let answer = r#"{"model":"the PLANTED secret","choices":[{"finish_reason":"a PLANTED reason","message":{"tool_calls":[{"function":{"name":"a PLANTED name"}}]}}]}"#;
    let call = asked("/v1/chat/completions", answer).call();
    assert!(!format!("{call:?}").contains("PLANTED"));
    let mut talk = Talk::new();
    let error = r#"{"error":{"type":"the PLANTED error","code":"PLANTED error"}}"#;
    let call = talk.send(post("/v1/chat/completions", ASK)).receive(json(400, error)).call();
    assert_eq!(call.error_type.as_deref(), Some("400"));
}

#[test]
fn a_path_alone_is_no_call() {
    let mut talk = Talk::new();
    talk.send(post("/shop/responses", r#"{"rating":5}"#)).receive(json(200, r#"{"thanks":true}"#));
    talk.send("GET /v1/chat/completions HTTP/1.1\r\n\r\n").receive(json(405, "{}"));
    assert!(talk.calls().is_empty());
}

#[test]
fn failed_calls_and_their_retries_are_linked() {
    let mut talk = Talk::new();
    for (n, status) in [429, 503, 200].into_iter().enumerate() {
        talk.at(n as u64 * 100).send(post("/v1/chat/completions", ASK)).receive(json(status, "{}"));
    }
    let calls = talk.calls();
    let links: Vec<_> = calls.iter().map(|call| (call.retry_of, call.retries)).collect();
    let number = |n: usize| Some(calls[n].origin.exchange);
    assert_eq!(links, [(None, 0), (number(0), 1), (number(1), 2)]);
}

#[test]
fn long_requests_that_begin_alike_are_not_the_same() {
    let long = "long ".repeat(20_000);
    let ask = |end: &str| {
        let content = format!("{long}{end}");
        post("/v1/chat/completions", &ASK.replacen("\"content\":\"", &format!("\"content\":\"{content}"), 1))
    };
    let mut talk = Talk::new();
    for end in ["one", "two", "two"] {
        talk.send(ask(end)).receive(json(503, "{}"));
    }
    let retries: Vec<_> = talk.calls().iter().map(|call| call.retries).collect();
    assert_eq!(retries, [0, 0, 1]);
}

#[test]
fn of_a_request_whose_middle_is_lost_the_answer_is_whole_all_the_same() {
    let mut talk = Talk::new();
    let head = post("/v1/chat/completions", ASK).replace(ASK, "");
    let length = ASK.len() + 100_000;
    let head = head.replace(&format!("Content-Length: {}", ASK.len()), &format!("Content-Length: {length}"));
    let (begin, end) = ASK.split_at(ASK.len() - 1);
    talk.send(head).send(begin).piece(Direction::Sent, Piece::Gap(Some(100_000))).send(end);
    talk.receive(json(200, r#"{"object":"chat.completion"}"#));
    let call = talk.call();
    assert_eq!((call.usage, call.partial), (Usage::NotSent, Reason::BytesLost.into()));
    assert_eq!(call.request_bytes, length as u64);
}

#[test]
fn a_body_in_an_unknown_coding_is_said_to_be() {
    let mut talk = Talk::new();
    talk.send(post("/v1/chat/completions", ASK));
    talk.receive("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: rot13\r\ncontent-length: 2\r\n\r\n{}");
    let call = talk.call();
    assert_eq!((call.usage, call.partial.is_partial()), (Usage::Unseen, true));
}
