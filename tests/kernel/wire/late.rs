//! Calls that go on when their agent is attached.

use std::io::Write as _;

use serde_json::json;

use super::{Provider, attach, calls};
use crate::support::api::eventually;

#[test]
fn a_stream_that_goes_on_is_told_from_there_on() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.python();
    writeln!(client.commands, "stream gpt-crawls").unwrap();
    let agent = attach(&daemon, &client);
    assert_eq!(client.hear()["status"], 200);
    client.call("stream gpt-4.1");
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    let [late, whole] = &calls[..] else { panic!("each call once: {calls:#?}") };
    assert_eq!(late["partial"], json!(["attached_late"]), "{late}");
    assert_eq!((&late["request_model"], &late["status"]), (&json!(null), &json!(null)), "{late}");
    assert_eq!(late["response_model"], "gpt-crawls-2026-01-01", "{late}");
    assert_eq!((&late["output_tokens"], &late["success"]), (&json!(80), &json!(true)), "{late}");
    assert_eq!((&late["first_byte_seconds"], &late["first_content_seconds"]), (&json!(null), &json!(null)));
    assert_eq!((&whole["request_model"], &whole["partial"]), (&json!("gpt-4.1"), &json!([])), "{whole}");
}

#[test]
fn a_stream_that_goes_on_when_its_agent_is_let_go_is_told_as_far_as_it_came() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    client.call("stream gpt-4.1");
    writeln!(client.commands, "stream gpt-crawls").unwrap();
    eventually("the second is under way", || {
        let seen = daemon.api().get(&format!("/api/v1/agents/{agent}/coverage")).expect(200).json();
        let sent = seen["processes"][0]["sent_bytes"].as_u64().unwrap_or(0);
        (sent > 15_000).then_some(())
    });
    daemon.api().detach(&agent);
    assert_eq!(client.hear()["status"], 200);
    let calls = calls(&daemon, &agent);
    let [_, early] = &calls[..] else { panic!("each call once: {calls:#?}") };
    assert_eq!(early["partial"], json!(["detached_early"]), "{early}");
    assert_eq!((&early["request_model"], &early["success"]), (&json!("gpt-crawls"), &json!(true)), "{early}");
    let http = daemon.api().get(&format!("/api/v1/agents/{agent}/http")).expect(200).json();
    assert_eq!(http["endpoints"][0]["requests"], 2, "{http}");
    assert_eq!(daemon.api().loss("wire_call_dropped"), 0);
}
