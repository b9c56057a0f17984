//! Clients in Rust with rustls, over aws-lc and over ring. They stand outside the workspace: only tests need aws-lc.

use std::{collections::HashSet, fs, path::PathBuf, process::Command, thread, time::Duration};

use serde_json::{Value, json};

use super::{Client, Provider, calls, check, kept::keeps_nothing, libraries::told_version};
use crate::support::{
    api::eventually,
    daemon::Daemon,
    tls,
    workload::{built, directory, source},
};

/// What rustls encrypts by, and how the client is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    AwsLc,
    Ring,
    /// With its symbols.
    RingNamed,
    /// As on a CPU without VAES.
    RingOfOldCpu,
    /// By turns.
    Both,
}

impl Over {
    pub(crate) const ALL: [Self; 5] =
        [Self::AwsLc, Self::Ring, Self::RingNamed, Self::RingOfOldCpu, Self::Both];

    fn name(self) -> &'static str {
        match self {
            Self::AwsLc => "client_rustls",
            Self::Ring => "client_ring",
            Self::RingNamed => "client_ring_named",
            Self::RingOfOldCpu => "client_ring_old",
            Self::Both => "client_rustls_both",
        }
    }

    fn feature(self) -> &'static str {
        match self {
            Self::AwsLc => "aws_lc",
            Self::Ring | Self::RingNamed => "ring",
            Self::RingOfOldCpu => "old_cpu",
            Self::Both => "aws_lc,ring",
        }
    }

    fn finder(self) -> &'static str {
        if matches!(self, Self::AwsLc | Self::Both) { "rustls" } else { "rustls_ring" }
    }

    /// The program.
    pub(crate) fn program(self) -> PathBuf {
        let folder = source("wire/rustls");
        let sources = ["Cargo.toml", "Cargo.lock", "src/main.rs"].map(|file| folder.join(file));
        built(self.name(), &sources, |output| {
            // Beside the workloads, which are shipped to machines as they are.
            let target = directory().with_file_name("client_rustls");
            let mut cargo = Command::new("cargo");
            cargo.args(["build", "--release", "--locked", "--no-default-features"]);
            cargo.args(["--features", self.feature(), "--manifest-path"]).arg(folder.join("Cargo.toml"));
            // Neither the workspace's flags nor its folder.
            cargo.env("CARGO_TARGET_DIR", &target).env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
            assert!(cargo.status().unwrap().success(), "{} does not compile", folder.display());
            let made = target.join("release/client-rustls");
            if self == Self::RingNamed {
                fs::copy(made, output).unwrap();
            } else {
                let stripped = Command::new("strip").arg("-o").arg(output).arg(made).status();
                assert!(stripped.unwrap().success(), "`strip` comes with the C compiler");
            }
        })
    }

    /// Whether the CPU has what is probed.
    fn is_seen(self) -> bool {
        match self {
            Self::AwsLc | Self::Both => {
                is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("vaes")
                    && is_x86_feature_detected!("vpclmulqdq")
            }
            Self::Ring | Self::RingNamed | Self::RingOfOldCpu => {
                is_x86_feature_detected!("aes")
                    && is_x86_feature_detected!("avx")
                    && is_x86_feature_detected!("movbe")
            }
        }
    }
}

fn client(provider: &Provider, over: Over) -> Client {
    let mut command = Command::new(over.program());
    command.arg(provider.port.to_string()).arg(provider.certificate());
    Client::start(command)
}

/// A daemon that reads what a client says to a provider; `None` where that cannot be seen here.
fn watch(provider: &Provider, over: Over) -> Option<(Daemon, Client, String)> {
    let daemon = provider.daemon(&json!({}));
    if !over.is_seen() || daemon.api().unavailable().contains_key("wire_socket_send") {
        eprintln!("not tested: this CPU lacks what {} needs, or this kernel hooks of sockets", over.finder());
        return None;
    }
    let client = client(provider, over);
    let agent = tls::attach_probed_by(&daemon, client.pid(), over.finder());
    Some((daemon, client, agent))
}

fn calls_are_told_as_the_client_saw_them(over: Over) {
    let provider = Provider::start();
    let Some((daemon, mut client, agent)) = watch(&provider, over) else { return };
    let locked = fs::read_to_string(source("wire/rustls/Cargo.lock")).unwrap();
    let told = told_version(&daemon, &agent, over.finder());
    assert!(locked.contains(&format!("name = \"rustls\"\nversion = {told}\n")), "{told}");
    check(&daemon, &agent, &mut client, 1.0);
    assert_eq!(daemon.api().loss("kernel_wire_ring_full"), 0);
}

#[test]
fn calls_by_rustls_are_told_as_the_client_saw_them() {
    calls_are_told_as_the_client_saw_them(Over::AwsLc);
}

#[test]
fn calls_by_rustls_over_ring_are_told_as_the_client_saw_them() {
    calls_are_told_as_the_client_saw_them(Over::Ring);
}

/// What went through, as coverage tells it, once that is what the client says.
fn bytes_are_told(daemon: &Daemon, agent: &str, truths: &[Value]) {
    let sum = |what: &str| truths.iter().map(|truth| truth[what].as_u64().unwrap()).sum::<u64>();
    let truth = json!([sum("sent"), sum("received")]);
    let path = format!("/api/v1/agents/{agent}/coverage");
    let mut told = Value::Null;
    eventually("every byte is told", || {
        let process = daemon.api().get(&path).expect(200).json()["processes"][0].clone();
        told = json!([process["sent_bytes"], process["received_bytes"]]);
        assert!(told[0].as_u64() <= truth[0].as_u64(), "{told} of {truth}");
        (told == truth).then_some(())
    });
}

/// All lengths that the end of a record may have, and all ways in which records are made of calls.
fn every_length_is_told(over: Over) {
    let provider = Provider::start();
    let Some((daemon, mut client, agent)) = watch(&provider, over) else { return };
    let mut commands: Vec<String> = (0..17)
        .flat_map(|n| ["chat", "stream"].map(|command| format!("{command} gpt-4.1{}", "x".repeat(n))))
        .collect();
    commands.extend(
        ["pieces gpt-4.1", "chat verbose", "pieces gpt-5", "update gpt-4.1", "stream gpt-4.1"]
            .map(str::to_owned),
    );
    let truths: Vec<Value> = commands.iter().map(|command| client.call(command)).collect();
    bytes_are_told(&daemon, &agent, &truths);
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    assert_eq!(calls.len(), commands.len(), "each call once: {calls:#?}");
    for ((command, truth), call) in commands.iter().zip(&truths).zip(&calls) {
        let model = command.split_once(' ').unwrap().1;
        assert_eq!((&call["status"], &truth["status"]), (&json!(200), &json!(200)), "{command}: {call}");
        assert_eq!(
            (&call["partial"], &call["request_model"]),
            (&json!([]), &json!(model)),
            "{command}: {call}"
        );
        assert_eq!(call["response_model"], format!("{model}-2026-01-01"), "{call}");
        assert_eq!(
            (&call["input_tokens"], &call["output_tokens"]),
            (&json!(1200), &json!(80)),
            "{command}: {call}"
        );
    }
    assert_eq!(daemon.api().loss("kernel_wire_ring_full"), 0);
}

#[test]
fn records_of_all_lengths_are_told_to_the_byte() {
    every_length_is_told(Over::AwsLc);
}

#[test]
fn records_of_ring_of_all_lengths_are_told_to_the_byte() {
    every_length_is_told(Over::RingNamed);
}

#[test]
fn records_of_ring_are_told_to_the_byte_without_vaes() {
    every_length_is_told(Over::RingOfOldCpu);
}

fn connections_are_told_apart(over: Over) {
    let provider = Provider::start();
    let Some((daemon, mut client, agent)) = watch(&provider, over) else { return };
    // What is sent first on each connection takes many records, which are encrypted before the first is sent.
    let truths = client.call("many gpt-4.1");
    assert!(truths.as_array().unwrap().iter().all(|truth| truth["status"] == 200), "{truths}");
    daemon.api().detach(&agent);
    let calls = calls(&daemon, &agent);
    assert_eq!(calls.len(), truths.as_array().unwrap().len(), "{calls:#?}");
    for call in &calls {
        assert_eq!((&call["status"], &call["input_tokens"]), (&json!(200), &json!(1200)), "{call}");
        let (asked, answered) = (&call["request_model"], call["response_model"].as_str().unwrap());
        let asked = asked.as_str().unwrap();
        assert_eq!(answered, format!("{asked}-2026-01-01"), "of another connection: {call}");
    }
    let models: HashSet<&str> = calls.iter().map(|call| call["request_model"].as_str().unwrap()).collect();
    assert_eq!(models.len(), calls.len(), "each has a model of its own: {models:?}");
}

#[test]
fn connections_of_rustls_are_told_apart() {
    connections_are_told_apart(Over::AwsLc);
}

#[test]
fn connections_of_rustls_over_ring_are_told_apart() {
    connections_are_told_apart(Over::Ring);
}

#[test]
fn connections_over_aws_lc_and_ring_are_told_apart() {
    connections_are_told_apart(Over::Both);
}

#[test]
fn traffic_by_ring_without_calls_is_dismissed_and_a_call_on_it_is_seen_again() {
    let provider = Provider::start();
    let Some((daemon, mut client, agent)) = watch(&provider, Over::Ring) else { return };
    for _ in 0..4 {
        assert_eq!(client.call("noise 40000000")["bytes"], 40_000_000);
        thread::sleep(Duration::from_millis(100));
    }
    client.call("pieces gpt-4.1");
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
fn nothing_that_was_said_by_ring_is_kept() {
    let provider = Provider::start();
    if watch(&provider, Over::Ring).is_some() {
        let attach =
            |daemon: &Daemon, client: &Client| tls::attach_probed_by(daemon, client.pid(), "rustls_ring");
        keeps_nothing(&provider, attach, client(&provider, Over::Ring));
    }
}
