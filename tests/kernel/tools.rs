//! Tool calls: each that an agent runs has a bill, and the bill is what the tool itself and wait4 say.

use std::{fs, process::Command, thread, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    api::eventually,
    binary::target_directory,
    daemon::Daemon,
    puppet::Puppet,
    tolerance::{allowed, assert_within},
    workload::{Truth, program, source},
};

/// How far the CPU time of a bill may be off beside its share, s: what lies between a thread's last look at its clock and
/// its end.
const CPU_SLACK: f64 = 50e-6;

/// An agent that runs what it is told to.
struct Agent {
    puppet: Puppet,
}

impl Agent {
    fn start() -> Self {
        let mut command = Command::new("python3");
        command.arg(source("tools/agent.py")).env("PYTHONDONTWRITEBYTECODE", "1");
        Self { puppet: Puppet::spawn(command) }
    }

    /// Does something, and returns the truth about it.
    fn ask(&mut self, command: &Value) -> Vec<Truth> {
        self.puppet.say(&command.to_string());
        let mut lines = Vec::new();
        loop {
            let line = self.puppet.hear();
            if line.starts_with(r#"{"did":"#) {
                return lines.iter().map(|line: &String| Truth::parse(line)).collect();
            }
            lines.push(line);
        }
    }

    fn run(&mut self, argv: &[&str], times: usize) -> Vec<Truth> {
        self.ask(&json!({ "do": "run", "argv": argv, "times": times }))
    }

    /// Runs a tool that tells nothing of its own; what wait4 said of it.
    fn run_once(&mut self, argv: &[&str]) -> Truth {
        self.run(argv, 1).remove(0)
    }
}

fn tool() -> String {
    program("tool").to_str().unwrap().to_owned()
}

/// The agent's calls, the first first.
fn calls(daemon: &Daemon, agent: &str) -> Vec<Value> {
    let mut calls = daemon.api().rows_of(agent, "tools?limit=1000", "tools");
    calls.reverse();
    calls
}

fn names(calls: &[Value]) -> Vec<&str> {
    calls.iter().map(|call| call["name"].as_str().unwrap()).collect()
}

fn cpu_seconds(call: &Value) -> f64 {
    call["cpu_user_seconds"].as_f64().unwrap() + call["cpu_system_seconds"].as_f64().unwrap()
}

#[track_caller]
fn assert_cpu(truth: f64, call: &Value) {
    let seen = cpu_seconds(call);
    let off = (seen - truth).abs();
    assert!(off <= allowed(0.05) * truth + CPU_SLACK, "wait4 says {truth}, agentperf {seen}: {call}");
}

#[test]
fn two_hundred_runs_are_two_hundred_exact_bills() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let file = target_directory().join("tool.blocks");
    fs::write(&file, vec![0; 64 * 4096]).unwrap();
    let path = file.to_str().unwrap().to_owned();
    // What is read from disk the first time is none of its business.
    agent.run(&[&tool(), "2", "4", "7", "64", &path], 1);
    let id = daemon.api().attach(agent.puppet.pid());
    let truths = agent.run(&[&tool(), "2", "4", "7", "64", &path], 200);
    daemon.api().detach(&id);

    let calls = calls(&daemon, &id);
    assert_eq!(calls.len(), 200, "losses: {:?}", daemon.api().losses());
    for (call, pair) in calls.iter().zip(truths.chunks_exact(2)) {
        let (own, waited) = (&pair[0], &pair[1]);
        assert_eq!(
            (call["pid"].as_u64(), own.count("tool")),
            (Some(waited.count("pid")), waited.count("pid"))
        );
        assert_cpu(waited.seconds("cpu"), call);
        assert_eq!(call["storage_written_bytes"], own.count("written"), "{call}");
        assert_eq!(call["storage_read_bytes"], own.count("read"), "{call}");
        assert_within(0.05, own.count("rss") as f64, call["peak_rss_bytes"].as_f64().unwrap(), "peak RSS");
        assert_eq!((&call["exit_code"], &call["success"]), (&json!(7), &json!(false)));
        assert_eq!(
            (&call["name"], &call["ended"], &call["processes"]),
            (&json!("tool"), &json!("exited"), &json!(1))
        );
        let lasted = call["duration_seconds"].as_f64().unwrap();
        assert!((0.002..1.0).contains(&lasted), "{call}");
    }
    let written: Vec<u64> = truths.iter().step_by(2).map(|own| own.count("written")).collect();
    assert!(
        written.iter().all(|bytes| *bytes <= 64 * 4096) && written.contains(&(64 * 4096)),
        "a file system with storage, which may write while the tool does: {written:?}"
    );
    let sums = daemon.api().rows_of(&id, "tools?limit=1", "names");
    assert_eq!(
        (&sums[0]["name"], &sums[0]["calls"], &sums[0]["failures"]),
        (&json!("tool"), &json!(200), &json!(200))
    );
}

#[test]
fn calls_that_are_the_same_again_are_told_until_something_changes() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let id = daemon.api().attach(agent.puppet.pid());
    let folder = tempfile::tempdir_in(target_directory()).unwrap();
    let file = folder.path().join("new");
    let edit = format!("echo 1 > {}", file.to_str().unwrap());
    let again = ["sh", "-c", "echo the same >/dev/null; exit 1"];
    agent.run(&again, 3);
    agent.run(&["sh", "-c", "echo other >/dev/null"], 1);
    agent.run(&again, 1);
    agent.run(&["sh", "-c", &edit], 1);
    agent.run(&again, 1);
    agent.run(&["sh", "-c", "echo the same >/dev/null; exit 2"], 1);
    daemon.api().detach(&id);
    let repeats: Vec<_> = calls(&daemon, &id).iter().map(|call| call["repeats"].as_u64().unwrap()).collect();
    assert_eq!(repeats, [0, 1, 2, 0, 3, 0, 0, 0]);
}

#[test]
fn a_call_tells_what_all_its_threads_waited_for() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let id = daemon.api().attach(agent.puppet.pid());
    agent.run(&["sh", "-c", "sleep 0.3; sleep 0.2; exit 0"], 1);
    agent.run(&["sleep", "0.4"], 1);
    daemon.api().detach(&id);
    let calls = calls(&daemon, &id);
    let detail = |call: &Value| {
        daemon.api().get(&format!("/api/v1/tools/{}", call["id"].as_str().unwrap())).expect(200).json()
    };
    let of = |times: &Value, cause: &str| {
        let mut times = times.as_array().unwrap().iter();
        times.find(|time| time["cause"] == cause).map_or(0.0, |time| time["seconds"].as_f64().unwrap())
    };
    let seconds = |call: &Value, cause: &str| of(&detail(call)["thread_seconds"], cause);
    assert_within(allowed(0.05), 0.5, seconds(&calls[0], "timer"), "two sleeps");
    let child = seconds(&calls[0], "child");
    assert!((0.48..0.8).contains(&child), "the shell waited for both: {child}");
    assert_within(allowed(0.05), 0.4, seconds(&calls[1], "timer"), "one sleep");
    assert_eq!(seconds(&calls[1], "child"), 0.0);
    for (call, slept) in calls.iter().zip([0.5, 0.4]) {
        let (detail, wall) = (detail(call), call["duration_seconds"].as_f64().unwrap());
        let ledger = &detail["ledger"];
        let causes = ledger["causes"].as_array().unwrap().iter();
        let sum: f64 = causes.map(|cause| cause["seconds"].as_f64().unwrap()).sum();
        assert!((sum - wall).abs() < 1e-6, "{sum} of {wall}: {detail}");
        let idle = of(&ledger["causes"], "idle");
        assert!((0.9 * slept..slept + 0.3).contains(&idle), "a sleep is idle, once: {idle} of {slept}");
    }
    // The shell of the first may run beside its sleeps for a moment, longer where CPUs are short.
    assert_eq!(detail(&calls[1])["ledger"]["estimated"], false, "a thread alone: {}", detail(&calls[1]));
}

#[test]
fn calls_have_their_names_trees_and_ends() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let id = daemon.api().attach(agent.puppet.pid());
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("z.py");
    fs::write(&script, "print(7)").unwrap();
    let npx = folder.path().join("npx");
    fs::write(&npx, "#!/bin/sh\nexec true").unwrap();
    fs::set_permissions(&npx, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (tool, script, npx) = (tool(), script.to_str().unwrap(), npx.to_str().unwrap());

    let nested = format!("cd / && {tool} 5 1 0 >&2; bash -c '{tool} 5 1 0 >&2; {tool} 30 1 3 >&2'");
    let waited = agent.run_once(&["bash", "-c", &nested]);
    agent.run(&["sh", "-c", &format!("{tool} 1 1 -15 >&2; exit $?")], 1);
    agent.run(&["sh", "-c", &format!("exec {tool} 1 1 -9 >&2")], 1);
    agent.run(&["python3", script, "PLANTED0SECRET"], 1);
    agent.run(&[npx, "-y", "cowsay@1.5.0", "--token=PLANTED0SECRET"], 1);
    agent.run(&["bash", "-c", "API_KEY=PLANTED0SECRET git --version >&2"], 1);
    daemon.api().detach(&id);

    let calls = calls(&daemon, &id);
    assert_eq!(names(&calls), ["tool", "tool", "tool", "z.py", "npx cowsay", "git"]);
    let [nested, shell, killed, ..] = &calls[..] else { panic!("{calls:?}") };
    assert_cpu(waited.seconds("cpu"), nested);
    assert_eq!(
        (&nested["exit_code"], nested["processes"].as_u64() >= Some(4)),
        (&json!(3), true),
        "{nested}"
    );
    assert_eq!((&shell["exit_code"], &shell["signal"]), (&json!(143), &Value::Null), "{shell}");
    assert_eq!((&killed["exit_code"], &killed["signal_name"]), (&Value::Null, &json!("SIGKILL")), "{killed}");

    let detail = format!("/api/v1/tools/{}", nested["id"].as_str().unwrap());
    let detail = daemon.api().get(&detail).expect(200).json();
    assert_eq!((&detail["pid"], &detail["argv"][0]), (&nested["pid"], &json!("bash")));
    // An ordinary word in an ordinary place, as that of `z.py`, no redaction knows for a secret: but no bill has it either.
    let pages = ["tools", "tools?kind=server", "operations?source=kernel"];
    for page in
        pages.map(|page| format!("/api/v1/agents/{id}/{page}")).iter().map(String::as_str).chain(["/metrics"])
    {
        let text = daemon.api().get(page).expect(200).text();
        assert!(!text.contains("PLANTED0SECRET"), "{page} shows a secret: {text}");
    }
    assert!(!daemon.log().contains("PLANTED0SECRET"));
}

#[test]
fn what_is_the_agents_own_is_no_tool() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let id = daemon.api().attach(agent.puppet.pid());
    agent.ask(&json!({ "do": "pool" }));
    agent.ask(&json!({ "do": "again" }));
    agent.run(&["true"], 1);
    let agents = daemon.api().agents();
    daemon.api().detach(&id);

    assert_eq!(agents.len(), 1, "executed again, it is the same agent: {agents:?}");
    assert_eq!(names(&calls(&daemon, &id)), ["true"]);
    assert!(daemon.api().processes(&id).len() >= 5, "the workers were seen, as processes");
}

#[test]
fn a_daemon_that_a_tool_leaves_behind_is_said_to_have_left() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let id = daemon.api().attach(agent.puppet.pid());
    agent.run(&["sh", "-c", "setsid sleep 45 >/dev/null 2>&1 & exit 5"], 1);
    let call = eventually("the call is closed without its daemon", || calls(&daemon, &id).pop());
    daemon.api().detach(&id);

    assert_eq!((&call["ended"], &call["exit_code"]), (&json!("left"), &json!(5)), "{call}");
    assert!(call["duration_seconds"].as_f64() < Some(5.0), "it ends with its first process: {call}");
}

#[test]
fn a_server_is_told_from_tools() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let id = daemon.api().attach(agent.puppet.pid());
    agent.ask(&json!({ "do": "serve", "argv": ["cat"] }));
    agent.run(&["true"], 3);
    // Until it has lived for as long as a server does, and a window has closed.
    thread::sleep(Duration::from_secs(12));
    agent.ask(&json!({ "do": "unserve" }));
    daemon.api().detach(&id);

    assert_eq!(names(&calls(&daemon, &id)), ["true"; 3]);
    let servers = daemon.api().rows_of(&id, "tools?kind=server", "tools");
    assert_eq!(names(&servers), ["cat"]);
    assert!(servers[0]["duration_seconds"].as_f64() > Some(11.0), "{servers:?}");
}

#[test]
fn an_open_call_of_an_agent_that_is_let_go_is_unfinished() {
    let daemon = Daemon::start(json!({}));
    let mut agent = Agent::start();
    let id = daemon.api().attach(agent.puppet.pid());
    agent.puppet.say(&json!({ "do": "run", "argv": ["sleep", "60"] }).to_string());
    eventually("the tool runs", || daemon.api().processes(&id).into_iter().find(|p| p.comm == "sleep"));
    daemon.api().detach(&id);

    let calls = calls(&daemon, &id);
    assert_eq!((names(&calls), &calls[0]["ended"]), (vec!["sleep"], &json!("unfinished")));
    assert_eq!(
        (&calls[0]["success"], &calls[0]["exit_code"]),
        (&json!(true), &Value::Null),
        "it did not fail"
    );
}

#[test]
fn ten_thousand_calls_are_counted_under_flat_memory() {
    let daemon = Daemon::start(
        json!({ "agents": { "max_processes": 500 }, "history": { "directory": "memory", "max_rows": 4000 } }),
    );
    let mut agent = Agent::start();
    let id = daemon.api().attach_with(&json!({ "pid": agent.puppet.pid(), "probes": ["cpu"] }));
    agent.run(&["true"], 5000);
    let filled = daemon.rss_bytes();
    agent.run(&["true"], 5000);
    let grown = daemon.rss_bytes().saturating_sub(filled);
    daemon.api().detach(&id);

    let sums = daemon.api().rows_of(&id, "tools?limit=1", "names");
    assert_eq!(
        (&sums[0]["calls"], &sums[0]["name"]),
        (&json!(10_000), &json!("true")),
        "{:?}",
        daemon.api().losses()
    );
    assert!(grown < 16 << 20, "5,000 more calls cost {grown} bytes");
    let metrics = daemon.api().get("/metrics").expect(200).text();
    let line = metrics.lines().find(|line| line.starts_with("agentperf_agent_tool_calls_total{"));
    assert!(
        line.is_some_and(|line| line.contains("tool=\"true\"") && line.ends_with(" 10000.0")),
        "{line:?}"
    );
}
