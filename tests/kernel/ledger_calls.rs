//! The ledger of agents that ask their models, whose plaintext is read: how long they waited for the first words,
//! and how long the answer came, is what they say themselves. Where it is not read, it is an estimate, and says so.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    daemon::Daemon,
    ledger::{Seen, sees_connections},
    puppet::Puppet,
    tls::{self, Server},
    tolerance::is_slow,
    workload::source,
};

/// A model behind TLS, or in the clear.
struct Model(Server);

impl Model {
    fn start(is_plain: bool) -> Self {
        Self(Server::start("wire/model.py", !is_plain))
    }

    /// An agent that asks it.
    fn agent(&self, way: &str) -> Puppet {
        let mut command = Command::new("python3");
        command.arg(source("ledger_tls.py")).arg(self.0.port.to_string());
        command.arg(self.0.certificate().unwrap_or_else(|| "-".into())).arg(way);
        Puppet::spawn(command)
    }

    /// Attaches to an agent, and waits until what it says is seen.
    fn attach(&self, daemon: &Daemon, agent: &Puppet) -> String {
        match self.0.certificate() {
            None => daemon.api().attach(agent.pid()),
            Some(_) => tls::attach_probed(daemon, agent.pid()),
        }
    }

    /// A daemon that knows it for one.
    fn daemon(&self) -> Daemon {
        Daemon::start(json!({ "ledger": { "model_hosts": format!("127.0.0.1:{}", self.0.port) } }))
    }
}

/// What the agent does itself, and waits for itself.
fn local(seen: &Seen) -> f64 {
    ["agent_cpu", "run_queue", "page_fault", "disk"].map(|cause| seen.cause(cause)).iter().sum()
}

fn share<'a>(seen: &'a Seen, cause: &str) -> &'a Value {
    seen.answer["causes"].as_array().unwrap().iter().find(|share| share["cause"] == cause).unwrap()
}

/// Has an agent ask its model, and run a tool after each answer, on one connection; and several times at once.
fn check(way: &str, is_plain: bool) {
    let model = Model::start(is_plain);
    let daemon = model.daemon();
    if is_plain && !sees_connections(&daemon) {
        return;
    }
    let mut agent = model.agent(way);
    // What it does for the first time loads code.
    agent.tell("fan 1");
    let id = model.attach(&daemon, &agent);
    let truth = agent.tell("turn 3 0.5");
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    let (first, stream) = (truth.seconds("first"), truth.seconds("stream"));
    let rest = seen.wall - truth.seconds("seconds");
    let tool = truth.seconds("seconds") - first - stream;
    // Whatever it waits for, it does its own work then, and waits for a CPU: on a busy machine, not a little.
    let (others, off) = (local(&seen), (0.03 * seen.wall).max(0.02));
    let truths = [
        ("llm_first_token", first),
        ("llm_stream", stream),
        ("tool", tool),
        ("idle", rest),
        ("network", 0.0),
    ];
    for (cause, truth) in truths {
        let range = truth - others - off..=truth + off;
        assert!(
            range.contains(&seen.cause(cause)),
            "{way}: {cause} was {truth}, off {off} or {others}: {seen:?}"
        );
    }
    assert!(seen.cause("unknown") < 0.02 * seen.wall, "{seen:?}");
    assert_eq!(seen.answer["estimated"], false, "{seen:?}");
    assert_eq!(share(&seen, "llm_first_token")["estimated_seconds"], 0.0, "{seen:?}");
    let phase = |name: &str| seen.answer["call_seconds"][name].as_f64().unwrap();
    // Its clock has what it takes itself to send and to read, which is next to nothing but where it is emulated.
    let own = if is_slow() { others } else { 0.0 };
    for (phase, truth) in [(phase("llm_first_token"), first), (phase("llm_stream"), stream)] {
        assert!((phase - truth).abs() < 0.02 + truth * 0.03 + own, "{phase} of {truth}: {seen:?}");
    }

    let id = model.attach(&daemon, &agent);
    let truth = agent.tell("fan 6");
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    // All wait, and then all answers come: where both are the case, the answer counts.
    let llm =
        seen.cause("llm_first_token") + seen.cause("llm_stream") + seen.cause("llm_connect") + local(&seen);
    let wall = truth.seconds("seconds");
    assert!((llm - wall).abs() < 0.03 * seen.wall + 0.02, "{way}: {llm} of {wall}: {seen:?}");
    assert!((phase_of(&seen, "llm_stream") - 6.0 * 0.4).abs() < 0.6, "{way}: six answers: {seen:?}");
    agent.end();
}

fn phase_of(seen: &Seen, name: &str) -> f64 {
    seen.answer["call_seconds"][name].as_f64().unwrap()
}

#[test]
fn calls_of_an_agent_that_blocks_are_exact() {
    check("blocking", false);
}

#[test]
fn calls_of_an_agent_on_asyncio_are_exact() {
    check("asyncio", false);
}

#[test]
fn calls_without_tls_of_an_agent_that_blocks_are_exact() {
    check("blocking", true);
}

#[test]
fn calls_without_tls_of_an_agent_on_asyncio_are_exact() {
    check("asyncio", true);
}

/// Has an agent wait in vain for its model.
fn check_given_up(is_plain: bool) {
    let model = Model::start(is_plain);
    let daemon = model.daemon();
    if is_plain && !sees_connections(&daemon) {
        return;
    }
    let mut agent = model.agent("blocking");
    agent.tell("hang 1 0.1");
    let id = model.attach(&daemon, &agent);
    let truth = agent.tell("hang 3 0.7");
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    let (waited, others) = (truth.seconds("first"), local(&seen));
    let llm = seen.cause("llm_first_token") + seen.cause("llm_connect");
    assert!((llm - waited).abs() < 0.05 * waited + others, "{llm} of {waited}: {seen:?}");
    assert!(seen.cause("network") < 0.02 * waited, "{seen:?}");
    assert!((phase_of(&seen, "llm_first_token") - waited).abs() < 0.05 * waited + others, "{seen:?}");
    agent.end();
}

#[test]
fn calls_that_are_given_up_are_waits_for_the_model() {
    check_given_up(false);
}

#[test]
fn calls_without_tls_that_are_given_up_are_waits_for_the_model() {
    check_given_up(true);
}

#[test]
fn calls_that_nobody_reads_are_an_estimate() {
    let model = Model::start(false);
    let daemon = model.daemon();
    if !sees_connections(&daemon) {
        return;
    }
    let mut agent = model.agent("blocking");
    agent.tell("fan 1");
    let id = daemon.api().attach_with(&json!({ "pid": agent.pid(), "probes": ["ledger"] }));
    agent.tell("turn 2 0.5");
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    assert_eq!(seen.answer["estimated"], true, "{seen:?}");
    // The model says at once that it will answer.
    let llm = seen.cause("llm_first_token") + seen.cause("llm_stream");
    assert!(share(&seen, "llm_stream")["estimated_seconds"].as_f64() > Some(0.9 * 1.4 - 0.1), "{seen:?}");
    assert!((llm - 1.4).abs() < 0.15, "the tools that follow are told from answers: {seen:?}");
    assert!((seen.cause("tool") - 1.0).abs() < 0.15, "{seen:?}");
}
