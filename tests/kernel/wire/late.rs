//! Calls that go on when their agent is attached.

use std::io::Write as _;

use serde_json::json;

use super::{Provider, attach, calls};

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
    assert_eq!((&whole["request_model"], &whole["partial"]), (&json!("gpt-4.1"), &json!([])), "{whole}");
}
