//! The ledger: each cause within 3 % of the wall or 20 ms of what agents say that they did, and the causes' sum the
//! wall.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{
    api::eventually,
    daemon::Daemon,
    ledger::{Seen, sees_connections, watch},
    puppet::Puppet,
    tolerance::{allowed, is_slow},
    workload::{program, source},
};

/// How long the model lets one wait for its first byte, and how long its answer comes.
const FIRST: Duration = Duration::from_millis(300);
const STREAM: Duration = Duration::from_millis(400);

/// A model: a server that answers what it is asked after a while, piece by piece, and closes.
struct Model(u16);

impl Model {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for connection in listener.incoming() {
                thread::spawn(move || answer(connection.unwrap()));
            }
        });
        Self(port)
    }

    /// A daemon that knows it for one.
    fn daemon(&self) -> Daemon {
        Daemon::start(json!({ "ledger": { "model_hosts": format!("127.0.0.1:{}", self.0) } }))
    }
}

/// A client that is gone ends it.
fn answer(mut connection: TcpStream) {
    let mut question = [0; 64];
    if connection.read(&mut question).is_err() {
        return;
    }
    thread::sleep(FIRST);
    let end = Instant::now() + STREAM;
    while Instant::now() < end && connection.write_all(b"word ").is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_agent_of_one_thread() {
    let model = Model::start();
    let daemon = model.daemon();
    let mut agent = Puppet::start_as(&program("ledger"));
    let port = model.0;

    let (truth, seen) = watch(&daemon, &mut agent, "sleep 0.5");
    let late = seen.cause("run_queue");
    seen.is("sleep", &[("idle", seen.wall - late), ("agent_cpu", 0.0)]);
    assert!(truth.seconds("seconds") > 0.5);

    let (truth, seen) = watch(&daemon, &mut agent, "cpu 0.5");
    let (cpu, wall) = (truth.seconds("cpu"), truth.seconds("seconds"));
    let rest = seen.wall - wall;
    seen.is("cpu", &[("agent_cpu", cpu), ("run_queue", wall - cpu), ("idle", rest)]);

    let (truth, seen) = watch(&daemon, &mut agent, "fsync 40");
    let wall = truth.seconds("seconds");
    let local = ["disk", "agent_cpu", "run_queue", "page_fault"].map(|cause| seen.cause(cause));
    assert!(
        (local.iter().sum::<f64>() - wall).abs() < allowed(0.02).max(0.03 * seen.wall),
        "{wall}: {seen:?}"
    );
    seen.is("fsync", &[("idle", seen.wall - wall), ("lock", 0.0), ("network", 0.0)]);

    for command in ["tool 0.5", "pipe 0.5"] {
        let (truth, seen) = watch(&daemon, &mut agent, command);
        let wall = truth.seconds("seconds");
        let (busy, rest) = (seen.cause("agent_cpu") + seen.cause("run_queue"), seen.wall - wall);
        seen.is(command, &[("tool", wall - busy), ("idle", rest)]);
    }

    if !sees_connections(&daemon) {
        return;
    }
    let (truth, seen) = watch(&daemon, &mut agent, &format!("llm {port}"));
    let (first, stream) = (truth.seconds("first"), truth.seconds("stream"));
    let local = seen.cause("agent_cpu") + seen.cause("run_queue");
    seen.is("llm", &[("llm_first_token", first), ("llm_stream", stream - local), ("network", 0.0)]);
    assert_eq!(seen.answer["estimated"], true);

    let (truth, seen) = watch(&daemon, &mut agent, &format!("both {port} 0.2"));
    // On a busy machine it waits for the CPU as well.
    let mine = |overlap: &&Value| overlap["hidden"] == "llm_first_token" && overlap["under"] != "tool";
    let overlaps = seen.answer["overlaps"].as_array().unwrap().iter().filter(mine);
    let hidden: f64 = overlaps.map(|overlap| overlap["seconds"].as_f64().unwrap()).sum();
    assert!((hidden - 0.2).abs() < allowed(0.03), "{hidden}: {seen:?}");
    seen.is("both", &[("llm_first_token", truth.seconds("first"))]);
}

#[test]
fn threads_that_fight_for_a_lock() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Puppet::start_as(&program("ledger"));
    let (truth, seen) = watch(&daemon, &mut agent, "lock 8 0.6");
    let wall = truth.seconds("seconds");
    // The first hand-overs are not known for ones of a lock: their time is that of sleepers.
    let fought = ["lock", "run_queue", "agent_cpu"].map(|cause| seen.cause(cause)).iter().sum::<f64>();
    let idle = seen.cause("idle") - (seen.wall - wall);
    assert!(fought > wall * 0.7 && idle < wall * 0.3, "fought {fought}, idle {idle} of {wall}: {seen:?}");
    // With one CPU, and that an emulated one, much of the wait is for the CPU.
    let least = if is_slow() { 0.3 } else { 0.5 };
    assert!(seen.cause("lock") > wall * least, "{seen:?}");
    let threads = seen.answer["thread_seconds"].as_array().unwrap();
    let waited = threads.iter().find(|t| t["state"] == "lock").unwrap()["seconds"].as_f64().unwrap();
    assert!(waited > 2.0 * wall && waited < 7.0 * wall, "seven wait at once: {waited} of {wall}");
}

/// An agent on an event loop, which waits for everything in one place.
fn on_a_loop(mut command: Command, script: &str) {
    let model = Model::start();
    let daemon = model.daemon();
    command.arg(source(script));
    let mut agent = Puppet::spawn(command);
    let local = |seen: &Seen| seen.cause("agent_cpu") + seen.cause("run_queue") + seen.cause("page_fault");

    let (_, seen) = watch(&daemon, &mut agent, "sleep 0.4");
    seen.is("sleep", &[("idle", seen.wall - local(&seen))]);
    // The first of each loads code, which is the agent's own time.
    agent.tell("tool 0.05");
    let (truth, seen) = watch(&daemon, &mut agent, "tool 0.6");
    let wall = truth.seconds("seconds");
    seen.is("tool", &[("tool", wall - local(&seen)), ("idle", seen.wall - wall)]);
    if !sees_connections(&daemon) {
        return;
    }
    agent.tell(&format!("llm {}", model.0));
    let (truth, seen) = watch(&daemon, &mut agent, &format!("llm {}", model.0));
    let (first, stream) = (truth.seconds("first"), truth.seconds("stream"));
    seen.is("llm", &[("llm_first_token", first), ("llm_stream", stream - local(&seen))]);
    agent.end();
}

#[test]
fn an_agent_on_asyncio() {
    on_a_loop(Command::new("python3"), "ledger.py");
}

#[test]
fn who_waits_for_a_time_or_for_itself_is_idle() {
    let daemon = Daemon::start(json!({}));
    let mut command = Command::new("python3");
    command.arg(source("ledger.py"));
    let mut agent = Puppet::spawn(command);
    for verb in ["event", "join", "fork", "eventfd", "sigwait"] {
        let (truth, seen) = watch(&daemon, &mut agent, &format!("{verb} 0.5"));
        assert!(truth.seconds("seconds") >= 0.5);
        let local = ["agent_cpu", "run_queue", "page_fault"].map(|cause| seen.cause(cause));
        seen.is(verb, &[("idle", seen.wall - local.iter().sum::<f64>()), ("lock", 0.0), ("tool", 0.0)]);
    }
    let (_, seen) = watch(&daemon, &mut agent, "record 0.5");
    seen.is("record", &[("lock", 0.5)]);
    agent.end();
}

/// What one of many does, and its cause.
const AT_ONCE: [(&str, &str); 10] = [
    ("sleep 2", "idle"),
    ("tool 2", "tool"),
    ("pipe 2", "tool"),
    ("sleep 2.1", "idle"),
    ("tool 2.2", "tool"),
    ("pipe 2.3", "tool"),
    ("sleep 2.4", "idle"),
    ("tool 2.5", "tool"),
    ("pipe 2.6", "tool"),
    ("tool 2.7", "tool"),
];

#[test]
fn ten_agents_at_once_are_not_mixed() {
    let daemon = Daemon::start(json!({}));
    let mut agents: Vec<_> = AT_ONCE.iter().map(|_| Puppet::start_as(&program("ledger"))).collect();
    let ids: Vec<_> = agents.iter().map(|agent| daemon.api().attach(agent.pid())).collect();
    thread::scope(|scope| {
        let runs: Vec<_> = agents
            .iter_mut()
            .zip(&ids)
            .zip(AT_ONCE)
            .map(|((agent, id), (command, cause))| {
                let daemon = &daemon;
                scope.spawn(move || {
                    let truth = agent.tell(command);
                    daemon.api().detach(id);
                    (truth.seconds("seconds"), cause, command)
                })
            })
            .collect();
        for (run, id) in runs.into_iter().zip(&ids) {
            let (seconds, cause, command) = run.join().unwrap();
            let seen = Seen::of(&daemon, id);
            let local = ["agent_cpu", "run_queue", "page_fault"].map(|cause| seen.cause(cause));
            let local: f64 = local.iter().sum();
            match cause {
                "idle" => seen.is(command, &[("idle", seen.wall - local), ("tool", 0.0)]),
                _ => seen.is(command, &[("tool", seconds - local), ("idle", seen.wall - seconds)]),
            }
        }
    });
}

#[test]
fn an_agent_on_node() {
    if Command::new("node").arg("--version").output().is_ok_and(|out| out.status.success()) {
        on_a_loop(Command::new("node"), "ledger.js");
    }
}

#[test]
fn a_server_that_waits_to_be_asked_is_no_tool() {
    let model = Model::start();
    let daemon = model.daemon();
    if !sees_connections(&daemon) {
        return;
    }
    let mut command = Command::new("python3");
    command.arg(source("ledger.py"));
    let mut agent = Puppet::spawn(command);
    let id = daemon.api().attach(agent.pid());
    agent.tell("helper");
    // It has asked its model since: what waits for input is a helper.
    agent.tell(&format!("llm {}", model.0));
    // Up to the last window.
    let tool = || {
        thread::sleep(Duration::from_millis(1200));
        Seen::of(&daemon, &id).cause("tool")
    };
    let before = tool();
    agent.tell("sleep 1");
    let idle = tool();
    assert!(idle - before < allowed(0.02), "a helper that waits is no tool: {before}, then {idle}");
    let served = agent.tell("ask 0.4").seconds("seconds");
    let worked = tool() - idle;
    assert!((worked - served).abs() < allowed(0.05), "served for {served}, seen {worked}");
    daemon.api().detach(&id);
}

#[test]
fn what_a_launcher_launches_is_the_agent() {
    let daemon = Daemon::start(json!({}));
    let mut command = Command::new("timeout");
    command.arg("600").arg("python3").arg(source("ledger.py"));
    let mut agent = Puppet::spawn(command);
    let id = daemon.api().attach(agent.pid());
    agent.tell("sleep 0.2");
    // Up to the last window.
    thread::sleep(Duration::from_millis(1200));
    let before = Seen::of(&daemon, &id);
    let truth = agent.tell("tool 0.6").seconds("seconds") - agent.tell("sleep 0.6").seconds("seconds");
    thread::sleep(Duration::from_millis(1200));
    let after = Seen::of(&daemon, &id);
    daemon.api().detach(&id);
    let tool = after.cause("tool") - before.cause("tool");
    assert!(
        truth.abs() < allowed(0.2) && (tool - 0.6).abs() < allowed(0.1),
        "its tool, and no more: {after:?}"
    );
    assert!(before.cause("tool") < allowed(0.05), "until it was known for the agent: {before:?}");
}

#[test]
fn a_job_in_the_background_is_no_tool() {
    let model = Model::start();
    let daemon = model.daemon();
    if !sees_connections(&daemon) {
        return;
    }
    let mut command = Command::new("python3");
    command.arg(source("ledger.py"));
    let mut agent = Puppet::spawn(command);
    let id = daemon.api().attach(agent.pid());
    agent.tell("background");
    // It has asked its model since: what waits for input, and who merely waits for that, are helpers.
    agent.tell(&format!("llm {}", model.0));
    let tool = || {
        thread::sleep(Duration::from_millis(1200));
        Seen::of(&daemon, &id).cause("tool")
    };
    let before = tool();
    agent.tell("sleep 1");
    let idle = tool();
    daemon.api().detach(&id);
    assert!(idle - before < allowed(0.02), "nobody waits for it: {before}, then {idle}");
}

#[test]
fn an_agent_at_a_terminal_is_idle() {
    let daemon = Daemon::start(json!({}));
    let mut terminal = Command::new("python3");
    let mut terminal = terminal
        .arg(source("terminal.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut line = String::new();
    BufReader::new(terminal.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let id = daemon.api().attach(line.trim().parse().unwrap());
    thread::sleep(Duration::from_millis(700));
    daemon.api().detach(&id);
    drop(terminal.stdin.take());
    terminal.wait().unwrap();
    let seen = Seen::of(&daemon, &id);
    // It may have waited for a CPU at first.
    let local =
        ["run_queue", "agent_cpu", "page_fault", "disk"].map(|cause| seen.cause(cause)).iter().sum::<f64>();
    seen.is("terminal", &[("idle", seen.wall - local)]);
    let most = &seen.answer["thread_seconds"][0];
    assert_eq!((&most["role"], &most["state"]), (&json!("own"), &json!("terminal")), "{seen:?}");
}

#[test]
fn the_ledger_is_counted_and_shown() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Puppet::start_as(&program("ledger"));
    let id = daemon.api().attach(agent.pid());
    agent.tell("cpu 0.3");
    let series = |metrics: &str, cause: &str| {
        let line = metrics
            .lines()
            .find(|line| line.starts_with("agentperf_agent_ledger_seconds_total") && line.contains(cause));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let idle = eventually("a window with its work, and with time after it", || {
        let metrics = daemon.api().get("/metrics").expect(200).text();
        let worked = series(&metrics, "agent_cpu") + series(&metrics, "run_queue") > 0.2;
        Some(series(&metrics, "idle")).filter(|idle| worked && *idle > 0.1)
    });
    daemon.api().detach(&id);
    let seen = Seen::of(&daemon, &id);
    assert!(idle <= seen.cause("idle"), "{idle}: {seen:?}");
}
