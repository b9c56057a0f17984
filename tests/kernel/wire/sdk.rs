//! The public clients of Python and Node against a provider behind TLS: what is told of each call is what the provider and
//! the client saw, whatever the client's way to ask.

use std::{
    collections::{HashMap, HashSet},
    process::Command,
};

use serde_json::{Value, json};

use super::{Client, Provider, attach, calls};
use crate::support::{packages, tolerance::is_slow, workload::source};

impl Provider {
    pub(super) fn public_python(&self) -> Client {
        let folder = packages::python("clients", "wire/sdk/requirements.txt");
        let mut command = Command::new(folder.join("bin/python"));
        command.arg(source("wire/sdk/client.py")).arg(self.port.to_string()).arg(self.certificate());
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "*");
        Client::start(command)
    }

    fn public_node(&self) -> Client {
        let folder = packages::node("clients-node", "wire/sdk/package-lock.json");
        let mut command = Command::new("node");
        command.arg(source("wire/sdk/client.mjs")).arg(self.port.to_string());
        command.env("NODE_EXTRA_CA_CERTS", self.certificate()).env("MODULES", folder);
        Client::start(command)
    }
}

/// Calls at once at which machine and provider are so busy that its clock says nothing of what the client waited.
const CROWD: usize = 40;
/// How far clocks may be apart that are read one after the other, s.
const GRAIN: f64 = 0.005;

/// Half of these are at most so much.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// How far a time that is told of a call is from the provider's own: in seconds, and of what any machine holds, 50 ms or 10 %.
/// It is the provider's at the least, whose clock began later, and at most the client's, which began before it had connected.
fn distance(told: &Value, truth: &Value, saw: &Value, what: &str) -> Option<(f64, f64)> {
    let (truth, told) = (truth.as_f64()?, told.as_f64().unwrap_or_else(|| panic!("{what} is not told")));
    let slow = if is_slow() { 10.0 } else { 1.0 };
    assert!(told >= truth - GRAIN * slow, "{what}: {told} s, by the provider {truth}");
    if let Some(saw) = saw.as_f64() {
        assert!(told <= saw + GRAIN * slow, "{what}: {told} s, by the client {saw}");
    }
    let most = (truth * 0.1).max(0.05) * slow;
    Some(((truth - told).abs(), (truth - told).abs() / most))
}

/// Asserts what is told of a call, by what the provider (`truth`) and its client (`saw`) say of it.
fn assert_told(call: &Value, truth: &Value, saw: &Value) {
    assert_eq!((&call["request_model"], &call["status"]), (&truth["model"], &truth["status"]), "{call}");
    assert_eq!(call["role"], "client", "{call}");
    if truth["status"] == 429 {
        // A client that will retry need not read the answer's body, which says why.
        let why = call["error_type"].as_str().unwrap_or_default();
        assert!(["rate_limit_exceeded", "429"].contains(&why) && call["success"] == false, "{call}");
    } else if saw["error"].is_string() {
        assert_eq!(
            (&call["error_type"], &call["partial"]),
            (&json!("cut_off"), &json!(["cut_off"])),
            "{call}"
        );
    } else {
        assert_eq!((&call["partial"], &call["success"]), (&json!([]), &json!(true)), "{call}");
        assert_eq!(call["response_model"], saw["answered"], "{call}");
        assert_eq!(
            (&call["input_tokens"], &call["output_tokens"]),
            (&saw["input"], &saw["output"]),
            "{call}"
        );
        assert_eq!(call["stream"], truth["first"].is_number(), "{call}");
    }
}

/// What a client saw of each call, by its model, and which of them were made in a crowd.
fn ask(client: &mut Client, commands: &[&str]) -> (HashMap<String, Value>, HashSet<String>) {
    let (mut saw, mut crowded) = (HashMap::new(), HashSet::new());
    for (n, command) in commands.iter().enumerate() {
        // Each call is of a model of its own.
        let told = client.call(&command.replace("MODEL", &format!("n{n}")));
        let told = told.as_array().unwrap();
        for call in told {
            let model = call["model"].as_str().unwrap().to_owned();
            if told.len() >= CROWD {
                crowded.insert(model.clone());
            }
            saw.insert(model, call.clone());
        }
    }
    (saw, crowded)
}

/// Has a client make the calls, and compares what is told of each with what it and the provider saw.
fn check(name: &str, client: impl FnOnce(&Provider) -> Client, commands: &[&str]) {
    let provider = Provider::start_witness();
    let daemon = provider.daemon(&json!({}));
    let mut client = client(&provider);
    let agent = attach(&daemon, &client);
    let (saw, crowded) = ask(&mut client, commands);
    let retried = saw.keys().filter(|model| model.contains("retry")).count();
    let truths = provider.truths(saw.len() + retried);
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    assert_eq!(calls.len(), truths.len(), "each call once: {calls:#?}");
    let mut distances = [Vec::new(), Vec::new()];
    let mut left: Vec<&Value> = calls.iter().collect();
    for truth in &truths {
        let model = truth["model"].as_str().unwrap();
        let at = left.iter().position(|call| call["request_model"] == model);
        let call = left.remove(at.unwrap_or_else(|| panic!("no call of {model}")));
        assert_eq!(call["pid"], client.pid(), "{call}");
        assert_told(call, truth, &saw[model]);
        // A call that failed is over for its client before its connection is, and the clock of one that is retried counts both.
        if truth["status"] == 429 || saw[model]["error"].is_string() {
            continue;
        }
        assert_eq!(call["retries"], u64::from(model.contains("retry")), "{call}");
        for ((told, clocked), distances) in
            [("duration_seconds", "seconds"), ("first_content_seconds", "first")].iter().zip(&mut distances)
        {
            let distance = distance(&call[told], &truth[clocked], &saw[model][clocked], told);
            distances.extend(distance.filter(|_| !crowded.contains(model)));
        }
    }
    for (what, distances) in ["durations", "times to the first token"].iter().zip(distances) {
        let (seconds, shares): (Vec<f64>, Vec<f64>) = distances.into_iter().unzip();
        let (count, off, share) = (seconds.len(), median(seconds), median(shares));
        eprintln!("{name}: {what} of {count} calls are {:.2} ms off in the median", off * 1e3);
        assert!(share <= 1.0, "{what} are {off} s off, {share} of what may be");
    }
    assert_eq!(daemon.api().loss("kernel_wire_ring_full"), 0);
    assert_eq!(daemon.api().loss("wire_unfollowed"), 0);
}

#[test]
fn who_executes_itself_again_is_told_once() {
    let commands = ["httpx plain MODEL 3", "again plain MODEL", "httpx plain MODEL 3", "openai stream MODEL"];
    check("httpx that executed itself", Provider::public_python, &commands);
}

#[test]
fn openai_of_python_is_told_as_it_was() {
    let commands = [
        "openai plain MODEL 3",
        "openai stream MODEL 3",
        "openai stream MODEL-slow",
        "openai async MODEL 3",
        "openai async+stream MODEL-slow 3",
        "openai h2 MODEL 3",
        "openai async+h2+stream MODEL 3",
        "openai async+stream MODEL 40",
        "openai plain MODEL-retry",
        "openai async+stream MODEL-retry",
        "openai stream MODEL-drop",
        "openai async+stream MODEL-drop",
    ];
    check("openai of Python", Provider::public_python, &commands);
}

#[test]
fn anthropic_of_python_is_told_as_it_was() {
    let commands = [
        "anthropic plain MODEL 3",
        "anthropic stream MODEL 3",
        "anthropic stream MODEL-slow",
        "anthropic async MODEL 3",
        "anthropic async+h2+stream MODEL 3",
        "anthropic async+stream MODEL 40",
        "anthropic plain MODEL-retry",
        "anthropic stream MODEL-drop",
    ];
    check("anthropic of Python", Provider::public_python, &commands);
}

#[test]
fn exchanges_over_http2_are_told_by_endpoint() {
    let provider = Provider::start_witness();
    let daemon = provider.daemon(&json!({}));
    let mut client = provider.public_python();
    let agent = attach(&daemon, &client);
    for ways in ["h2", "async+h2"] {
        client.call(&format!("httpx {ways} model 10"));
    }
    daemon.api().detach(&agent);
    let path = format!("/api/v1/agents/{agent}/http");
    let told = daemon.api().get(&path).expect(200).json();
    let [row] = &told["endpoints"].as_array().unwrap()[..] else { panic!("one endpoint: {told:#}") };
    let named = (&row["kind"], &row["method"], &row["status"], &row["server_port"]);
    assert_eq!(named, (&json!("llm"), &json!("POST"), &json!(200), &json!(provider.port)), "{row:#}");
    assert_eq!((&row["requests"], &row["partial"]), (&json!(20), &json!(0)), "{row:#}");
}

#[test]
fn httpx_is_told_as_it_was() {
    let commands = [
        "httpx plain MODEL 3",
        "httpx stream MODEL 3",
        "httpx h2 MODEL 3",
        "httpx h2+stream MODEL-slow 2",
        "httpx async MODEL 3",
        "httpx async+h2 MODEL 3",
        "httpx async+stream MODEL 40",
        "httpx async+h2+stream MODEL 40",
    ];
    check("httpx", Provider::public_python, &commands);
}

#[test]
fn clients_of_node_are_told_as_they_were() {
    let commands = [
        "openai plain MODEL 3",
        "openai stream MODEL-slow 3",
        "openai stream MODEL 40",
        "openai plain MODEL-retry",
        "openai stream MODEL-drop",
        "anthropic plain MODEL 3",
        "anthropic stream MODEL-slow 3",
        "anthropic stream MODEL 40",
        "anthropic plain MODEL-retry",
        "http2 plain MODEL 3",
        "http2 stream MODEL-slow 3",
        "http2 stream MODEL 40",
    ];
    check("Node", Provider::public_node, &commands);
}
