//! The ledger of agents that ask other hosts than models: by what their connections say, where an event loop does not.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    process::Command,
};

use serde_json::json;

use crate::support::{
    daemon::Daemon,
    ledger::{Seen, sees_connections},
    puppet::Puppet,
    tls::Server,
    tolerance::allowed,
    workload::source,
};

/// An agent on an event loop that asks another host than a model's: a wait that does not say for whom is known by what was
/// sent, and time on a connection where nothing was asked is idle.
fn asks_a_host(mut command: Command, script: &str, by_tls: bool) {
    let daemon = Daemon::start(json!({}));
    if !sees_connections(&daemon) {
        return;
    }
    let host = Server::start("wire/host.py", by_tls);
    let certificate = host.certificate().map_or(String::new(), |path| format!(" {}", path.display()));
    command.arg(source(script));
    let mut agent = Puppet::spawn(command);
    let ask = format!("fetch {} 0.5{certificate}", host.port);
    // The first loads code.
    agent.tell(&ask);
    // What is said is not read: it is by connection alone.
    let id = daemon.api().attach_with(&json!({ "pid": agent.pid(), "probes": ["ledger"] }));
    let truth = agent.tell(&ask);
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    let local: f64 = ["agent_cpu", "run_queue", "page_fault"].map(|cause| seen.cause(cause)).iter().sum();
    let waited = truth.seconds("waited");
    // Its own work lies in either.
    let off = (0.03 * seen.wall).max(0.02) + local;
    for (cause, truth) in [("network", waited), ("idle", seen.wall - waited)] {
        assert!((seen.cause(cause) - truth).abs() <= off, "{cause} was {truth}, off {off}: {seen:?}");
    }
    assert!(seen.cause("unknown") < 0.02 * seen.wall, "{seen:?}");
    agent.end();
}

#[test]
fn what_is_not_asked_of_a_host_is_idle() {
    let daemon = Daemon::start(json!({}));
    if !sees_connections(&daemon) {
        return;
    }
    let mut command = Command::new("python3");
    command.arg(source("ledger.py"));
    let mut agent = Puppet::spawn(command);
    let watch = |agent: &mut Puppet, command: &str| {
        let id = daemon.api().attach_with(&json!({ "pid": agent.pid(), "probes": ["ledger"] }));
        let truth = agent.tell(command);
        daemon.api().detach(&id);
        (truth, Seen::of(&daemon, &id))
    };
    // It comes soon after what a handshake leaves, and is as little.
    for by_tls in [false, true] {
        let host = Server::start("wire/host.py", by_tls);
        let certificate = host.certificate().map_or(String::new(), |path| format!(" {}", path.display()));
        let ask = format!("brief {} 1{certificate}", host.port);
        agent.tell(&ask);
        let (truth, seen) = watch(&mut agent, &ask);
        let off = truth.seconds("waited") + allowed(0.1);
        assert!(seen.cause("network") < off, "{off}, TLS {by_tls}: {seen:?}");
        assert!(seen.cause("network") > 0.02, "TLS {by_tls}: {seen:?}");
    }
    let (_, seen) = watch(&mut agent, "accept 0.6");
    assert!(seen.cause("network") < allowed(0.05), "a thread that waits to be asked: {seen:?}");
    // Who is asked itself answers, and waits for nobody.
    let port = agent.tell("listen").count("port");
    let mut client = BufReader::new(TcpStream::connect(("127.0.0.1", port as u16)).unwrap());
    let mut echo = || {
        client.get_mut().write_all(b"a line that is long enough to be a request of somebody's\n").unwrap();
        client.read_line(&mut String::new()).unwrap()
    };
    echo();
    let id = daemon.api().attach_with(&json!({ "pid": agent.pid(), "probes": ["ledger"] }));
    echo();
    agent.tell("sleep 0.7");
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    assert!(seen.cause("network") < allowed(0.02), "{seen:?}");
    agent.end();
}

#[test]
fn a_server_on_an_event_loop_that_asks_a_host_for_its_agent_is_a_tool() {
    let daemon = Daemon::start(json!({}));
    if !sees_connections(&daemon) {
        return;
    }
    let host = Server::start("wire/host.py", false);
    let mut command = Command::new("python3");
    command.arg(source("ledger.py"));
    let mut agent = Puppet::spawn(command);
    // It waits for input when its agent is attached: a helper.
    agent.tell(&format!("upstream {}", host.port));
    let id = daemon.api().attach_with(&json!({ "pid": agent.pid(), "probes": ["ledger"] }));
    let served = agent.tell("forward").seconds("seconds");
    let rested = agent.tell("sleep 0.5").seconds("seconds");
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    let local: f64 = ["agent_cpu", "run_queue", "page_fault"].map(|cause| seen.cause(cause)).iter().sum();
    let off = allowed(0.05) + local;
    assert!((seen.cause("tool") - served).abs() < off, "served for {served}, off {off}: {seen:?}");
    assert!((seen.cause("idle") - rested).abs() < off, "rested for {rested}, off {off}: {seen:?}");
    agent.end();
}

#[test]
fn a_connection_that_was_there_before_its_agent_is_followed() {
    let daemon = Daemon::start(json!({}));
    if !sees_connections(&daemon) {
        return;
    }
    let host = Server::at_low_port("wire/host.py");
    let mut command = Command::new("python3");
    command.arg(source("ledger.py"));
    let mut agent = Puppet::spawn(command);
    agent.tell(&format!("keep {}", host.port));
    let id = daemon.api().attach_with(&json!({ "pid": agent.pid(), "probes": ["ledger"] }));
    let waited = agent.tell("again").seconds("waited");
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    let local: f64 = ["agent_cpu", "run_queue", "page_fault"].map(|cause| seen.cause(cause)).iter().sum();
    let off = allowed(0.05) + local;
    assert!((seen.cause("network") - waited).abs() < off, "{waited}, off {off}: {seen:?}");
    let network = seen.answer["causes"].as_array().unwrap().iter().find(|c| c["cause"] == "network").unwrap();
    assert_eq!(network["estimated_seconds"], network["seconds"], "by what its connections say");
    agent.end();
}

#[test]
fn an_agent_on_asyncio_that_asks_a_host() {
    asks_a_host(Command::new("python3"), "ledger.py", false);
    asks_a_host(Command::new("python3"), "ledger.py", true);
}

#[test]
fn an_agent_on_node_that_asks_a_host() {
    if Command::new("node").arg("--version").output().is_ok_and(|out| out.status.success()) {
        asks_a_host(Command::new("node"), "ledger.js", false);
        asks_a_host(Command::new("node"), "ledger.js", true);
    }
}
