//! Rules: agents that nobody attached by hand.

use std::{fs, path::PathBuf, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{api::eventually, daemon::Daemon, puppet::Puppet, workload::program};

/// A puppet's program under a path that nothing else on this machine has.
fn planted(directory: &TempDir, name: &str) -> PathBuf {
    let path = directory.path().join(name);
    fs::copy(program("puppet"), &path).unwrap();
    path
}

fn agent_of(daemon: &Daemon, pid: u32) -> Option<Value> {
    daemon.api().agents().into_iter().find(|agent| agent["pid"] == pid)
}

#[test]
fn a_rule_finds_what_starts_later() {
    let directory = tempfile::tempdir().unwrap();
    let path = planted(&directory, "planted-agent");
    let rules = json!([{ "name": "planted", "executable": path, "probes": ["syscalls"] }]);
    let daemon = Daemon::start(json!({ "agents": { "rules": rules } }));

    let mut puppet = Puppet::start_as(&path);
    let agent = eventually("the rule matches at the exec", || agent_of(&daemon, puppet.pid()));
    puppet.tell("getppid 321");
    let id = agent["id"].as_str().unwrap();
    daemon.api().detach(id);
    assert_eq!(daemon.api().calls(id, "getppid"), 321);
    assert_eq!(agent["rule"], "planted", "{agent}");
}

#[test]
fn a_rule_finds_what_runs_already() {
    let directory = tempfile::tempdir().unwrap();
    let path = planted(&directory, "planted-agent");
    let mut puppet = Puppet::start_as(&path);
    let rules = json!([{ "name": "planted", "comm": "planted-agent", "probes": ["syscalls"] }]);
    let daemon = Daemon::start(json!({ "agents": { "rules": rules } }));

    let agent = eventually("the rule matches at the start", || agent_of(&daemon, puppet.pid()));
    puppet.tell("getppid 123");
    let id = agent["id"].as_str().unwrap();
    daemon.api().detach(id);
    assert_eq!(daemon.api().calls(id, "getppid"), 123);
}

#[test]
fn a_child_that_matches_too_is_no_second_agent() {
    let directory = tempfile::tempdir().unwrap();
    let path = planted(&directory, "planted-agent");
    let rules = json!([{ "name": "planted", "executable": path }]);
    let daemon = Daemon::start(json!({ "agents": { "rules": rules } }));

    let mut puppet = Puppet::start_as(&path);
    let agent = eventually("the rule matches", || agent_of(&daemon, puppet.pid()));
    let child = puppet.run_path(&path, &[]);
    daemon.api().detach(agent["id"].as_str().unwrap());
    assert_eq!(daemon.api().agents().len(), 1, "{:?}", daemon.api().agents());
    daemon.api().process(agent["id"].as_str().unwrap(), child.pid);
}

#[test]
fn the_first_rule_decides_and_may_exclude() {
    let directory = tempfile::tempdir().unwrap();
    let (wanted, unwanted) = (planted(&directory, "planted-one"), planted(&directory, "planted-two"));
    let rules = json!([
        { "name": "not this one", "executable": unwanted, "action": "exclude" },
        { "name": "by argv", "argv": format!("^{}/planted-", directory.path().display()) },
    ]);
    let daemon = Daemon::start(json!({ "agents": { "rules": rules } }));
    let (first, second) = (Puppet::start_as(&unwanted), Puppet::start_as(&wanted));
    let agent = eventually("the second rule matches", || agent_of(&daemon, second.pid()));
    assert_eq!(agent["rule"], "by argv", "{agent}");
    assert!(agent_of(&daemon, first.pid()).is_none(), "the first rule excludes it");
}

#[test]
fn a_reload_brings_new_rules_into_force() {
    let directory = tempfile::tempdir().unwrap();
    let path = planted(&directory, "planted-agent");
    let puppet = Puppet::start_as(&path);
    let daemon = Daemon::start(json!({}));
    assert!(agent_of(&daemon, puppet.pid()).is_none());
    daemon.reload(json!({ "agents": { "rules": [{ "name": "planted", "executable": path }] } }));
    eventually("the new rule matches", || agent_of(&daemon, puppet.pid()));
}

#[test]
fn the_built_in_rules_are_listed() {
    let output = Command::new(crate::support::binary::agentperf()).arg("rules").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = String::from_utf8_lossy(&output.stdout).to_lowercase();
    for name in ["claude", "codex", "ollama"] {
        assert!(list.contains(name), "no rule for {name}: {list}");
    }
}
