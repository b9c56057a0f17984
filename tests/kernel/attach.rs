//! Attaching to what runs already, letting go of it, and taking it up again.

use std::{process::Command, thread, time::Duration};

use serde_json::json;

use crate::support::{api::eventually, daemon::Daemon, puppet::Puppet, workload::program};

#[test]
fn only_what_happens_under_watch_is_counted() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    puppet.tell("getppid 1000");
    let agent = daemon.api().attach(puppet.pid());
    puppet.tell("getppid 500");
    daemon.api().detach(&agent);
    assert_eq!(daemon.api().calls(&agent, "getppid"), 500, "neither what came before the attach");

    puppet.tell("getppid 300");
    let again = daemon.api().attach(puppet.pid());
    assert_eq!(again, agent, "the same process is the same agent");
    puppet.tell("getppid 200");
    daemon.api().detach(&agent);
    assert_eq!(daemon.api().calls(&agent, "getppid"), 200, "nor an earlier watch");
    let rows = daemon.api().rows_of(&agent, "syscalls?since=1h", "syscalls");
    let ever: u64 =
        rows.iter().filter(|r| r["name"] == "getppid").map(|r| r["count"].as_u64().unwrap()).sum();
    assert_eq!(ever, 700, "nor, of all time, what came between detach and attach");
}

#[test]
fn a_sleeper_that_is_watched_by_samples_alone_has_no_waits() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach_with(&json!({ "pid": puppet.pid(), "probes": ["cpu"] }));
    thread::sleep(Duration::from_millis(1500));
    puppet.tell("getppid 1000");
    daemon.api().detach(&agent);
    let report = daemon.api().get(&format!("/api/v1/agents/{agent}/off-cpu")).expect(200).json();
    assert_eq!((&report["watched"], &report["totals"]["seconds"]), (&json!(false), &json!(0.0)), "{report}");
    assert!(daemon.api().syscalls(&agent).is_empty());
}

#[test]
fn what_was_used_before_the_watch_is_told_apart() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    puppet.tell("getppid 3000000");
    let agent = daemon.api().attach(puppet.pid());
    daemon.api().detach(&agent);
    let process = &daemon.api().rows_of(&agent, "processes", "processes")[0];
    let seconds = |key: &str| process[key].as_f64().unwrap();
    assert!(seconds("cpu_seconds") < seconds("cpu_before_seconds") / 2.0, "{process}");

    // Of one that has hardly run, too.
    let mut idle = Command::new("sleep").arg("60").spawn().unwrap();
    thread::sleep(Duration::from_millis(300));
    let agent = daemon.api().attach(idle.id());
    daemon.api().detach(&agent);
    let process = &daemon.api().rows_of(&agent, "processes", "processes")[0];
    assert!(process["peak_rss_bytes"].as_u64().unwrap() > 100_000, "{process}");
    idle.kill().unwrap();
    idle.wait().unwrap();
}

#[test]
fn threads_and_children_that_live_already_are_watched() {
    let daemon = Daemon::start(json!({}));
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$0\"; exit $?"]).arg(program("puppet"));
    let mut child = Puppet::spawn(shell);
    child.tell("pool 8");
    let pid = child.tell("getppid 1").pid();
    assert_ne!(pid, child.pid(), "the puppet is a child of the shell");

    let agent = daemon.api().attach(child.pid());
    child.tell("each 1000");
    daemon.api().detach(&agent);
    assert_eq!(daemon.api().calls(&agent, "getppid"), 8 * 1000);
    assert_eq!(daemon.api().process(&agent, pid).parent, Some(child.pid()));
}

#[test]
fn children_of_threads_that_lived_already_are_watched() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let grandchild = puppet.run_path("sh", &[sh_script(&program("brief")).path().to_str().unwrap()]);
    daemon.api().detach(&agent);
    for child in grandchild.truths() {
        assert_eq!(daemon.api().process(&agent, child.pid()).exit_code, Some(child.count("code")));
    }
}

/// A script that runs `program 5` two shells down.
fn sh_script(program: &std::path::Path) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, format!("sh -c '{} 5; exit 0'\nexit 0\n", program.display())).unwrap();
    file
}

#[test]
fn an_attach_for_a_time_ends_by_itself() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach_with(&json!({ "pid": puppet.pid(), "name": "for a while", "for": "1s" }));
    assert_eq!(daemon.api().agent(&agent)["name"], "for a while");
    eventually("the attach ends after a second", || daemon.api().ended(&agent));
    puppet.tell("getppid 1000");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(daemon.api().calls(&agent, "getppid"), 0, "its time was over");
}

#[test]
fn an_agent_ends_with_its_last_process() {
    let daemon = Daemon::start(json!({}));
    let puppet = Puppet::start();
    let (agent, pid) = (daemon.api().attach(puppet.pid()), puppet.pid());
    puppet.end();
    eventually("the agent ends", || daemon.api().ended(&agent));
    assert_eq!(daemon.api().process(&agent, pid).exit_code, Some(0));
}

#[test]
fn ten_agents_are_kept_apart() {
    let daemon = Daemon::start(json!({}));
    let mut puppets: Vec<Puppet> = (0..10).map(|_| Puppet::start()).collect();
    let agents: Vec<String> = puppets.iter().map(|p| daemon.api().attach(p.pid())).collect();
    for (n, puppet) in puppets.iter_mut().enumerate() {
        puppet.tell(&format!("getppid {}", 100 * (n + 1)));
    }
    for (n, agent) in agents.iter().enumerate() {
        daemon.api().detach(agent);
        assert_eq!(daemon.api().calls(agent, "getppid"), 100 * (n as u64 + 1));
    }
}
