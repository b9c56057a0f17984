//! Exchanges over HTTP: what real clients asked real servers for is told by endpoint, on the side of who asks and of who is
//! asked, with TLS and without. The truth is what the workloads were told to do.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::{Client, MARK, Provider, attach, calls};
use crate::support::{
    api::eventually, daemon::Daemon, ledger::sees_connections, puppet::Puppet, tls, tls::Server,
    tolerance::is_slow, workload::source,
};

/// How often everything is asked for.
const TIMES: u64 = 20;

/// Method, route and status of an endpoint; failures, bytes of one request and of one answer.
type Known = (&'static str, &'static str, Option<u64>, u64, [u64; 2]);

const ENDPOINTS: [Known; 6] = [
    ("GET", "/v1/items/{id}", Some(200), 0, [0, 104]),
    ("POST", "/v1/items", Some(201), 0, [1300, 24]),
    ("GET", "/nowhere", Some(404), 1, [0, 16]),
    ("GET", "/chunked", Some(200), 0, [0, 3000]),
    ("GET", "/slow", Some(200), 0, [0, 8]),
    ("GET", "/drop", None, 1, [0, 0]),
];

fn daemon() -> Daemon {
    Daemon::start(json!({}))
}

/// The public or other program that asks.
fn asks(script: &str, server: &Server) -> Client {
    let program = if script.ends_with(".py") { "python3" } else { "node" };
    let mut command = Command::new(program);
    command.arg(source(script)).arg(server.port.to_string()).args(server.certificate());
    Client::start(command)
}

/// The agent's endpoints of one side.
fn endpoints(daemon: &Daemon, agent: &str, side: &str) -> Vec<Value> {
    let path = format!("/api/v1/agents/{agent}/http?limit=1000");
    let rows = daemon.api().get(&path).expect(200).json()["endpoints"].as_array().unwrap().clone();
    rows.into_iter().filter(|row| row["side"] == side).collect()
}

/// Asserts that each endpoint is told as often as it was asked for, and how much went; `slow` is how long the slow ones took.
#[track_caller]
fn assert_told(rows: &[Value], times: u64, slow: f64) {
    let key = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        (text("method"), text("route"), row["status"].as_u64())
    };
    let told: BTreeMap<_, _> = rows.iter().map(|row| (key(row), row)).collect();
    assert_eq!((told.len(), rows.len()), (ENDPOINTS.len(), ENDPOINTS.len()), "{rows:#?}");
    for (method, route, status, errors, bytes) in ENDPOINTS {
        let row = told[&(method.to_owned(), route.to_owned(), status)];
        let numbers = ["requests", "errors", "request_bytes", "response_bytes"].map(|key| &row[key]);
        let expected = [times, times * errors, times * bytes[0], times * bytes[1]].map(|n| json!(n));
        assert_eq!(numbers, [&expected[0], &expected[1], &expected[2], &expected[3]], "{row:#}");
        assert_eq!(row["partial"], if status.is_none() { times } else { 0 }, "{row:#}");
        let counted: u64 =
            row["latency"].as_array().unwrap().iter().map(|l| l["requests"].as_u64().unwrap()).sum();
        assert_eq!(counted, times, "{row:#}");
    }
    let row = told[&("GET".to_owned(), "/slow".to_owned(), Some(200))];
    let (total, p50) = (row["total_seconds"].as_f64().unwrap(), row["p50_seconds"].as_f64().unwrap());
    let most = if is_slow() { 1.0 } else { 0.05 };
    assert!((total - slow).abs() < slow * most, "they took {slow} s: {row:#}");
    assert!(p50 > 0.19, "each slept for 0.2 s: {row:#}");
}

/// Has everything asked for while an agent is watched, which is attached by `attach`.
fn watch(daemon: &Daemon, client: &mut Client, agent: &str, side: &str) {
    let slow = client.call(&format!("ask {TIMES}"))["seconds"].as_f64().unwrap();
    daemon.api().detach(agent);
    let rows = endpoints(daemon, agent, side);
    assert_told(&rows, TIMES, slow);
    let losses = ["kernel_wire_ring_full", "kernel_wire_unreadable", "wire_call_dropped", "wire_unfollowed"];
    assert_eq!(losses.map(|loss| daemon.api().loss(loss)), [0; 4]);
}

#[test]
fn what_python_asks_for_in_the_clear_is_told_by_endpoint() {
    let (server, daemon) = (Server::start("wire/endpoints.py", false), daemon());
    if !sees_connections(&daemon) {
        return;
    }
    let mut client = asks("wire/asks.py", &server);
    let agent = daemon.api().attach(client.pid());
    watch(&daemon, &mut client, &agent, "client");
    let rows = endpoints(&daemon, &agent, "client");
    let named = |row: &Value| row["server_address"] == "127.0.0.1" && row["server_port"] == server.port;
    assert!(rows.iter().all(|row| named(row) && row["kind"] == "http"), "{rows:#?}");
    assert!(endpoints(&daemon, &agent, "server").is_empty());
}

#[test]
fn what_python_asks_for_by_tls_is_told_by_endpoint() {
    let (server, daemon) = (Server::start("wire/endpoints.py", true), daemon());
    let mut client = asks("wire/asks.py", &server);
    let agent = attach(&daemon, &client);
    watch(&daemon, &mut client, &agent, "client");
}

#[test]
fn what_node_asks_for_is_told_by_endpoint() {
    let (server, daemon) = (Server::start("wire/endpoints.py", false), daemon());
    if !sees_connections(&daemon) {
        return;
    }
    let mut client = asks("wire/asks.mjs", &server);
    let agent = daemon.api().attach(client.pid());
    watch(&daemon, &mut client, &agent, "client");
}

#[test]
fn what_curl_asks_for_as_a_tool_is_told_with_its_process() {
    let (server, daemon) = (Server::start("wire/endpoints.py", false), daemon());
    if !sees_connections(&daemon) {
        return;
    }
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let url = format!("http://127.0.0.1:{}/v1/items/[1-50]", server.port);
    let curl = puppet.run_path("curl", &["-sS", "--output", "/dev/null", &url]);
    assert_eq!(curl.status, 0);
    daemon.api().detach(&agent);
    let rows = endpoints(&daemon, &agent, "client");
    let [row] = &rows[..] else { panic!("one endpoint: {rows:#?}") };
    assert_eq!((&row["route"], &row["requests"]), (&json!("/v1/items/{id}"), &json!(50)), "{row:#}");
    assert_eq!((&row["response_bytes"], &row["partial"]), (&json!(50 * 104), &json!(0)), "{row:#}");
    let path = format!("/api/v1/agents/{agent}/http?by=process");
    let told = daemon.api().get(&path).expect(200).json()["endpoints"].clone();
    assert_eq!((&told[0]["comm"], &told[0]["pid"]), (&json!("curl"), &json!(curl.pid)), "{told:#}");
}

/// Watches a server while it is asked for everything from outside.
fn watch_server(daemon: &Daemon, server: &Server, agent: &str) {
    let mut client = asks("wire/asks.py", server);
    watch(daemon, &mut client, agent, "server");
    let rows = endpoints(daemon, agent, "server");
    let named = |row: &Value| row.get("server_address").is_none() && row["server_port"] == server.port;
    assert!(rows.iter().all(named), "{rows:#?}");
    assert!(endpoints(daemon, agent, "client").is_empty());
}

#[test]
fn what_python_serves_in_the_clear_is_told_by_endpoint() {
    let (server, daemon) = (Server::start("wire/endpoints.py", false), daemon());
    if !sees_connections(&daemon) {
        return;
    }
    let agent = daemon.api().attach(server.pid());
    watch_server(&daemon, &server, &agent);
}

#[test]
fn what_python_serves_by_tls_is_told_by_endpoint() {
    let (server, daemon) = (Server::start("wire/endpoints.py", true), daemon());
    let agent = tls::attach_probed(&daemon, server.pid());
    watch_server(&daemon, &server, &agent);
}

/// A server in Node.
struct NodeServer(Child, u16);

impl NodeServer {
    fn start() -> Self {
        let mut node = Command::new("node");
        let mut process = node.arg(source("wire/endpoints.mjs")).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(process, line.trim().parse().unwrap())
    }
}

impl Drop for NodeServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_node_serves_is_told_by_endpoint() {
    let (server, daemon) = (NodeServer::start(), daemon());
    if !sees_connections(&daemon) {
        return;
    }
    let agent = daemon.api().attach(server.0.id());
    let mut command = Command::new("python3");
    command.arg(source("wire/asks.py")).arg(server.1.to_string());
    watch(&daemon, &mut Client::start(command), &agent, "server");
}

/// Large bodies are told to the byte, though they are not read.
fn watch_large(daemon: &Daemon, client: &mut Client, agent: &str) {
    const LARGE: u64 = 8_000_000;
    let seconds = client.call("large 10")["seconds"].as_f64().unwrap();
    client.call("ask 1");
    let path = format!("/api/v1/agents/{agent}/coverage");
    let seen = eventually("the process is known", || {
        daemon.api().get(&path).expect(200).json()["processes"][0]["received_bytes"].as_u64()
    });
    daemon.api().detach(agent);
    let rows = endpoints(daemon, agent, "client");
    if daemon.api().loss("kernel_wire_ring_full") > 0 {
        eprintln!("not told to the byte: more went by at once than the ring holds, which is counted");
        return;
    }
    let large = rows.iter().find(|row| row["route"] == "/large").unwrap();
    let numbers = ["requests", "errors", "partial", "response_bytes"].map(|key| large[key].as_u64().unwrap());
    assert_eq!(numbers, [10, 0, 0, 10 * LARGE], "{large:#}");
    let total = large["total_seconds"].as_f64().unwrap();
    let most = if is_slow() { 1.0 } else { 0.1 };
    assert!((total - seconds).abs() < seconds * most + 0.01, "they took {seconds} s: {large:#}");
    eprintln!("{seen} bytes of {} were looked at", 10 * LARGE);
    assert!(
        seen < 10 * LARGE / 2,
        "most is passed over, but for what goes by before the daemon says so: {seen}"
    );
    let others: Vec<Value> = rows.iter().filter(|row| row["route"] != "/large").cloned().collect();
    assert_eq!(others.len(), ENDPOINTS.len(), "what comes after is told: {others:#?}");
}

#[test]
fn large_bodies_are_told_to_the_byte() {
    let (server, daemon) = (Server::start("wire/endpoints.py", true), daemon());
    let mut client = asks("wire/asks.py", &server);
    let agent = attach(&daemon, &client);
    watch_large(&daemon, &mut client, &agent);
}

#[test]
fn large_bodies_in_the_clear_are_told_to_the_byte() {
    let (server, daemon) = (Server::start("wire/endpoints.py", false), daemon());
    if !sees_connections(&daemon) {
        return;
    }
    let mut client = asks("wire/asks.py", &server);
    let agent = daemon.api().attach(client.pid());
    watch_large(&daemon, &mut client, &agent);
}

#[test]
fn calls_of_models_are_told_by_endpoint_too() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    for _ in 0..3 {
        assert_eq!(client.call("chat gpt-4.1")["status"], 200);
    }
    daemon.api().detach(&agent);
    assert_eq!(calls(&daemon, &agent).len(), 3);
    let rows = endpoints(&daemon, &agent, "client");
    let [row] = &rows[..] else { panic!("one endpoint: {rows:#?}") };
    assert_eq!((&row["kind"], &row["route"]), (&json!("llm"), &json!("/v1/chat/completions")), "{row:#}");
    assert_eq!((&row["requests"], &row["errors"]), (&json!(3), &json!(0)), "{row:#}");
}

#[test]
fn what_serves_itself_is_told_on_both_sides() {
    let provider = Provider::start_plain();
    let daemon = provider.daemon(&json!({}));
    if !sees_connections(&daemon) {
        return;
    }
    let mut client = provider.plain_python();
    let agent = daemon.api().attach(client.pid());
    for _ in 0..3 {
        assert_eq!(client.call("itself own-model")["status"], 200);
    }
    daemon.api().detach(&agent);
    for side in ["client", "server"] {
        // It serves each at a port of its own.
        let rows = endpoints(&daemon, &agent, side);
        let named = |row: &Value| (row["kind"].clone(), row["requests"].clone(), row["status"].clone());
        let told: Vec<_> = rows.iter().map(named).collect();
        assert_eq!(told, [(); 3].map(|()| (json!("llm"), json!(1), json!(200))), "{rows:#?}");
    }
}

#[test]
fn a_call_of_a_model_is_one_where_both_sides_are_watched() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let served = tls::attach_probed(&daemon, provider.process.id());
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    for _ in 0..3 {
        assert_eq!(client.call("chat gpt-4.1")["status"], 200);
    }
    daemon.api().detach(&agent);
    daemon.api().detach(&served);
    assert_eq!((calls(&daemon, &agent).len(), calls(&daemon, &served)), (3, Vec::new()));
    for (agent, side) in [(&agent, "client"), (&served, "server")] {
        let rows = endpoints(&daemon, agent, side);
        let told: Vec<_> = rows.iter().map(|row| (row["kind"].clone(), row["requests"].clone())).collect();
        assert_eq!(told, [(json!("llm"), json!(3))], "{rows:#?}");
    }
}

#[test]
fn endpoints_outlast_a_crash_and_keep_no_secret() {
    let server = Server::start("wire/endpoints.py", true);
    let mut daemon = Daemon::start(json!({ "log": { "level": "trace" } }));
    let mut client = asks("wire/asks.py", &server);
    let agent = attach(&daemon, &client);
    client.call("ask 3");
    daemon.api().detach(&agent);
    let metrics = daemon.api().get("/metrics").expect(200).text();
    let named = "agentperf_http_client_request_duration_seconds_count{";
    let slow = metrics.lines().find(|line| line.starts_with(named) && line.contains("http_route=\"/slow\""));
    assert!(slow.is_some_and(|line| line.ends_with(" 3")), "{metrics}");
    let before = endpoints(&daemon, &agent, "client");
    daemon.crash_and_restart();
    let after = eventually("the store is read", || Some(endpoints(&daemon, &agent, "client")));
    assert_eq!((after.len(), &after), (ENDPOINTS.len(), &before));
    let store = daemon.store();
    let pages = ["http", "coverage", "operations", "network", "processes"];
    let mut texts: Vec<String> = vec![metrics];
    texts.extend(
        pages.map(|page| daemon.api().get(&format!("/api/v1/agents/{agent}/{page}")).expect(200).text()),
    );
    assert!(daemon.stop().success());
    texts.push(daemon.log());
    for text in &texts {
        assert!(!text.contains(MARK) && !text.contains("0a1b2c3d4e5f6071"), "it tells what was said: {text}");
    }
    let mut files = 0;
    for entry in fs::read_dir(store).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(MARK.len()).any(|window| window == MARK.as_bytes()));
        files += 1;
    }
    assert!(files > 0);
}
