//! What agents say without TLS: the same clients and the same provider, on sockets that no library hides.

use std::process::Command;

use serde_json::{Value, json};

use super::{Client, Provider, calls, check, kept::keeps_nothing};
use crate::support::{api::eventually, daemon::Daemon, ledger::sees_connections, tls, workload::source};

impl Provider {
    pub(super) fn plain_python(&self) -> Client {
        let mut command = Command::new("python3");
        command.arg(source("wire/client.py")).arg(self.port.to_string());
        Client::start(command)
    }

    fn plain_node(&self) -> Client {
        let mut command = Command::new("node");
        command.arg(source("wire/client.mjs")).arg(self.port.to_string()).arg("http");
        Client::start(command)
    }
}

/// A daemon for a provider in the clear; `None` where the kernel does not tell of sockets.
fn daemon(provider: &Provider) -> Option<Daemon> {
    let daemon = provider.daemon(&json!({}));
    sees_connections(&daemon).then_some(daemon)
}

/// What is seen of the agent's only process, once so many calls are.
fn coverage_with(daemon: &Daemon, agent: &str, calls: u64) -> Value {
    let path = format!("/api/v1/agents/{agent}/coverage");
    eventually("the calls are seen", || {
        let seen = daemon.api().get(&path).expect(200).json()["processes"][0].clone();
        (seen["llm_calls"] == calls).then_some(seen)
    })
}

#[test]
fn calls_of_python_are_told_as_it_saw_them() {
    let provider = Provider::start_plain();
    let Some(daemon) = daemon(&provider) else { return };
    let mut client = provider.plain_python();
    let agent = daemon.api().attach(client.pid());
    check(&daemon, &agent, &mut client, 1.0);
    assert_eq!(daemon.api().loss("kernel_wire_ring_full"), 0);
    assert_eq!(daemon.api().loss("kernel_wire_unreadable"), 0);
}

#[test]
fn calls_of_node_are_told_as_it_saw_them() {
    let provider = Provider::start_plain();
    let Some(daemon) = daemon(&provider) else { return };
    let mut client = provider.plain_node();
    let agent = daemon.api().attach(client.pid());
    check(&daemon, &agent, &mut client, 20.0);
}

#[test]
fn who_asks_a_model_in_the_clear_is_seen() {
    let provider = Provider::start_plain();
    let Some(daemon) = daemon(&provider) else { return };
    let mut client = provider.plain_python();
    let agent = daemon.api().attach(client.pid());
    client.call("chat gpt-4.1");
    let seen = coverage_with(&daemon, &agent, 1);
    assert_eq!((&seen["state"], &seen["reason"]), (&json!("seen"), &Value::Null), "{seen}");
    assert_eq!((&seen["plain_connections"], &seen["llm_calls"]), (&json!(1), &json!(1)), "{seen}");
    assert_eq!(seen["model_requests"], 1, "{seen}");
}

#[test]
fn a_call_is_told_by_who_asked_alone() {
    let provider = Provider::start_plain();
    let Some(daemon) = daemon(&provider) else { return };
    let mut client = provider.plain_python();
    let agent = daemon.api().attach(client.pid());
    for _ in 0..3 {
        assert_eq!(client.call("itself own-model")["status"], 200);
    }
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    assert_eq!(calls.len(), 3, "{calls:#?}");
    for call in calls {
        assert_eq!((&call["role"], &call["output_tokens"]), (&json!("client"), &json!(7)), "{call}");
        assert_eq!((&call["request_model"], &call["partial"]), (&json!("own-model"), &json!([])), "{call}");
    }
}

#[test]
fn what_is_not_http_is_not_read() {
    let provider = Provider::start_plain();
    let Some(daemon) = daemon(&provider) else { return };
    let mut client = provider.plain_python();
    let agent = daemon.api().attach(client.pid());
    client.call("chat gpt-4.1");
    assert_eq!(client.call("bytes 4000000")["bytes"].as_u64().map(|n| n >= 4_000_000), Some(true));
    client.call("chat gpt-4.1");
    let seen = coverage_with(&daemon, &agent, 2);
    assert_eq!(seen["plain_connections"], 1, "{seen}");
    let bytes = |key: &str| seen[key].as_u64().unwrap();
    assert!(bytes("sent_bytes") + bytes("received_bytes") < 100_000, "8 MB went through: {seen}");
    daemon.api().detach(&agent);
    assert_eq!(calls(&daemon, &agent).len(), 2);
}

#[test]
fn tls_is_not_seen_twice() {
    let provider = Provider::start();
    let Some(daemon) = daemon(&provider) else { return };
    let mut client = provider.python();
    let agent = tls::attach_probed(&daemon, client.pid());
    client.call("chat gpt-4.1");
    client.call("stream gpt-4.1");
    let seen = coverage_with(&daemon, &agent, 2);
    assert_eq!((&seen["plain_connections"], &seen["connections"]), (&json!(0), &json!(1)), "{seen}");
    daemon.api().detach(&agent);
    assert_eq!(calls(&daemon, &agent).len(), 2);
}

#[test]
fn nothing_that_was_said_is_kept() {
    let provider = Provider::start_plain();
    if daemon(&provider).is_none() {
        return;
    }
    keeps_nothing(&provider, |daemon, client| daemon.api().attach(client.pid()), provider.plain_python());
}
