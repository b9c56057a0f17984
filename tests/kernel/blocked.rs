//! Who waits for whom: lines of four processes, the last of which holds all of them up, through each kind of link.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::support::{api::eventually, binary::agentperf, daemon::Daemon, python::Python, workload::source};

/// A line of processes; all of them end when it is dropped.
struct Line(Child);

impl Line {
    fn start(kind: &str) -> Self {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("python3");
        command.arg(source("blocked.py")).arg(kind).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.process_group(0).spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // SAFETY: kill has no memory preconditions; the group is the child's own, which is not reaped yet.
        unsafe { libc::kill(-self.pid().cast_signed(), libc::SIGKILL) };
        let _ = self.0.wait();
    }
}

/// The four processes, from the first to the last, by their parents.
fn members(root: u32) -> Option<Vec<u32>> {
    let mut pids = vec![root];
    while pids.len() < 4 {
        let pid = pids.last()?;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        // What a thread started is the thread's.
        let of_threads = || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            tasks.flatten().find_map(|task| {
                std::fs::read_to_string(task.path().join("children")).ok().filter(|c| !c.is_empty())
            })
        };
        let children = if children.is_empty() { of_threads()? } else { children };
        pids.push(children.split_whitespace().next()?.parse().ok()?);
    }
    Some(pids)
}

/// The chain once the last one sleeps, on a page that is `complete`, or may say that it is not.
fn chain(daemon: &Daemon, id: &str, root: u32, complete: bool) -> (Vec<u32>, Value) {
    eventually("the last of four sleeps", || {
        let members = members(root)?;
        let page = daemon.api().get(&format!("/api/v1/agents/{id}/blocked-on")).expect(200).json();
        let chain = page["chains"][0].clone();
        let links = chain["links"].as_array()?;
        let last = links.last()?;
        let arrived = last["pid"].as_u64() == members.last().map(|pid| u64::from(*pid));
        (arrived && chain["end"] == "timer" && (page["complete"] == true || !complete))
            .then_some((members, chain))
    })
}

/// Each member waits for the next one by `by`, on a `waits_for`.
fn holds_up(kind: &str, by: &str, waits_for: &str) {
    let daemon = Daemon::start(json!({}));
    let line = Line::start(kind);
    let id = daemon.api().attach(line.pid());
    // Not all of very many descriptors are looked at.
    let (members, chain) = chain(&daemon, &id, line.pid(), kind != "many");
    let found = chain["links"].as_array().unwrap();
    let seen: Vec<_> = found.iter().map(|link| (link["pid"].clone(), link["by"].clone())).collect();
    let expected = members.iter().zip([json!(by), json!(by), json!(by), Value::Null]);
    let expected: Vec<_> = expected.map(|(member, by)| (json!(member), by)).collect();
    assert_eq!(seen, expected, "{kind}: {chain:#}");
    for link in &found[..3] {
        assert_eq!(link["waits_for"][0]["kind"], waits_for, "{chain:#}");
    }
    for link in found {
        assert!(link["seconds"].as_f64().unwrap() >= 0.0 && link["agent"] == id.as_str(), "{link}");
    }
    let said = Command::new(agentperf())
        .args(["blocked-on", &id, "--stacks", "--url", daemon.api().base()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.contains("= it sleeps"), "{text}");
    assert!(members.iter().all(|pid| text.contains(&format!("[{pid}"))), "{text}");
}

#[test]
fn through_pipes() {
    holds_up("pipe", "pipe", "pipe");
}

#[test]
fn through_one_of_the_last_of_very_many_descriptors() {
    holds_up("many", "pipe", "pipe");
}

#[test]
fn through_unix_sockets() {
    holds_up("socketpair", "unix_socket", "unix_socket");
}

#[test]
fn through_connections_on_this_host() {
    holds_up("tcp", "connection", "inet_socket");
}

#[test]
fn through_children() {
    holds_up("child", "child", "child");
    holds_up("any_child", "child", "child");
}

#[test]
fn through_pidfds() {
    holds_up("pidfd", "pidfd", "child");
}

#[test]
fn through_event_loops() {
    holds_up("epoll", "pipe", "pipe");
    holds_up("selected", "pipe", "pipe");
}

/// The main thread of the first process waits for another one of its threads, which reads from the second.
fn within_a_process(kind: &str, by: &[&str]) {
    let daemon = Daemon::start(json!({}));
    let line = Line::start(kind);
    let id = daemon.api().attach(line.pid());
    let (members, chain) = chain(&daemon, &id, line.pid(), true);
    let links = chain["links"].as_array().unwrap();
    let pids: Vec<_> = links.iter().map(|link| link["pid"].clone()).collect();
    let expected = [members[0], members[0], members[1], members[2], members[3]].map(|pid| json!(pid));
    assert_eq!(pids, expected, "{chain:#}");
    assert_eq!(links[0]["tid"], links[0]["pid"], "{chain:#}");
    assert_eq!((&links[0]["state"], &links[1]["by"]), (&json!("futex"), &json!("pipe")), "{chain:#}");
    assert!(by.iter().any(|by| links[0]["by"] == *by), "{chain:#}");
    // All of them run the agent's own program, which is no tool.
    assert!(links.iter().all(|link| link["role"] == "own"), "{chain:#}");
}

#[test]
fn through_locks_with_their_owners() {
    within_a_process("lock", &["lock_owner"]);
}

#[test]
fn through_threads_that_are_joined() {
    within_a_process("join", &["only_active", "last_waker"]);
}

#[test]
fn a_wait_has_its_stack_once_a_window_is_stored() {
    let daemon = Daemon::start(json!({}));
    let line = Line::start("pipe");
    let id = daemon.api().attach(line.pid());
    let (members, _) = chain(&daemon, &id, line.pid(), true);
    eventually("stacks of the whole chain", || {
        let page = daemon.api().get(&format!("/api/v1/agents/{id}/blocked-on")).expect(200).json();
        let links = page["chains"][0]["links"].as_array()?.clone();
        let named = |link: &Value| !link["stack"]["frames"].as_array().is_none_or(Vec::is_empty);
        (links.len() == members.len() && links.iter().all(named)).then_some(())
    });
}

#[test]
fn who_ended_or_is_not_watched_is_refused() {
    let daemon = Daemon::start(json!({}));
    daemon.api().get("/api/v1/agents/1-1/blocked-on").expect(404);
    let line = Line::start("pipe");
    let id = daemon.api().attach_with(&json!({ "pid": line.pid(), "probes": ["cpu"] }));
    daemon.api().get(&format!("/api/v1/agents/{id}/blocked-on")).expect(409);
    daemon.api().get(&format!("/api/v1/agents/{id}/blocked-on?x=1")).expect(400);
    daemon.api().detach(&id);
    daemon.api().get(&format!("/api/v1/agents/{id}/blocked-on")).expect(409);
}

#[test]
fn the_longest_waits_are_told_with_whom_they_were_for() {
    const WORK: &str = "
import subprocess, sys, time
print('ready', flush=True)
longest = 0
while True:
    begin = time.monotonic()
    subprocess.run(['sh', '-c', 'sleep 1.5; true'])
    longest = max(longest, time.monotonic() - begin)
    open(sys.argv[1], 'w').write(str(longest))
    time.sleep(0.2)
";
    let daemon = Daemon::start(json!({"window": "1s"}));
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("longest");
    let agent = Python::start(WORK, &[truth.to_str().unwrap()]);
    let id = daemon.api().attach(agent.pid());
    let chain = eventually("a wait from its begin to its end", || {
        let path = format!("/api/v1/agents/{id}/blocked-on/longest?since=60s");
        let page = daemon.api().get(&path).expect(200).json();
        let chain = page["chains"][0].as_array()?.clone();
        let whole = chain[0]["pid"] == agent.pid() && chain[0]["seconds"].as_f64()? > 1.4;
        (whole && chain.len() == 2).then_some(chain)
    });
    let [run, shell] = chain.as_slice() else { panic!("{chain:#?}") };
    assert_eq!((&run["cause"], &run["waker_comm"]), (&json!("child"), &json!("sh")), "{run:#}");
    assert_eq!((&shell["comm"], &shell["cause"]), (&json!("sh"), &json!("child")), "{shell:#}");
    assert_eq!((&shell["waker_comm"], &shell["pid"]), (&json!("sleep"), &run["waker_pid"]), "{shell:#}");
    for wait in [run, shell] {
        let seconds = wait["seconds"].as_f64().unwrap();
        let longest: f64 = std::fs::read_to_string(&truth).unwrap().parse().unwrap();
        assert!(seconds > 1.4 && seconds < longest, "{longest}: {wait:#}");
        assert!(!wait["stack"]["frames"].as_array().unwrap().is_empty(), "{wait:#}");
    }
    let said = Command::new(agentperf())
        .args(["blocked-on", &id, "--since", "60s", "--url", daemon.api().base()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(told.contains("which likely waited for") && told.contains("ended by sleep"), "{told}");
}
