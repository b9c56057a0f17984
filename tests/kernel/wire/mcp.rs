//! Clients and servers of MCP by the public SDKs of Python and Node, as they ship: what is told of each call is what both saw,
//! over standard input and output and over HTTP, on both sides.

use std::process::Command;

use serde_json::{Value, json};

use super::{Client, MARK, attach, stdio::await_server};
use crate::support::{
    daemon::Daemon, ledger::sees_connections, packages, tolerance::is_slow, workload::source,
};

/// Tools that are called in turn, and what becomes of it: both SDKs answer for an unknown tool with a result that failed.
const TOOLS: [(&str, Option<&str>); 4] =
    [("echo", None), ("slow", None), ("broken", Some("tool_error")), ("unknown", Some("tool_error"))];
const ROUNDS: usize = 3;
/// After how long a client gives up who is told to, s.
const PATIENCE: f64 = 0.3;

/// A command by one of the SDKs.
fn command(runtime: &str, script: &str) -> Command {
    let script = source(&format!("wire/mcp_sdk/{script}"));
    let mut command = if runtime == "python" {
        let folder = packages::python("mcp", "wire/mcp_sdk/requirements.txt");
        let mut python = Command::new(folder.join("bin/python"));
        python.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "*").arg(script.with_extension("py"));
        python
    } else {
        let mut node = Command::new("node");
        node.env("MODULES", packages::node("mcp-node", "wire/mcp_sdk/package-lock.json"));
        node.arg(script.with_extension("mjs"));
        node
    };
    command.stdin(std::process::Stdio::piped());
    command
}

/// A server over HTTP, and where it is.
fn serve(runtime: &str) -> (Client, String) {
    let mut server = command(runtime, "server");
    server.arg("http");
    let (server, said) = Client::spawn(server);
    (server, format!("http://127.0.0.1:{}/mcp", said["port"]))
}

/// A call of a tool: its name, what is to be told of it as an error, and what its client saw.
struct Called {
    tool: &'static str,
    error: Option<&'static str>,
    saw: Value,
}

/// Has a client list the tools and call them, and give up in these ways, which ends a call so.
fn call_tools(client: &mut Client, (ways, given_up): (&[&str], &'static str)) -> Vec<Called> {
    assert_eq!(client.call("list")["tools"], 4);
    let mut called = Vec::new();
    for (tool, error) in TOOLS.iter().cycle().take(TOOLS.len() * ROUNDS) {
        let saw = client.call(&format!("call {tool}"));
        assert_eq!(saw["error"], json!(error), "{tool}: {saw}");
        called.push(Called { tool, error: *error, saw });
    }
    for way in ways {
        let saw = client.call(&format!("{way} stuck"));
        assert_eq!(saw["error"], "-32001", "the SDKs say that it timed out: {saw}");
        called.push(Called { tool: "stuck", error: Some(given_up), saw });
    }
    let saw = client.call("call echo");
    called.push(Called { tool: "echo", error: None, saw });
    called
}

/// How a session is told.
struct Told<'a> {
    pid: u32,
    /// The server's name.
    server: Value,
    transport: &'a str,
    role: &'a str,
    /// What is asked before tools are called, and with what error it ends.
    methods: &'a [(&'a str, Option<&'a str>)],
}

/// The agent's calls, the first first.
fn calls(daemon: &Daemon, agent: &str) -> Vec<Value> {
    daemon.api().detach(agent);
    let path = format!("/api/v1/mcp-calls?agent={agent}&limit=1000");
    let page = daemon.api().get(&path).expect(200);
    assert!(!page.text().contains(MARK), "{}", page.text());
    let mut calls = page.json()["calls"].as_array().unwrap().clone();
    calls.reverse();
    calls
}

/// Asserts that these are the calls of a session, each once and in order.
fn assert_told(calls: &[Value], told: &Told<'_>, called: &[Called]) {
    let (others, tools): (Vec<&Value>, Vec<&Value>) =
        calls.iter().partition(|call| call["method"] != "tools/call");
    let methods: Vec<_> = others.iter().map(|call| (&call["method"], &call["error_type"])).collect();
    let expected: Vec<_> = told.methods.iter().map(|(method, error)| (json!(method), json!(error))).collect();
    assert_eq!(methods, expected.iter().map(|(method, error)| (method, error)).collect::<Vec<_>>());
    assert_eq!(tools.len(), called.len(), "each call once: {tools:#?}");
    for call in calls {
        let way = (&call["transport"], &call["role"], &call["pid"]);
        assert_eq!(way, (&json!(told.transport), &json!(told.role), &json!(told.pid)), "{call}");
    }
    let mut beyond = Vec::new();
    for (call, Called { tool, error, saw }) in tools.into_iter().zip(called) {
        assert_eq!((&call["tool"], &call["server"]), (&json!(tool), &told.server), "{call}");
        let outcome = (&call["error_type"], &call["success"]);
        assert_eq!(outcome, (&json!(error), &json!(error.is_none())), "{call}");
        let partial = if *error == Some("cut_off") { json!(["cut_off"]) } else { json!([]) };
        assert_eq!(call["partial"], partial, "{call}");
        beyond.push(beyond_client(call, saw, *tool == "stuck"));
    }
    beyond.sort_by(f64::total_cmp);
    assert!(beyond[beyond.len() / 2] <= 0.005 * slow(), "half took no longer than clients saw: {beyond:?} s");
}

fn slow() -> f64 {
    if is_slow() { 10.0 } else { 1.0 }
}

/// By how much a call is told to have taken longer than its client saw, s; asserts that it took as long as the server says, or
/// as its client waited before it gave up. A server may be pushed off the CPU between its answer and the probe behind it.
fn beyond_client(call: &Value, saw: &Value, is_given_up: bool) -> f64 {
    let told = call["duration_seconds"].as_f64().unwrap();
    let least = match is_given_up {
        true => PATIENCE * (1.0 - 0.09 * slow()),
        false => saw["took"].as_f64().unwrap_or_default(),
    };
    let beyond = told - saw["seconds"].as_f64().unwrap();
    assert!(told >= least && beyond <= 0.25 * slow(), "at least {least} s, by its client {saw}: {call}");
    beyond
}

/// How both SDKs begin a session.
const HANDSHAKE: [(&str, Option<&str>); 2] = [("initialize", None), ("tools/list", None)];
/// How that of Python does with a server of its kind, as of the protocol's version of 2026-07-28.
const DISCOVERY: [(&str, Option<&str>); 2] = [("server/discover", None), ("tools/list", None)];

#[test]
fn calls_by_the_public_sdks_over_stdio_are_told_once() {
    let daemon = Daemon::start(json!({}));
    let has_sockets = sees_connections(&daemon);
    // (runtime, the session's mode, how it begins, ways to give up)
    let sessions: [(_, _, _, &[&str]); 3] = [
        ("python", "auto", DISCOVERY, &["give_up"]),
        ("python", "legacy", HANDSHAKE, &["give_up"]),
        // Node gives its children unix sockets.
        ("node", "auto", HANDSHAKE, &["give_up", "abort"]),
    ];
    for (runtime, mode, methods, ways) in sessions {
        if runtime == "node" && !has_sockets {
            continue;
        }
        let mut client = Client::start(command(runtime, "client"));
        // While the client's own files are looked at, which nobody has mapped before, its server might begin unread.
        let agent = attach(&daemon, &client);
        let server = command(runtime, "server");
        let words: Vec<_> = [server.get_program()].into_iter().chain(server.get_args()).collect();
        let words: Vec<_> = words.into_iter().map(|word| word.to_str().unwrap()).collect();
        client.call(&format!("stdio {mode} {} stdio", words.join(" ")));
        await_server(&daemon, &agent, client.pid());
        let called = call_tools(&mut client, (ways, "cancelled"));
        client.call("end");
        let server = json!(format!("{runtime}-sdk-server"));
        let told = Told { pid: client.pid(), server, transport: "stdio", role: "client", methods: &methods };
        assert_told(&calls(&daemon, &agent), &told, &called);
    }
    assert_eq!(daemon.api().loss("kernel_wire_unreadable"), 0);
    assert_eq!(daemon.api().loss("wire_message_dropped"), 0);
}

#[test]
fn calls_by_the_public_sdks_over_http_are_told_on_both_sides() {
    let daemon = Daemon::start(json!({}));
    if !sees_connections(&daemon) {
        return;
    }
    // A server of Node knows the handshake alone.
    let refused = [("server/discover", Some("400")), HANDSHAKE[0], HANDSHAKE[1]];
    // (client, server, how it begins, ways to give up and how a call ends so)
    let sessions: [(_, _, &[_], (&[&str], _)); 3] = [
        ("python", "node", &refused, (&["give_up"], "cancelled")),
        ("node", "python", &HANDSHAKE, (&["give_up", "abort"], "cancelled")),
        // Who gives up closes the stream, and says no more.
        ("python", "python", &DISCOVERY, (&["give_up"], "cut_off")),
    ];
    for (asks, serves, methods, given_up) in sessions {
        let (server, url) = serve(serves);
        let mut client = Client::start(command(asks, "client"));
        let agents = [&client, &server].map(|process| daemon.api().attach(process.pid()));
        client.call(&format!("http auto {url}"));
        let called = call_tools(&mut client, given_up);
        client.call("end");
        let name = json!(format!("{serves}-sdk-server"));
        for (process, agent, role) in [(&client, &agents[0], "client"), (&server, &agents[1], "server")] {
            let (pid, server, transport) = (process.pid(), name.clone(), "http");
            let told = Told { pid, server, transport, role, methods };
            assert_told(&calls(&daemon, agent), &told, &called);
        }
    }
    assert_eq!(daemon.api().loss("kernel_wire_unreadable"), 0);
    assert_eq!(daemon.api().loss("wire_message_dropped"), 0);
}
