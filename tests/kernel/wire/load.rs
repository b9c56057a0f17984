//! Many calls, and large ones.

use serde_json::{Value, json};

use super::{Provider, attach, calls};

/// Calls at once, and how often.
const AT_ONCE: usize = 40;
const ROUNDS: usize = 50;

#[test]
fn of_two_thousand_calls_none_is_lost_uncounted() {
    let provider = Provider::start_witness();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.public_python();
    let agent = attach(&daemon, &client);
    for round in 0..ROUNDS {
        let ways = if round % 2 == 0 { "async+h2+stream" } else { "async" };
        let told = client.call(&format!("httpx {ways} model {AT_ONCE}"));
        assert_eq!(told.as_array().unwrap().len(), AT_ONCE);
    }
    daemon.api().detach(&agent);
    let path = format!("/api/v1/llm-calls?agent={agent}&limit=1000");
    let page = daemon.api().get(&path).expect(200).json();
    let whole = page["models"].as_array().unwrap().iter();
    let (mut tokens, mut partial) = (0, 0);
    for model in whole {
        tokens += model["output_tokens"].as_u64().unwrap();
        partial += model["partial"].as_u64().unwrap();
    }
    let total = page["total"].as_u64().unwrap();
    let lost: u64 =
        ["kernel_wire_ring_full", "wire_unfollowed", "wire_call_dropped", "kernel_wire_call_insert"]
            .iter()
            .map(|name| daemon.api().loss(name))
            .sum();
    eprintln!("{total} calls, {partial} of them partial, {tokens} tokens; {lost} losses");
    let count = (AT_ONCE * ROUNDS) as u64;
    assert!(total <= count, "each call once: {total}");
    if lost == 0 {
        assert_eq!((total, partial, tokens), (count, 0, count * 80));
    }
}

#[test]
fn calls_of_fifty_megabytes_are_right_or_said_to_be_partial() {
    let provider = Provider::start_witness();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.public_python();
    let agent = attach(&daemon, &client);
    let asked = ["plain upload-1", "async upload-2", "plain download-1", "async download-2", "h2 download-3"];
    for asked in asked {
        let told = client.call(&format!("httpx {asked}"));
        assert_eq!(told[0]["output"], 80, "{told}");
    }
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    assert_eq!(calls.len(), asked.len(), "{calls:#?}");
    for call in &calls {
        let model = call["response_model"].as_str().or(call["request_model"].as_str());
        eprintln!(
            "{model:?}: {} {} {} {}",
            call["status"], call["output_tokens"], call["partial"], call["duration_seconds"]
        );
        if call["partial"] == json!([]) {
            assert_eq!((&call["status"], &call["output_tokens"]), (&json!(200), &json!(80)), "{call}");
        } else {
            let tokens = &call["output_tokens"];
            assert!(*tokens == Value::Null || *tokens == 80, "what is told is right: {call}");
        }
    }
}
