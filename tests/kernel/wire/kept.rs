//! Nothing that was said is kept: neither in answers, nor in the store, nor in the log.

use std::{collections::HashMap, fs};

use serde_json::json;

use super::{COMMANDS, Client, MARK, Provider, attach, calls};
use crate::support::daemon::Daemon;

/// Has a client make all calls, and looks for what was said wherever it could be kept.
pub(super) fn keeps_nothing(
    provider: &Provider,
    attach: impl Fn(&Daemon, &Client) -> String,
    mut client: Client,
) {
    let prices = json!([{ "model": "gpt-4.1*", "input": 2, "output": 8, "cache_read": 0.5 }]);
    let quiet = json!({ "log": { "level": "trace" }, "llm": { "prices": prices }, "budget": { "tokens_per_day": 9 } });
    let mut daemon = provider.daemon(&quiet);
    let agent = attach(&daemon, &client);
    for command in COMMANDS {
        client.call(command);
    }
    daemon.api().detach(&agent);
    let root = format!("/api/v1/agents/{agent}");
    let pages = [
        format!("/api/v1/llm-calls?agent={agent}"),
        format!("/api/v1/mcp-calls?agent={agent}"),
        format!("/api/v1/operations?source=wire&agent={agent}"),
        format!("/api/v1/operations/summary?source=wire&agent={agent}"),
        format!("{root}/coverage"),
        format!("{root}/processes"),
        "/api/v1/coverage".to_owned(),
        "/api/v1/status".to_owned(),
        "/metrics".to_owned(),
    ];
    let texts: HashMap<&str, String> =
        pages.iter().map(|page| (page.as_str(), daemon.api().get(page).expect(200).text())).collect();
    assert!(texts.values().any(|text| text.contains("gpt-4.1-2026-01-01")), "the calls are told");
    for (page, text) in &texts {
        assert!(!text.contains(MARK), "{page} tells what was said");
    }
    let call = &calls(&daemon, &agent)[0];
    // 176 at 2, 1024 at 0.5, 80 at 8, USD for a million.
    let cost = call["cost_usd"].as_f64().unwrap();
    assert!((cost - 0.001_504).abs() < 1e-9, "{call}");
    for series in [
        r#"provider="openai",model="gpt-4.1",type="input"}"#,
        r#"agentperf_llm_tokens_total{type="output"}"#,
        "agentperf_budget_tokens_per_day",
    ] {
        assert!(texts["/metrics"].contains(series), "{series} in {}", texts["/metrics"]);
    }
    let store = daemon.store();
    assert!(daemon.stop().success());
    assert!(!daemon.log().contains(MARK), "the log tells what was said");
    let mut files = 0;
    for entry in fs::read_dir(store).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()));
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn tokens_of_a_stream_that_tells_none_are_estimated_and_marked_where_that_is_wanted() {
    let provider = Provider::start();
    let prices = json!([{ "model": "gpt-4.1*", "input": 2, "output": 8 }]);
    let daemon = provider.daemon(&json!({ "llm": { "estimate_tokens": true, "prices": prices } }));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    let bytes = client.call("untold gpt-4.1")["bytes"].as_u64().unwrap();
    client.call("stream gpt-4.1");
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    let [untold, told] = &calls[..] else { panic!("each call once: {calls:#?}") };
    assert_eq!((&untold["usage"], &told["usage"]), (&json!("estimated"), &json!("sent")));
    let (input, pieces) = (bytes.div_ceil(4), untold["chunks"].as_u64().unwrap());
    assert_eq!(
        (&untold["input_tokens"], &untold["output_tokens"]),
        (&json!(input), &json!(pieces)),
        "{untold}"
    );
    assert!(pieces > 0, "{untold}");
    let cost = (2 * input + 8 * pieces) as f64 / 1e6;
    assert!((untold["cost_usd"].as_f64().unwrap() - cost).abs() < 1e-12, "{untold}");
    let sum =
        &daemon.api().get(&format!("/api/v1/llm-calls/summary?agent={agent}")).expect(200).json()["total"];
    assert_eq!((&sum["calls_with_usage"], &sum["calls_estimated"]), (&json!(1), &json!(1)), "{sum}");
    assert_eq!(sum["input_tokens"], json!(input + told["input_tokens"].as_u64().unwrap()), "{sum}");
}

#[test]
fn nothing_that_was_said_is_kept() {
    let provider = Provider::start();
    keeps_nothing(&provider, attach, provider.python());
}
