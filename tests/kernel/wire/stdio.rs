//! What agents say to MCP servers that they speak to by standard input and output: pipes, of which libc tells, and unix
//! sockets, of which the kernel does.

use std::{path::PathBuf, process::Command};

use serde_json::{Value, json};

use super::{Client, MARK, calls};
use crate::support::{
    api::eventually,
    daemon::Daemon,
    ledger::sees_connections,
    workload::{built, source},
};

/// Each tool that is called, five times in turn, and what becomes of it.
const TOOLS: [(&str, Option<&str>); 4] =
    [("echo", None), ("slow", None), ("broken", Some("tool_error")), ("unknown", Some("-32602"))];
const ROUNDS: usize = 5;

/// The agent's calls of tools, the first first.
fn tool_calls(daemon: &Daemon, agent: &str) -> Vec<Value> {
    let path = format!("/api/v1/mcp-calls?agent={agent}&limit=1000");
    let page = daemon.api().get(&path).expect(200);
    assert!(!page.text().contains(MARK), "{}", page.text());
    let mut calls = page.json()["calls"].as_array().unwrap().clone();
    calls.retain(|call| call["method"] == "tools/call");
    calls.reverse();
    calls
}

fn client(runtime: &str, script: &str) -> Client {
    let mut command = Command::new(runtime);
    command.arg(source(script));
    Client::start(command)
}

/// Waits until a server is read.
fn await_probes(daemon: &Daemon, agent: &str, pid: &Value) {
    await_reading(daemon, agent, |process| process == pid);
}

/// The same of the only server of a client.
pub(super) fn await_server(daemon: &Daemon, agent: &str, client: u32) {
    await_reading(daemon, agent, |process| *process != client);
}

fn await_reading(daemon: &Daemon, agent: &str, is_server: impl Fn(&Value) -> bool) {
    let path = format!("/api/v1/agents/{agent}/coverage");
    eventually("what the server reads and writes is seen", || {
        let answer = daemon.api().get(&path).expect(200).json();
        let server = answer["processes"].as_array().unwrap().iter().find(|p| is_server(&p["pid"]))?.clone();
        let is_read = |library: &Value| library["library"] == "libc" && library["state"] == "attached";
        server["libraries"].as_array().unwrap().iter().any(is_read).then_some(())
    });
}

/// Has a client call its server's tools, and compares what is told of them with what both saw.
fn check(client: &mut Client, server: &str, is_by_sockets: bool) {
    let daemon = Daemon::start(json!({}));
    if is_by_sockets && !sees_connections(&daemon) {
        return;
    }
    let agent = daemon.api().attach(client.pid());
    let started = client.call(&format!("start {server}"));
    await_probes(&daemon, &agent, &started["pid"]);
    let commands = TOOLS.iter().cycle().take(TOOLS.len() * ROUNDS);
    let truths: Vec<Value> = commands.map(|(tool, _)| client.call(&format!("call {tool}"))).collect();
    client.call("end");
    daemon.api().detach(&agent);
    let calls = tool_calls(&daemon, &agent);
    assert_eq!(calls.len(), truths.len(), "each call once: {calls:#?}");
    for (((tool, error), truth), call) in TOOLS.iter().cycle().zip(&truths).zip(&calls) {
        assert_eq!(call["tool"], *tool, "{call}");
        assert_eq!(
            (&call["error_type"], &call["success"]),
            (&json!(error), &json!(error.is_none())),
            "{call}"
        );
        assert_eq!((&call["transport"], &call["role"]), (&json!("stdio"), &json!("client")), "{call}");
        assert_eq!((&call["pid"], &call["partial"]), (&json!(client.pid()), &json!([])), "{call}");
        let took = call["duration_seconds"].as_f64().unwrap();
        assert!(took >= truth["took"].as_f64().unwrap(), "the server took longer: {truth} {call}");
    }
    assert_eq!(daemon.api().loss("kernel_wire_unreadable"), 0);
}

#[test]
fn calls_of_a_python_server_on_pipes_are_told_once() {
    let server = format!("python3 {}", source("wire/mcp_server.py").display());
    check(&mut client("python3", "wire/mcp_client.py"), &server, false);
}

#[test]
fn calls_of_a_node_server_on_sockets_are_told_once() {
    let server = format!("node {}", source("wire/mcp_server.mjs").display());
    check(&mut client("node", "wire/mcp_client.mjs"), &server, true);
}

#[test]
fn calls_of_a_node_server_on_pipes_are_told_once() {
    let server = format!("node {}", source("wire/mcp_server.mjs").display());
    check(&mut client("python3", "wire/mcp_client.py"), &server, false);
}

#[test]
fn calls_through_a_launcher_on_sockets_are_told_once() {
    // It has the descriptors of the server that it starts, too.
    let server = format!("timeout 60 python3 {}", source("wire/mcp_server.py").display());
    check(&mut client("node", "wire/mcp_client.mjs"), &server, true);
}

#[test]
fn a_server_that_was_there_before_is_read() {
    let mut client = client("python3", "wire/mcp_client.py");
    let started = client.call(&format!("start python3 {}", source("wire/mcp_server.py").display()));
    let daemon = Daemon::start(json!({}));
    let agent = daemon.api().attach(client.pid());
    await_probes(&daemon, &agent, &started["pid"]);
    client.call("call echo");
    daemon.api().detach(&agent);
    let calls = tool_calls(&daemon, &agent);
    assert_eq!(calls.len(), 1, "{calls:#?}");
    // Its name was told before anybody listened.
    assert_eq!((&calls[0]["pid"], &calls[0]["server"]), (&json!(client.pid()), &Value::Null), "{}", calls[0]);
}

#[test]
fn what_is_answered_after_the_last_request_is_told() {
    let mut client = client("python3", "wire/mcp_client.py");
    let daemon = Daemon::start(json!({}));
    let agent = daemon.api().attach(client.pid());
    let started = client.call(&format!("start python3 {}", source("wire/mcp_server.py").display()));
    await_probes(&daemon, &agent, &started["pid"]);
    client.call("call echo");
    client.call("last slow");
    client.call("end");
    daemon.api().detach(&agent);
    let calls = tool_calls(&daemon, &agent);
    let told: Vec<_> = calls.iter().map(|call| (&call["tool"], &call["error_type"])).collect();
    assert_eq!(told, [(&json!("echo"), &Value::Null), (&json!("slow"), &Value::Null)], "{calls:#?}");
}

/// A server on musl that asks a model by a TLS library of its own.
pub(crate) fn nested() -> PathBuf {
    let code = source("wire/nested.c");
    built("nested", std::slice::from_ref(&code), |output| {
        let mut compiler = Command::new("musl-gcc");
        compiler.args(["-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-fno-optimize-sibling-calls"]);
        compiler.args(["-Wall", "-Wextra", "-Werror", "-rdynamic", "-o"]).arg(output).arg(&code);
        assert!(compiler.status().unwrap().success(), "{} does not compile", code.display());
    })
}

#[test]
fn calls_of_models_by_a_server_whose_libc_is_probed_are_told_once() {
    let mut client = client("python3", "wire/mcp_client.py");
    let daemon = Daemon::start(json!({}));
    let agent = daemon.api().attach(client.pid());
    let started = client.call(&format!("start {}", nested().display()));
    await_probes(&daemon, &agent, &started["pid"]);
    for _ in 0..5 {
        client.call("call echo");
    }
    client.call("end");
    daemon.api().detach(&agent);
    // It had begun to read the first before its libc was probed.
    let tools = tool_calls(&daemon, &agent).len();
    assert!((4..=5).contains(&tools), "{tools} of 5 calls of a tool were seen");
    // The first of six was perhaps asked before its library was probed.
    let calls = calls(&daemon, &agent);
    assert!((5..=6).contains(&calls.len()), "{calls:#?}");
    for call in &calls[calls.len() - 5..] {
        assert_eq!((&call["request_model"], &call["response_model"]), (&json!("nested"), &json!("nested-1")));
        assert_eq!((&call["input_tokens"], &call["output_tokens"]), (&json!(5), &json!(7)), "{call}");
        assert_eq!((&call["pid"], &call["partial"]), (&started["pid"], &json!([])), "{call}");
    }
}
