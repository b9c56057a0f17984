//! Calls of models and MCP servers over HTTP, and coverage.

use std::time::Duration;

use agentperf::{
    model::{
        id::{ProcessId, Slot},
        operation::{LLM, Llm, MCP, Operation, Source},
        price::Cost,
        process::Process,
        record::Arrived,
        wire::{Evidence, Operation as Asked, Partial, Reason, Tokens, Usage},
    },
    store::Store as _,
};
use serde_json::json;

use crate::{
    api_tools,
    api_world::{World, process},
};

fn llm(n: u64) -> Llm {
    let mut partial = Partial::default();
    if n == 2 {
        partial.add(Reason::AttachedLate);
    }
    Llm {
        provider: "anthropic".to_owned(),
        evidence: Evidence::Host,
        asked: Asked::Chat,
        serves: false,
        server: Some("api.anthropic.com".to_owned()),
        request_model: Some("claude".to_owned()),
        response_model: Some("claude-1".to_owned()),
        stream: true,
        connect_ns: (n == 0).then_some(40_000_000),
        first_byte_ns: Some(100_000_000),
        first_content_ns: Some(200_000_000 * (n + 1)),
        chunks: 7,
        gap_mean_ns: Some(5_000_000),
        gap_p99_ns: Some(9_000_000),
        tokens: Tokens {
            input: Some(1000),
            output: (n != 2).then_some(50),
            cache_read: Some(800),
            cache_write: None,
            reasoning: None,
        },
        usage: if n == 2 { Usage::Unseen } else { Usage::Sent },
        cost: (n != 2).then_some(Cost(2_000_000_000)),
        finish_reason: Some("tool_use".to_owned()),
        tools: vec!["bash".to_owned()],
        retry_of: (n == 1).then_some(0x2a),
        retries: u32::from(n == 1),
        partial,
    }
}

/// A call of a model.
fn call(world: &World, n: u64) -> Operation {
    Operation {
        id: 1000 + n,
        source: Source::Wire,
        kind: LLM.to_owned(),
        name: "anthropic chat".to_owned(),
        start: world.begin + Duration::from_secs(20 + n),
        success: n != 2,
        error_type: (n == 2).then(|| "cut_off".to_owned()),
        status: Some(200),
        model: Some("claude".to_owned()),
        process: Some(ProcessId(101)),
        tool: None,
        llm: Some(Box::new(llm(n))),
        ..api_tools::calls(&world.live, world.begin).remove(0)
    }
}

/// Three calls of a model, the last of which failed and was seen in part, and one of an MCP server.
fn world() -> World {
    let world = World::new();
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mcp = Operation {
        id: 2000,
        kind: MCP.to_owned(),
        name: "tools/call search".to_owned(),
        error_type: Some("tool_error".to_owned()),
        success: false,
        status: None,
        model: None,
        labels: vec![
            label("agentperf.mcp.role", "client"),
            label("agentperf.mcp.server", "files"),
            label("agentperf.mcp.transport", "http"),
            label("gen_ai.tool.name", "search"),
            label("mcp.method.name", "tools/call"),
        ],
        llm: None,
        ..call(&world, 0)
    };
    let operations = (0..3).map(|n| call(&world, n)).chain([mcp]).collect();
    world.store.put_operations(Arrived { operations, sums: Vec::new(), place: None });
    world
}

#[test]
fn calls_of_models_are_listed_and_added_up() {
    let world = world();
    let list = world.get(&format!("/api/v1/llm-calls?agent={}", world.live)).json();
    let calls = list["calls"].as_array().unwrap();
    assert_eq!((calls.len(), &list["total"]), (3, &json!(3)));
    let [late, retried, _] = &calls[..] else { panic!("three calls: {list}") };
    assert_eq!((&late["partial"], &late["usage"]), (&json!(["attached_late"]), &json!("unseen")));
    assert_eq!((&late["output_tokens"], &late["cost_usd"]), (&json!(null), &json!(null)), "unknown is not 0");
    assert_eq!((&retried["retry_of"], &retried["retries"]), (&json!("000000000000002a"), &json!(1)));
    assert_eq!((&retried["first_content_seconds"], &retried["cost_usd"]), (&json!(0.4), &json!(0.002)));
    let model = &list["models"][0];
    assert_eq!((&model["name"], &model["model"]), (&json!("anthropic chat"), &json!("claude")));
    assert_eq!((&model["calls"], &model["failures"], &model["partial"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!((&model["input_tokens"], &model["output_tokens"]), (&json!(3000), &json!(100)));
    assert_eq!((&model["calls_with_usage"], &model["priced"]), (&json!(2), &json!(2)));
    assert_eq!(model["first_content_mean_seconds"], json!(0.4));
    let summary = |by: &str| {
        world.get(&format!("/api/v1/llm-calls/summary?by={by}&agent={}", world.live)).json()["groups"][0]
            .clone()
    };
    let (by_model, by_provider, by_agent) = (summary("model"), summary("provider"), summary("agent"));
    assert_eq!((&by_model["provider"], &by_model["model"]), (&json!("anthropic"), &json!("claude")));
    assert_eq!((&by_provider["provider"], &by_provider["model"]), (&json!("anthropic"), &json!(null)));
    assert_eq!((&by_agent["provider"], &by_agent["agent"]), (&json!(null), &json!(world.live.to_string())));
    for group in [by_model, by_provider, by_agent] {
        assert_eq!((&group["calls"], &group["input_tokens"]), (&json!(3), &json!(3000)), "{group}");
    }
    let failed = world.get("/api/v1/llm-calls?failed=true&since=1h").json();
    assert!(failed["calls"].as_array().unwrap().iter().all(|call| call["success"] == false));
    assert_eq!(world.get(&world.of_live("/operations")).json()["total"], 0, "no application told of them");
}

#[test]
fn what_no_call_told_is_unknown_and_not_0() {
    let world = World::new();
    let llm = Llm { tokens: Tokens::default(), usage: Usage::NotSent, cost: None, ..llm(0) };
    let untold = Operation { llm: Some(Box::new(llm)), model: Some("local".to_owned()), ..call(&world, 0) };
    let operations = vec![untold, call(&world, 1)];
    world.store.put_operations(Arrived { operations, sums: Vec::new(), place: None });
    let by_model = world.get(&format!("/api/v1/llm-calls/summary?by=model&agent={}", world.live)).json();
    let of = |model: &str| {
        let groups = by_model["groups"].as_array().unwrap();
        groups.iter().find(|group| group["model"] == model).unwrap().clone()
    };
    let (local, claude) = (of("local"), of("claude"));
    assert_eq!((&local["calls"], &local["calls_with_usage"]), (&json!(1), &json!(0)));
    for unknown in ["input_tokens", "reasoning_tokens", "output_tokens_per_second", "cost_usd"] {
        assert_eq!(local[unknown], json!(null), "{unknown}: {local}");
        assert_ne!(claude[unknown], json!(null), "{unknown}: {claude}");
    }
    let turns = world.get(&world.of_live("/turns")).json();
    let turn = turns["turns"].as_array().unwrap().last().unwrap();
    assert_eq!((&turn["input_tokens"], &turn["output_tokens"]), (&json!(1000), &json!(50)), "{turn}");
}

#[test]
fn calls_of_mcp_servers_are_listed_and_added_up() {
    let world = world();
    let list = world.get(&format!("/api/v1/mcp-calls?agent={}", world.live)).json();
    let call = &list["calls"][0];
    assert_eq!((&call["method"], &call["tool"]), (&json!("tools/call"), &json!("search")));
    assert_eq!((&call["server"], &call["transport"]), (&json!("files"), &json!("http")));
    assert_eq!((&call["success"], &call["error_type"]), (&json!(false), &json!("tool_error")));
    assert_eq!(
        (&list["names"][0]["name"], &list["names"][0]["failures"]),
        (&json!("tools/call search"), &json!(1))
    );
}

#[test]
fn coverage_names_those_that_there_is_something_to_say_of() {
    let world = World::new();
    let all = world.get("/api/v1/coverage").json();
    assert_eq!(all["processes"], json!([]));
    assert!(all["silent_processes"].as_u64().unwrap() > 0, "{all}");
    assert_eq!(world.get(&world.of_live("/coverage")).json()["processes"], json!([]));
    world.get("/api/v1/agents/1-1/coverage").problem(404);
    for wrong in ["order=x", "limit=0", "agent=x", "offset=10001", "kind=llm"] {
        world.get(&format!("/api/v1/llm-calls?{wrong}")).problem(400);
    }
}

#[test]
fn who_ended_unread_is_told_when_its_agent_has_ended_too() {
    let world = World::new();
    let after = |seconds| world.begin + Duration::from_secs(seconds);
    let gone = Process { ended: Some(after(50)), ..process(200, 1, world.begin) };
    let (id, slot) = (gone.id, Slot(2));
    world.store.put_process(&world.ended, gone);
    world.telemetry.coverage.note((id, slot), |seen| seen.model_requests = 2);
    assert!(world.telemetry.coverage.exited(id, after(61), Vec::new()), "a little after its agent's end");
    let path = format!("/api/v1/agents/{}/coverage", world.ended);
    for path in ["/api/v1/coverage", &path] {
        let coverage = world.get(path).json();
        let [ended] = &coverage["ended"].as_array().unwrap()[..] else { panic!("one: {coverage}") };
        assert_eq!((&ended["pid"], &ended["agent"]), (&json!(200), &json!(world.ended.to_string())));
        assert_eq!(ended["unread_model_requests"], 2, "{ended}");
    }
    assert_eq!(world.get(&world.of_live("/coverage")).json()["ended"], json!([]));
}
