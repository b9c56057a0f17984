//! How exchanges end that are not answered to their end: who failed, and how long was waited.

use super::{ASK, EVENTS, Talk, chunk, json, post};
use crate::{
    model::wire::{Partial, Reason},
    wire::sniff::PREFACE,
};

/// A request for a call of a model.
fn asked() -> Talk {
    let mut talk = Talk::new();
    talk.at(1000).send(post("/v1/chat/completions", ASK));
    talk
}

#[test]
fn whoever_gets_no_answer_waits_until_the_connection_ends() {
    let silent = asked().at(5000).close().call();
    assert_eq!((silent.duration_ns, silent.error_type.as_deref()), (4000, Some("cut_off")));
    let mut talk = asked();
    talk.at(2000).receive(EVENTS).receive(chunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"));
    let stalled = talk.at(5000).close().call();
    assert_eq!((stalled.duration_ns, stalled.error_type.as_deref()), (4000, Some("cut_off")));
    // What said itself that it was over is.
    let mut talk = asked();
    talk.at(2000).receive(EVENTS).receive(chunk("data: [DONE]\n\n"));
    let done = talk.at(5000).close().call();
    assert_eq!((done.duration_ns, done.error_type, done.partial), (1000, None, Partial::default()));
    let mut talk = Talk::new();
    talk.at(1000).send(PREFACE).send(super::http2::request(1, "/v1/chat/completions", ASK));
    assert_eq!(talk.at(5000).close().call().duration_ns, 4000);
}

#[test]
fn an_answer_of_http2_is_over_once_it_is_as_long_as_it_said() {
    for (length, error) in [(2, None), (3, Some("cut_off"))] {
        let mut talk = Talk::new();
        talk.at(1000).send(PREFACE).send(super::http2::request(1, "/v1/chat/completions", ASK));
        talk.at(2000).receive(super::http2::answer_of(1, length, "{}"));
        let call = talk.at(5000).close().call();
        assert_eq!(call.error_type.as_deref(), error);
        assert_eq!(call.duration_ns, if error.is_some() { 4000 } else { 1000 });
    }
}

#[test]
fn who_is_let_go_has_not_failed() {
    let mut talk = asked();
    talk.at(2000).receive(EVENTS).receive(chunk("data: {\"choices\":[]}\n\n"));
    talk.wire.let_go(1);
    let call = talk.call();
    assert_eq!((call.error_type, call.partial), (None, Reason::DetachedEarly.into()));
}

#[test]
fn a_body_that_is_passed_over_may_have_come_to_its_end() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n{";
    let end = |passes: bool| {
        let mut talk = asked();
        talk.at(2000).receive(head);
        if passes {
            talk.wire.pass_over(1);
        }
        let call = talk.at(5000).close().call();
        (call.error_type, call.partial, call.duration_ns)
    };
    assert_eq!(end(true), (None, Reason::BytesLost.into(), 4000));
    assert_eq!(end(false), (Some("cut_off".to_owned()), Reason::CutOff.into(), 4000));
}

#[test]
fn a_call_of_a_server_that_gets_no_answer_has_failed() {
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"f"}}"#;
    let end = |end: fn(&mut Talk)| {
        let mut talk = Talk::new();
        talk.at(1000).send(post("/mcp", ask)).at(5000);
        end(&mut talk);
        let call = talk.mcp().remove(0);
        (call.error_type, call.partial, call.duration_ns)
    };
    let cut_off = (Some("cut_off".to_owned()), Reason::CutOff.into(), 4000);
    assert_eq!(end(|talk| _ = talk.close()), cut_off);
    assert_eq!(end(|talk| talk.wire.let_go(1)).0, None);
    let refused = end(|talk| _ = talk.receive(json(500, "{}")));
    assert_eq!(refused, (Some("500".to_owned()), Partial::default(), 4000));
}
