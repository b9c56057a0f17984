//! An agent's tool calls over HTTP.

use std::time::Duration;

use agentperf::model::{
    id::{AgentId, ProcessId},
    network::{Peer, Protocol, Side},
    operation::{Bill, FileEffect, Operation, Source, TOOL, Tool, ToolEnd, ToolFiles, ToolNetwork, ToolPeer},
    process::Exit,
    time::Timestamp,
};
use serde_json::json;

use crate::api_world::World;

/// The calls of the live agent: three, of which the second failed and took longest.
pub(crate) fn calls(agent: &AgentId, begin: Timestamp) -> Vec<Operation> {
    (0..3u64).map(|n| call(agent, n, begin + Duration::from_secs(10 * n))).collect()
}

fn files() -> ToolFiles {
    let top = vec![(FileEffect::Created, "/src/new.rs".into())];
    ToolFiles { created: 1, changed: 2, deleted: 0, renamed: 0, top }
}

fn network() -> ToolNetwork {
    let address = Some([192, 0, 2, 1].into());
    let host = Some("packages.example".into());
    let peer = Peer { address, port: 443, protocol: Protocol::Tcp, side: Side::Client, host };
    let top = vec![ToolPeer { peer, sent_bytes: 100, received_bytes: 5000 }];
    ToolNetwork { sent_bytes: 107, received_bytes: 5003, top }
}

fn call(agent: &AgentId, n: u64, start: Timestamp) -> Operation {
    let exit = if n == 1 { Exit::Code(3) } else { Exit::Code(0) };
    let bill = Bill {
        user_ns: 30_000_000 * (n + 1),
        system_ns: 10_000_000,
        peak_rss_bytes: n << 20,
        read_chars: 1,
        written_chars: 2,
        read_bytes: 4096,
        written_bytes: 8192,
        processes: n + 1,
    };
    Operation {
        id: 900 + n,
        project: "".into(),
        source: Source::Kernel,
        kind: TOOL.to_owned(),
        name: if n == 2 { "git status" } else { "cargo test" }.to_owned(),
        start,
        duration_ns: if n == 1 { 5_000_000_000 } else { 1_000_000_000 },
        bytes: None,
        success: n != 1,
        error_type: (n == 1).then(|| "exit_3".to_owned()),
        method: None,
        status: None,
        model: None,
        user: None,
        session: None,
        trace: None,
        labels: Vec::new(),
        calls: Vec::new(),
        agent: Some(agent.clone()),
        process: Some(ProcessId(101)),
        tool: Some(Box::new(Tool {
            end: ToolEnd::Exited,
            exit: Some(exit),
            bill,
            files: (n != 2).then(files),
            network: (n != 2).then(network),
        })),
        llm: None,
    }
}

/// The path of the first call.
pub(crate) fn first(world: &World) -> String {
    format!("/api/v1/tools/101-{}", world.begin.as_millisecond())
}

#[test]
fn calls_are_listed_sorted_and_added_up() {
    let world = World::new();
    let page = world.get(&world.of_live("/tools?order=slowest&limit=2")).json();
    let ends: Vec<_> = page["tools"].as_array().unwrap().iter().map(|call| &call["exit_code"]).collect();
    assert_eq!((ends[0], &page["total"], &page["next_offset"]), (&json!(3), &json!(3), &json!(2)));
    let names = page["names"].as_array().unwrap();
    assert_eq!(
        (&names[0]["name"], &names[0]["calls"], &names[0]["failures"]),
        (&json!("cargo test"), &json!(2), &json!(1))
    );
    assert_eq!((&names[0]["cpu_user_seconds"], &names[0]["peak_rss_bytes"]), (&json!(0.09), &json!(1 << 20)));
    let busiest = world.get(&world.of_live("/tools?order=busiest")).json();
    assert_eq!(busiest["tools"][0]["name"], "git status");
    let failed = world.get(&world.of_live("/tools?failed=true&name=cargo%20test")).json();
    assert_eq!((failed["tools"].as_array().unwrap().len(), &failed["names"][0]["calls"]), (1, &json!(2)));
    assert_eq!(world.get(&world.of_live("/tools?kind=server")).json()["total"], 0);
    assert_eq!(world.get(&world.of_live("/operations")).json()["total"], 0, "no application told of them");
    assert_eq!(world.get("/api/v1/operations?source=kernel").json()["total"], 3);
}

#[test]
fn one_call_has_its_command_line_and_others_are_not_found() {
    let world = World::new();
    let call = world.get(&first(&world)).json();
    assert_eq!(
        (&call["name"], &call["success"], &call["processes"]),
        (&json!("cargo test"), &json!(true), &json!(1))
    );
    assert!(call["argv"].is_array() && call["stacks"]["cpu"].is_string(), "{call}");
    let told = json!({
        "sent_bytes": 107, "received_bytes": 5003, "other_sent_bytes": 7, "other_received_bytes": 3,
        "top": [{
            "address": "192.0.2.1", "port": 443, "protocol": "tcp", "side": "client", "host": "packages.example",
            "place": "address", "sent_bytes": 100, "received_bytes": 5000,
        }],
    });
    assert_eq!(call["network"], told);
    world.get("/api/v1/tools/101-1").problem(404);
    for wrong in ["x", "101", "101-", "-5", "101-99999999999999999999", "a-1", "101-1-1"] {
        world.get(&format!("/api/v1/tools/{wrong}")).problem(400);
    }
    for wrong in ["order=x", "limit=0", "limit=1001", "offset=10001", "kind=x", "agent=1-1", "failed=2"] {
        world.get(&world.of_live(&format!("/tools?{wrong}"))).problem(400);
    }
    world.get("/api/v1/agents/1-1/tools").problem(404);
}
