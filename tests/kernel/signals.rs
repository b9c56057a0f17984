//! Signals: who sent which to whom and what became of it, also where an agent signals a stranger; and processes that the
//! kernel kills because memory ran out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    api::{Api, eventually},
    daemon::Daemon,
    puppet::Puppet,
    workload::source,
};

/// An agent that runs tools.
fn agent() -> Puppet {
    let mut command = Command::new("python3");
    command.arg(source("tools/agent.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    Puppet::spawn(command)
}

/// Has the agent run a tool, and waits for that.
fn run(agent: &mut Puppet, argv: &[&str]) {
    agent.say(&json!({ "do": "run", "argv": argv }).to_string());
    while !agent.hear().starts_with(r#"{"did":"#) {}
}

/// The agent's operations of this kind, the first first.
fn operations(api: &Api, agent: &str, kind: &str) -> Vec<Value> {
    let path = format!("operations?source=kernel&kind={kind}&limit=1000");
    let mut found = api.rows_of(agent, &path, "operations");
    found.reverse();
    found
}

/// What each signal was, what became of it, and who sent it to whom.
fn told(signals: &[Value]) -> Vec<[&str; 4]> {
    let label = |signal: &'static str| move |row| signal_label(row, signal);
    let keys = ["signal.outcome", "signal.sender.comm", "signal.target.comm"].map(label);
    let [outcome, sender, target] = keys;
    signals
        .iter()
        .map(|row| [row["name"].as_str().unwrap(), outcome(row), sender(row), target(row)])
        .collect()
}

fn signal_label<'a>(row: &'a Value, key: &str) -> &'a str {
    row["labels"][key].as_str().unwrap_or("-")
}

/// The process of the agent with this pid.
fn process(api: &Api, agent: &str, pid: u32) -> Value {
    let rows = api.rows_of(agent, "processes", "processes");
    rows.into_iter().find(|row| row["pid"] == pid).unwrap_or_else(|| panic!("process {pid}"))
}

#[test]
fn who_killed_a_process_is_told_beside_its_end() {
    let daemon = Daemon::start(json!({}));
    let api = daemon.api();
    let mut agent = agent();
    let id = api.attach(agent.pid());
    agent.say(&json!({ "do": "run", "argv": ["sleep", "1000"] }).to_string());
    let victim = eventually("the tool runs", || {
        let rows = api.rows_of(&id, "processes", "processes");
        Some(rows.iter().find(|row| row["comm"] == "sleep")?["pid"].as_u64()?.to_string())
    });
    let mut kill = Command::new("kill").args(["-TERM", &victim]).spawn().unwrap();
    let killer = kill.id();
    assert!(kill.wait().unwrap().success());
    while !agent.hear().starts_with(r#"{"did":"#) {}
    api.detach(&id);

    let row = process(api, &id, victim.parse().unwrap());
    assert_eq!(row["signal_name"], "SIGTERM");
    assert_eq!(row["killed"], json!({ "by": "process", "pid": killer, "comm": "kill" }), "{row}");
    let signals = operations(api, &id, "signal");
    assert_eq!(told(&signals), [["SIGTERM", "ends", "kill", "sleep"]]);
    assert_eq!(signal_label(&signals[0], "signal.sender.pid"), killer.to_string());
    assert_eq!(signal_label(&signals[0], "signal.target.pid"), victim);
    assert_eq!(signals[0]["success"], false);
    let text = api.get("/metrics").expect(200).text();
    let series = format!("agent_id=\"{id}\",signal=\"SIGTERM\"}} 1.0");
    assert!(
        text.lines().any(|l| l.starts_with("agentperf_agent_signals_total{") && l.ends_with(&series)),
        "{text}"
    );
}

#[test]
fn what_becomes_of_signals_and_those_to_strangers_are_told() {
    let daemon = Daemon::start(json!({}));
    let mut stranger = Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
    let mut agent = agent();
    let id = daemon.api().attach(agent.pid());
    // What it ignores of itself is not worth telling; the others are a handler's, nobody's and the stranger's.
    let script = "trap : TERM; kill -TERM $$; trap '' HUP; kill -HUP $$; \
        sh -c 'kill -HUP $0' $$; kill -STOP $1; kill -CONT $1; kill -KILL $1";
    run(&mut agent, &["sh", "-c", script, "sh", &stranger.id().to_string()]);
    stranger.wait().unwrap();
    daemon.api().detach(&id);

    let signals = operations(daemon.api(), &id, "signal");
    let expected = [
        ["SIGTERM", "handled", "sh", "sh"],
        ["SIGHUP", "ignored", "sh", "sh"],
        ["SIGSTOP", "stops", "sh", "sleep"],
        ["SIGCONT", "continues", "sh", "sleep"],
        ["SIGKILL", "ends", "sh", "sleep"],
    ];
    assert_eq!(told(&signals), expected, "{signals:#?}");
}

#[test]
fn of_very_many_signals_some_are_told_and_the_others_counted() {
    let daemon = Daemon::start(json!({}));
    let mut agent = agent();
    let id = daemon.api().attach(agent.pid());
    let script = "import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n\
        for _ in range(3000): os.kill(os.getpid(), signal.SIGTERM)";
    run(&mut agent, &["python3", "-c", script]);
    daemon.api().detach(&id);

    let path = "operations?source=kernel&kind=signal&limit=1";
    let page = daemon.api().get(&format!("/api/v1/agents/{id}/{path}")).expect(200).json();
    let (told, lost) = (page["total"].as_u64().unwrap(), daemon.api().loss("kernel_signal_rate"));
    assert!(told >= 64 && lost > 0, "{told} told, {lost} counted");
    assert_eq!(told + lost, 3000);
}

/// A control group with a limit of memory, of either version; gone with the test.
struct Limited(PathBuf);

impl Limited {
    /// `None` where no controller of memory is to be had.
    fn new(bytes: u64) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let (root, file) = fields.into_iter().find_map(|mount| {
            let root = Path::new(mount[1]);
            match mount[2] {
                "cgroup" if mount[3].split(',').any(|option| option == "memory") => {
                    Some((root.to_owned(), "memory.limit_in_bytes"))
                }
                "cgroup2" => {
                    let controllers = fs::read_to_string(root.join("cgroup.controllers")).ok()?;
                    controllers.split_whitespace().find(|name| *name == "memory")?;
                    fs::write(root.join("cgroup.subtree_control"), "+memory").ok()?;
                    Some((root.to_owned(), "memory.max"))
                }
                _ => None,
            }
        })?;
        let path = root.join(format!("agentperf-oom-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let group = Self(path);
        fs::write(group.0.join(file), bytes.to_string()).unwrap();
        Some(group)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // The process that was killed leaves it a moment later.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn what_the_kernel_kills_for_want_of_memory_is_told() {
    let daemon = Daemon::start(json!({}));
    let Some(group) = Limited::new(48 << 20) else {
        println!("no control group of memory here: nothing was tried");
        return;
    };
    let api = daemon.api();
    let mut agent = agent();
    let id = api.attach(agent.pid());
    let script = "echo $$ > $0/cgroup.procs; exec python3 $1";
    let memory = source("memory.py");
    let group_path = group.0.to_str().unwrap();
    run(&mut agent, &["sh", "-c", script, group_path, memory.to_str().unwrap()]);
    api.detach(&id);

    let [kill] = &operations(api, &id, "oom_kill")[..] else { panic!("one kill: {:?}", api.losses()) };
    assert_eq!((&kill["name"], &kill["success"]), (&json!("out of memory"), &json!(false)));
    assert_eq!(kill["labels"]["process.comm"], "python3");
    let rows = api.rows_of(&id, "processes", "processes");
    let row = rows.iter().find(|row| row["signal"] == 9).unwrap();
    assert_eq!((&row["comm"], &row["killed"]["by"]), (&json!("python3"), &json!("out_of_memory")), "{row}");
    let signals = operations(api, &id, "signal");
    assert_eq!(told(&signals), [["SIGKILL", "ends", "-", "python3"]]);
    assert_eq!(signal_label(&signals[0], "signal.sender"), "kernel");
    let text = api.get("/metrics").expect(200).text();
    let series = format!("agent_id=\"{id}\"}} 1.0");
    let is_it = |line: &str| line.starts_with("agentperf_agent_oom_kills_total{") && line.ends_with(&series);
    assert!(text.lines().any(is_it), "{text}");
}
