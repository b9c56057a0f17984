//! Bad input: each gets its status and one clear sentence, and what is being measured loses nothing.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::support::{binary::agentperf, daemon::Daemon, puppet::Puppet};

#[test]
fn pids_that_cannot_be_agents_are_refused() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    puppet.tell("getppid 100");

    let attach =
        |pid: u64, status: u16| daemon.api().post("/api/v1/agents", &json!({ "pid": pid })).expect(status);
    attach(dead_pid().into(), 404);
    attach(4_194_303, 404);
    attach(kernel_thread().into(), 400);
    attach(daemon.pid().into(), 403);
    attach(puppet.pid().into(), 409);

    puppet.tell("getppid 23");
    daemon.api().detach(&agent);
    assert_eq!(daemon.api().calls(&agent, "getppid"), 123, "refusals lose nothing");
}

#[test]
fn a_child_of_an_agent_is_part_of_it() {
    let daemon = Daemon::start(json!({}));
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$0\"; exit $?"]).arg(crate::support::workload::program("puppet"));
    let mut child = Puppet::spawn(shell);
    let agent = daemon.api().attach(child.pid());
    let pid = child.tell("getppid 1").pid();
    let refusal = daemon.api().post("/api/v1/agents", &json!({ "pid": pid })).expect(409);
    assert!(refusal.text().contains(&agent), "it says which agent: {}", refusal.text());
}

#[test]
fn a_thread_and_a_zombie_are_no_processes() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    puppet.tell("pool 1");
    let tasks = fs::read_dir(format!("/proc/{}/task", puppet.pid())).unwrap();
    let tids = tasks.map(|t| t.unwrap().file_name().into_string().unwrap().parse::<u32>().unwrap());
    let thread = tids.into_iter().find(|&tid| tid != puppet.pid()).expect("a second thread");
    let refusal = daemon.api().post("/api/v1/agents", &json!({ "pid": thread })).expect(400);
    assert!(refusal.text().contains(&puppet.pid().to_string()), "it says whose thread: {}", refusal.text());

    let mut zombie = Command::new("true").spawn().unwrap();
    while !fs::read_to_string(format!("/proc/{}/stat", zombie.id())).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
    daemon.api().post("/api/v1/agents", &json!({ "pid": zombie.id() })).expect(404);
    zombie.wait().unwrap();
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let puppet = Puppet::start();
    let agent = api.attach(puppet.pid());

    api.get("/api/v1/agents/1-1").expect(404);
    api.delete("/api/v1/agents/1-1").expect(404);
    for page in ["processes", "syscalls", "off-cpu", "profile"] {
        api.get(&format!("/api/v1/agents/1-1/{page}")).expect(404);
        api.get(&format!("/api/v1/agents/{agent}/{page}?since=yesterday")).expect(400);
        api.get(&format!("/api/v1/agents/{agent}/{page}?from=2024-01-02T00:00:00Z&to=2024-01-01T00:00:00Z"))
            .expect(400);
    }
    api.get(&format!("/api/v1/agents/{agent}/profile?format=jpeg")).expect(400);
    api.get(&format!("/api/v1/agents/{agent}/profile?type=heap")).expect(400);
    for body in ["", "{", "[]", "{}", r#"{"pid":"1"}"#, r#"{"pid":-1}"#, r#"{"pid":1,"for":"-3s"}"#] {
        api.post_raw("/api/v1/agents", body).expect(400);
    }
    api.post("/api/v1/agents", &json!({ "pid": puppet.pid(), "probes": ["gps"] })).expect(400);
}

#[test]
fn other_web_pages_get_nothing() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    api.get_with("/api/v1/status", "Host", "evil.example").expect(403);
    api.get_with("/api/v1/status", "Host", "127.0.0.1.evil.example:7575").expect(403);
    api.get_with("/api/v1/status", "Origin", "https://evil.example").expect(403);
    api.get_with("/api/v1/status", "Origin", "null").expect(403);
    api.get_with("/api/v1/status", "Host", "localhost").expect(200);
}

#[test]
fn a_port_in_use_is_named() {
    let daemon = Daemon::start(json!({}));
    let listen = daemon.api().base().strip_prefix("http://").unwrap();
    let told = refused(Command::new(agentperf()).args(["serve", "--listen", listen]));
    assert!(told.contains(listen) && told.contains("in use"), "{told}");
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "listen: 127.0.0.1:0\nwindow: 1s\nwidnow: 2s\n").unwrap();
    let told = refused(Command::new(agentperf()).args(["serve", "--config"]).arg(file.path()));
    assert!(told.contains("widnow") && told.contains('3'), "the key and its line: {told}");
}

/// Runs a command that must exit with 2, and returns what it says.
fn refused(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(!told.contains("panicked"), "{told}");
    told
}

fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

/// Any kernel thread: they have no command line and no executable.
fn kernel_thread() -> u32 {
    let pids =
        fs::read_dir("/proc").unwrap().filter_map(|e| e.unwrap().file_name().to_str()?.parse::<u32>().ok());
    let is_kernel = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let flags = stat.rsplit(") ").next().and_then(|s| s.split(' ').nth(6)?.parse::<u32>().ok());
        flags.is_some_and(|f| f & 0x0020_0000 != 0)
    };
    pids.into_iter()
        .find(is_kernel)
        .expect("these tests run in the initial pid namespace, where kernel threads show")
}
