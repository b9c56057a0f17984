//! What agents say, by TLS and without: real clients call a small provider of models on this machine, and what agentperf tells of each
//! call is what the client itself saw.

mod asked;
mod connect;
mod content;
mod http;
mod kept;
mod late;
pub(crate) mod libraries;
mod load;
mod mcp;
mod plain;
pub(crate) mod rustls;
mod sdk;
mod short_lived;
pub(crate) mod stdio;

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    api::eventually, daemon::Daemon, puppet::Puppet, tls, tolerance::is_slow, workload::source,
};

/// What clients and provider plant: keys, prompts, answers, arguments, headers.
const MARK: &str = "PLANTED";

/// A provider of models.
struct Provider {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Provider {
    /// One behind TLS.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = tls::certificate(folder.path());
        Self::spawn(folder, &[OsStr::new("tls"), certificate.as_os_str(), key.as_os_str()])
    }

    /// One behind TLS that speaks HTTP/2 with who offers it, and keeps [`Provider::truths`].
    fn start_witness() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = tls::certificate(folder.path());
        Self::spawn(folder, &[OsStr::new("alpn"), certificate.as_os_str(), key.as_os_str()])
    }

    /// What it says of the calls that it has answered, in their order, once there are so many.
    fn truths(&self, count: usize) -> Vec<Value> {
        let path = self.folder.path().join("truth");
        eventually("the provider says what it has answered", || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let truths: Vec<Value> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
            (truths.len() >= count).then_some(truths)
        })
    }

    /// One that speaks in the clear.
    fn start_plain() -> Self {
        Self::spawn(tempfile::tempdir().unwrap(), &[])
    }

    fn spawn(folder: TempDir, arguments: &[&OsStr]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/provider.mjs");
        let mut node = Command::new("node");
        if arguments.first().is_some_and(|kind| *kind == "alpn") {
            node.env("TRUTH", folder.path().join("truth"));
        }
        let mut process =
            node.arg(script).args(arguments).stdout(Stdio::piped()).spawn().expect("node starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, port: line.trim().parse().expect("a port"), folder }
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn python(&self) -> Client {
        let mut command = Command::new("python3");
        command.arg(source("wire/client.py")).arg(self.port.to_string()).arg(self.certificate());
        Client::start(command)
    }

    fn node(&self) -> Client {
        let mut command = Command::new("node");
        command.arg(source("wire/client.mjs")).arg(self.port.to_string());
        command.env("NODE_EXTRA_CA_CERTS", self.certificate());
        Client::start(command)
    }

    /// A daemon that knows it for a model.
    fn daemon(&self, overrides: &Value) -> Daemon {
        let mut config = json!({ "ledger": { "model_hosts": format!("127.0.0.1:{}", self.port) } });
        let more = overrides.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(more);
        Daemon::start(config)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that calls when it is told.
struct Client {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Client {
    /// Starts one, and waits until it says that it is ready.
    fn start(command: Command) -> Self {
        Self::spawn(command).0
    }

    /// The same, with what else it says then.
    fn spawn(mut command: Command) -> (Self, Value) {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut client = Self { process, commands, answers };
        let said = client.hear();
        assert_eq!(said["ready"], true);
        (client, said)
    }

    fn pid(&self) -> u32 {
        self.process.id()
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    /// Has it call; what it saw.
    fn call(&mut self, command: &str) -> Value {
        writeln!(self.commands, "{command}").unwrap();
        self.hear()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Attaches, and waits until the client's TLS library is probed.
fn attach(daemon: &Daemon, client: &Client) -> String {
    tls::attach_probed(daemon, client.pid())
}

/// The agent's calls of models, the first first.
fn calls(daemon: &Daemon, agent: &str) -> Vec<Value> {
    let path = format!("/api/v1/llm-calls?agent={agent}&limit=1000");
    let mut calls = daemon.api().get(&path).expect(200).json()["calls"].as_array().unwrap().clone();
    calls.reverse();
    calls
}

/// How far a time that is told of a call is from what the client saw, as a share of what may be: 5 ms or 2 %.
fn distance(truth: &Value, seen: &Value) -> Option<f64> {
    let (truth, seen) = (truth.as_f64()?, seen.as_f64().unwrap_or(f64::INFINITY));
    let most = (truth * 0.02).max(0.005) * if is_slow() { 10.0 } else { 1.0 };
    Some((truth - seen).abs() / most)
}

/// Asserts that half of the times are near enough: a client may be pushed off the CPU between its clock and its call.
#[track_caller]
fn assert_near(mut distances: Vec<f64>, slack: f64, what: &str) {
    distances.sort_by(f64::total_cmp);
    assert!(distances[distances.len() / 2] <= slack, "{what}: {distances:?} of what may be");
}

/// What the provider answers to a command: model, input, output, cached, finish, tools.
fn expected(command: &str) -> (&'static str, String, [u64; 3], &'static str) {
    let (command, model) = command.split_once(' ').unwrap();
    match command {
        "messages" => ("anthropic", format!("{model}-20260101"), [4325, 77, 4000], "tool_use"),
        _ => ("openai", format!("{model}-2026-01-01"), [1200, 80, 1024], "stop"),
    }
}

/// Has a client make the calls, and compares what is told of them with what it saw: times with this much slack.
fn check(daemon: &Daemon, agent: &str, client: &mut Client, slack: f64) -> Vec<Value> {
    let commands = &COMMANDS;
    let truths: Vec<Value> = commands.iter().map(|command| client.call(command)).collect();
    daemon.api().detach(agent);
    let calls = calls(daemon, agent);
    assert_eq!(calls.len(), commands.len(), "each call once: {calls:#?}");
    for ((command, truth), call) in commands.iter().zip(&truths).zip(&calls) {
        let (provider, model, [input, output, cached], finish) = expected(command);
        assert_eq!(call["provider"], provider, "{command}: {call}");
        assert_eq!(call["request_model"], command.split_once(' ').unwrap().1, "{call}");
        assert_eq!(call["response_model"], model, "{call}");
        assert_eq!(call["status"], truth["status"], "{call}");
        assert_eq!(
            (&call["input_tokens"], &call["output_tokens"]),
            (&json!(input), &json!(output)),
            "{call}"
        );
        assert_eq!(
            (&call["cache_read_tokens"], &call["finish_reason"]),
            (&json!(cached), &json!(finish)),
            "{call}"
        );
        assert_eq!((&call["partial"], &call["success"]), (&json!([]), &json!(true)), "{call}");
        assert_eq!(call["pid"], client.pid(), "{call}");
    }
    let pairs = || truths.iter().zip(&calls);
    let durations =
        pairs().filter_map(|(truth, call)| distance(&truth["seconds"], &call["duration_seconds"]));
    assert_near(durations.collect(), slack, "durations");
    let first = pairs().filter_map(|(truth, call)| distance(&truth["first"], &call["first_content_seconds"]));
    assert_near(first.collect(), slack, "times to the first token");
    truths
}

const COMMANDS: [&str; 6] = [
    "chat gpt-4.1",
    "stream gpt-4.1",
    "messages claude-sonnet-4",
    "chat gpt-5",
    "stream gpt-5",
    "messages claude",
];

#[test]
fn calls_of_python_are_told_as_it_saw_them() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    check(&daemon, &agent, &mut client, 1.0);
    assert_eq!(daemon.api().loss("kernel_wire_ring_full"), 0);
}

#[test]
fn calls_of_node_are_told_as_it_saw_them() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.node();
    let agent = attach(&daemon, &client);
    // Between its clock and what it sends are turns of its event loop, and compilers at work: its times are no yardstick.
    check(&daemon, &agent, &mut client, 20.0);
}

#[test]
fn calls_of_a_short_lived_child_are_seen() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    // A process says something before it is probed: so it says it again and again, 24 ms each.
    let url = format!("https://127.0.0.1:{}/v1/chat/completions?n=[1-40]", provider.port);
    let certificate = provider.certificate();
    let body = r#"{"model":"gpt-4.1","stream":true,"messages":[{"role":"user","content":"PLANTED"}]}"#;
    let arguments =
        ["-sS", "--cacert", certificate.to_str().unwrap(), "--data", body, "--output", "/dev/null", &url];
    let curl = puppet.run_path("curl", &arguments);
    assert_eq!(curl.status, 0);
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    assert!(calls.len() >= 20, "{} of 40 calls were seen: {}", calls.len(), daemon.log());
    for call in calls.iter().skip(1) {
        assert_eq!((&call["request_model"], &call["status"]), (&json!("gpt-4.1"), &json!(200)), "{call}");
        assert_eq!((&call["pid"], &call["partial"]), (&json!(curl.pid), &json!([])), "{call}");
    }
}

#[test]
fn failures_are_linked_to_what_repeats_them() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    let statuses = [(); 2].map(|()| client.call("chat retry-me")["status"].clone());
    assert_eq!(statuses, [json!(429), json!(200)]);
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    let [failed, repeated] = &calls[..] else { panic!("two calls: {calls:#?}") };
    assert_eq!((&failed["success"], &failed["status"]), (&json!(false), &json!(429)));
    assert_eq!(failed["error_type"], "rate_limit_exceeded", "{failed}");
    assert_eq!((&repeated["retry_of"], &repeated["retries"]), (&failed["id"], &json!(1)), "{repeated}");
    let only = format!("/api/v1/llm-calls?agent={agent}&failed=true");
    assert_eq!(daemon.api().get(&only).expect(200).json()["total"], 1);
}

#[test]
fn traffic_without_calls_is_dismissed_and_a_call_on_it_is_seen_again() {
    let provider = Provider::start();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    for _ in 0..4 {
        assert_eq!(client.call("noise 40000000")["bytes"], 40_000_000);
        std::thread::sleep(Duration::from_millis(100));
    }
    client.call("chat gpt-4.1");
    let path = format!("/api/v1/agents/{agent}/coverage");
    let process = daemon.api().get(&path).expect(200).json()["processes"][0].clone();
    let received = process["received_bytes"].as_u64().unwrap();
    // Of each body, what goes by before the daemon looks.
    assert!(received < 80_000_000, "160 MB went through, {received} bytes were looked at");
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!((&calls[0]["input_tokens"], &calls[0]["partial"]), (&json!(1200), &json!([])), "{}", calls[0]);
}

#[test]
fn who_asks_a_model_unseen_is_told_with_the_reason() {
    let provider = Provider::start();
    let plain = Provider::start_plain();
    let daemon = Daemon::start(json!({ "ledger": { "model_hosts": format!("127.0.0.1:{}", plain.port) } }));
    if daemon.api().unavailable().contains_key("connection_send") {
        return;
    }
    let mut client = provider.python();
    let agent = attach(&daemon, &client);
    // It leads to a model, and is no HTTP.
    client.call(&format!("raw {}", plain.port));
    let path = format!("/api/v1/agents/{agent}/coverage");
    eventually("it is told to be blind", || {
        let answer = daemon.api().get(&path).expect(200).json();
        let process = &answer["processes"][0];
        let reason = process["reason"].as_str().unwrap_or_default();
        (process["state"] == "blind" && reason.contains("another TLS library")).then_some(())
    });
    let all = daemon.api().get("/api/v1/coverage").expect(200).json();
    assert_eq!(all["processes"][0]["agent"], agent.as_str(), "{all}");
    assert_eq!(all["processes"][0]["model_requests"], 1, "{all}");
}
