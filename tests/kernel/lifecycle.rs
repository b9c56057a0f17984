//! The life of processes: none is missed, none is confused with another, and each end is kept.

use std::{
    collections::HashMap,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::support::{
    api::eventually,
    daemon::Daemon,
    puppet::Puppet,
    tolerance::{allowed, assert_seconds, assert_within},
    workload::{Truth, program, source},
};

/// What the shell calls the end of a process: its code, or 128 + its signal.
fn shell_code(wait_status: u64) -> u64 {
    if wait_status & 0x7f == 0 { wait_status >> 8 } else { 128 + (wait_status & 0x7f) }
}

#[test]
fn five_hundred_commands_are_seen_with_their_ends() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let run = puppet.run_path("sh", &[source("commands.sh").to_str().unwrap()]);
    daemon.api().detach(&agent);

    let mut seen: HashMap<String, u64> = HashMap::new();
    for process in daemon.api().processes(&agent) {
        let name = process.argv.iter().find(|a| a.starts_with("cmd-"));
        // Forked, not yet executed: the shell's own argv has no name in it.
        if let (Some(name), Some(status)) = (name, process.wait_status()) {
            assert!(seen.insert(name.clone(), shell_code(status)).is_none(), "{name} ran once");
        }
    }
    assert_eq!(run.lines.len(), 500);
    for line in &run.lines {
        let (name, code) = line.split_once(' ').expect("name and code");
        assert_eq!(seen.get(name).map(ToString::to_string).as_deref(), Some(code), "{name}");
    }
}

#[test]
fn children_of_a_millisecond_are_not_lost() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let run = puppet.run("brief", &["200"]);
    daemon.api().detach(&agent);

    let children = run.truths();
    assert_eq!(children.len(), 200);
    let processes = daemon.api().processes(&agent);
    for child in children {
        let mut owners = processes.iter().filter(|p| p.pid == child.pid());
        let process = owners.next().unwrap_or_else(|| panic!("{child:?} was not seen"));
        assert!(owners.next().is_none(), "{child:?} was seen twice");
        assert_eq!(process.exit_code, Some(child.count("code")), "{process:?}");
        assert_eq!(process.parent, Some(run.pid), "{process:?}");
        assert!(process.cpu_seconds >= 0.001, "it used a millisecond of CPU: {process:?}");
    }
}

#[test]
fn a_reused_pid_is_two_processes() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("reuse", &["children"]).truth();
    daemon.api().detach(&agent);

    let mut owners: Vec<_> =
        daemon.api().processes(&agent).into_iter().filter(|p| p.pid == truth.pid()).collect();
    owners.sort_by(|a, b| a.start.cmp(&b.start));
    let codes: Vec<_> = owners.iter().filter_map(|p| p.exit_code).collect();
    assert_eq!(codes, truth.counts("codes"), "{owners:?}");
    assert!(owners[0].end.as_deref() <= Some(owners[1].start.as_str()), "one after the other: {owners:?}");
    assert_eq!(daemon.api().calls(&agent, "getppid"), truth.count("getppid"));
    assert_eq!(daemon.api().calls(&agent, "getpgid"), truth.count("getpgid"));
}

#[test]
fn an_agent_does_not_pass_to_the_next_owner_of_its_pid() {
    let daemon = Daemon::start(json!({}));
    let mut command = Command::new(program("reuse"));
    let mut outside = command.arg("victim").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(outside.stdout.take().unwrap()));
    let mut next = || Truth::parse(&lines.next().expect("a line").unwrap()).pid();
    let mut proceed = || std::io::Write::write_all(outside.stdin.as_mut().unwrap(), b"\n").unwrap();

    let pid = next();
    let first = daemon.api().attach(pid);
    proceed();
    assert_eq!(next(), pid, "the pid is reused");
    eventually("the agent ends with its only process", || daemon.api().ended(&first));
    eventually("the process's own end is told", || {
        daemon.api().processes(&first).into_iter().find(|p| p.pid == pid && p.signal == Some(9))
    });

    let second = daemon.api().attach(pid);
    assert_ne!(first, second, "another process, another agent");
    proceed();
    outside.wait().unwrap();
    eventually("the second agent ends, too", || {
        daemon.api().processes(&second).into_iter().find(|p| p.pid == pid)?.signal
    });
    daemon.api().process(&first, pid);
}

#[test]
fn a_process_outlives_its_main_thread() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let run = puppet.run("threads", &["leader-exits"]);
    daemon.api().detach(&agent);

    let process = daemon.api().process(&agent, run.pid);
    assert_eq!(process.exit_code, Some(run.truth().count("code")));
    assert_eq!(process.wait_status(), Some(run.status));
    let lived = lifetime(&process.start, process.end.as_deref().expect("it ended"));
    assert_within(allowed(0.25), run.seconds, lived, "it lived until its last thread ended");
}

#[test]
fn an_exec_by_another_thread_keeps_the_process() {
    exec_by_another_thread("auto");
}

#[test]
fn an_exec_by_another_thread_keeps_the_process_without_task_storage() {
    exec_by_another_thread("tid_hash");
}

fn exec_by_another_thread(thread_state: &str) {
    let daemon = Daemon::start(json!({ "kernel": { "thread_state": thread_state } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let run = puppet.run("threads", &["exec"]);
    daemon.api().detach(&agent);

    let process = daemon.api().process(&agent, run.pid);
    assert_eq!(process.exit_code, Some(run.truth().count("code")), "{process:?}");
    assert_eq!(process.argv.last().map(String::as_str), Some("exec-by-thread"), "{process:?}");
    let strangers: Vec<_> = daemon
        .api()
        .processes(&agent)
        .into_iter()
        .filter(|p| p.pid != run.pid && p.pid != puppet.pid())
        .collect();
    assert!(strangers.is_empty(), "a thread is no process: {strangers:?}");
}

#[test]
fn orphans_stay_in_the_agent() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&script, "setsid sh -c 'sleep 0.5; exit 9' orphan >/dev/null &\nexit 0\n").unwrap();
    puppet.run_path("sh", &[script.path().to_str().unwrap()]);

    let orphan = eventually("the orphan ends", || {
        let processes = daemon.api().processes(&agent);
        processes.into_iter().find(|p| p.argv.last().is_some_and(|a| a == "orphan") && p.end.is_some())
    });
    assert_eq!(orphan.exit_code, Some(9), "{orphan:?}");
}

#[test]
fn cpu_time_of_a_process() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("cpu7030", &["1"]).truth();
    daemon.api().detach(&agent);

    let busy = daemon.api().process(&agent, truth.pid());
    assert_seconds(truth.seconds("seventy") + truth.seconds("thirty"), busy.cpu_seconds, "CPU time");
}

#[test]
fn peak_memory_of_a_process() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run_path("python3", &[source("memory.py").to_str().unwrap()]).truth();
    daemon.api().detach(&agent);

    let large = daemon.api().process(&agent, truth.pid());
    assert_within(0.02, truth.seconds("peak_rss_bytes"), large.peak_rss_bytes as f64, "peak RSS");
}

/// Seconds between two RFC 3339 times.
fn lifetime(start: &str, end: &str) -> f64 {
    let at = |text: &str| text.parse::<jiff::Timestamp>().expect("RFC 3339");
    at(end).duration_since(at(start)).as_secs_f64()
}
