//! Clients that live for a moment: each call is seen, or it is said that it was not.

use std::fs;

use serde_json::{Value, json};

use super::{Provider, calls};
use crate::support::{daemon::Daemon, ledger::sees_connections, puppet::Puppet};

/// How many there are.
const COUNT: usize = 40;

/// A script that asks a model by one curl after the other, of models `m-1` to `m-40`.
fn script(provider: &Provider, options: &str) -> String {
    let path = provider.certificate().with_file_name("curls.sh");
    // Longer than what the protocols say by themselves: less is not taken for a request on the socket.
    let content = "PLANTED ".repeat(20);
    let body = format!(
        r#"{{\"model\":\"m-$n\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"{content}\"}}]}}"#
    );
    let certificate = provider.certificate();
    let url = format!("https://127.0.0.1:{}/v1/chat/completions", provider.port);
    let curl = format!(
        "curl {options} -sS --cacert {} --data \"{body}\" --output /dev/null {url}",
        certificate.display()
    );
    fs::write(&path, format!("for n in $(seq {COUNT}); do {curl} || exit 1; done\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What coverage says of the processes of an agent that have ended.
fn ended(daemon: &Daemon, agent: &str) -> Vec<Value> {
    let answer = daemon.api().get(&format!("/api/v1/agents/{agent}/coverage")).expect(200).json();
    answer["ended"].as_array().unwrap().clone()
}

fn check(options: &str, least: usize) {
    let provider = Provider::start_witness();
    let daemon = provider.daemon(&json!({ "log": { "level": "debug" } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let path = script(&provider, options);
    let run = puppet.run_path("sh", &[&path]);
    assert_eq!(run.status, 0);
    let told = ended(&daemon, &agent);
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    let whole = |call: &&Value| call["partial"] == json!([]) && call["request_model"] != Value::Null;
    let seen = calls.iter().filter(whole).count();
    eprintln!("of {COUNT} curls {options} {seen} were seen, of {} more a part", calls.len() - seen);
    assert!(seen >= least, "{seen} of {COUNT} were seen, {} in part: {told:?}", calls.len() - seen);
    let mut models: Vec<&str> = calls.iter().filter_map(|call| call["request_model"].as_str()).collect();
    models.sort_unstable();
    models.dedup();
    assert!(models.len() >= seen, "each call once: {models:?}");
    if sees_connections(&daemon) {
        let unread = told.iter().map(|process| process["unread_model_requests"].as_u64().unwrap());
        let unread: u64 = unread.sum();
        assert!(calls.len() as u64 + unread >= COUNT as u64, "who was not seen is told: {told:#?}");
    }
}

#[test]
fn curls_of_http_1_are_seen() {
    check("--http1.1", COUNT / 2);
}

#[test]
fn curls_of_http_2_are_seen() {
    check("--http2", COUNT / 2);
}
