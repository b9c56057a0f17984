//! What alerts do by themselves, end to end: a hog is captured, dumped, paused and limited, and all of it is taken back,
//! also by the daemon after one that was killed.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{api::eventually, binary::agentperf, daemon::Daemon, puppet::Puppet, workload::program};

const RULES: &str = "\
groups:
- name: test
  rules:
  - alert: Hog
    expr: sum by (agent, agent_id) (rate(agentperf_agent_cpu_seconds_total[5s])) > 0.05
    for: 1s
    keep_firing_for: 1s
";
const REACTIONS: &str = "/api/v1/alerts/reactions";

/// Files of rules and reactions, a program that is an agent by a rule, and the configuration that says so.
struct Stage {
    directory: TempDir,
    program: PathBuf,
}

impl Stage {
    fn new(actions: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hog");
        fs::copy(program("puppet"), &path).unwrap();
        fs::write(directory.path().join("rules.yaml"), RULES).unwrap();
        let file = format!("reactions:\n- {{rule: Hog, {actions}}}\n");
        fs::write(directory.path().join("reactions.yaml"), file).unwrap();
        Self { directory, program: path }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self, dry_run: bool) -> Value {
        json!({
            "agents": { "rules": [{ "name": "hog", "executable": self.program, "probes": ["cpu", "off_cpu"] }] },
            "alerts": {
                "rules": self.path("rules.yaml"),
                "reactions": {
                    "enabled": true,
                    "dry_run": dry_run,
                    "file": self.path("reactions.yaml"),
                    "directory": self.path("files"),
                    "recorder": "8MB",
                },
            },
        })
    }

    /// A hog that the daemon watches.
    fn hog(&self, daemon: &Daemon) -> Puppet {
        let hog = Puppet::start_as(&self.program);
        eventually("the rule finds the hog", || daemon.api().agents().into_iter().next());
        hog
    }
}

/// The reaction of this kind that has come to this state.
fn reaction(daemon: &Daemon, action: &str, state: &str) -> Value {
    eventually(&format!("{action} is {state}"), || {
        let list = daemon.api().get(REACTIONS).expect(200).json();
        let all = list["reactions"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["action"] == action && one["state"] == state)
    })
}

fn state(pid: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

fn count(daemon: &Daemon, action: &str, result: &str) -> f64 {
    let metrics = daemon.api().get("/metrics").text();
    let name = format!("agentperf_alert_reactions_total{{action=\"{action}\",result=\"{result}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap()
}

#[test]
fn a_hog_is_captured_dumped_and_paused_and_goes_on_when_the_alert_is_over() {
    let stage =
        Stage::new("capture_profile: {before: 30s, after: 1s}, flight_recorder: {after: 1s}, pause: {}");
    let daemon = Daemon::start(stage.config(false));
    let mut hog = stage.hog(&daemon);
    hog.say("spin 600");
    let pause = reaction(&daemon, "pause", "in_force");
    assert_eq!(state(hog.pid()), 'T', "{pause:#}");
    assert_eq!(pause["agent"], daemon.api().agents()[0]["id"]);
    // Stopped, it uses no CPU, and the alert is over.
    let undone = reaction(&daemon, "pause", "undone");
    assert_eq!(
        (undone["cause"].as_str(), undone["detail"].as_str()),
        (Some("resolved"), Some("1 continued"))
    );
    eventually("it runs again", || (state(hog.pid()) == 'R').then_some(()));

    let captured = reaction(&daemon, "capture_profile", "done");
    let file = |ending: &str| {
        let files = captured["files"].as_array().unwrap().iter().filter_map(Value::as_str);
        files.filter(|path| path.ends_with(ending)).map(str::to_owned).next().unwrap()
    };
    let folded = daemon.api().get(&file("-cpu.folded")).expect(200).text();
    assert!(folded.lines().any(|line| line.contains(";spin")), "{folded}");
    let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let pprof = fs::read(stage.path("files").join(name(&file("-cpu.pb.gz")))).unwrap();
    assert_eq!(pprof[..2], [0x1f, 0x8b]);

    // The dump is a history by itself.
    let dumped = reaction(&daemon, "flight_recorder", "done");
    let dump = stage.path("files").join(name(dumped["files"][0].as_str().unwrap()));
    let mut import = Command::new(agentperf());
    import.args(["store", "import", "--json", "--directory"]).arg(stage.path("imported")).arg(dump);
    let ran = import.output().unwrap();
    let imported: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    assert!(imported["windows"].as_u64().unwrap() >= 2 && imported["broken"] == 0, "{imported:#}");
    assert_eq!(imported["agents"], 1, "{imported:#}");

    // The alert tells of all of it, and so do the metrics and the log.
    let past = daemon.api().get("/api/v1/alerts/history").expect(200).json();
    let told: Vec<_> =
        past["alerts"][0]["reactions"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert_eq!(told, ["capture_profile", "flight_recorder", "pause"], "{past:#}");
    assert_eq!((count(&daemon, "pause", "done"), count(&daemon, "pause", "undone")), (1.0, 1.0));
    assert!(daemon.log().contains("taken back, since the alert fires no more"), "{}", daemon.log());
    assert_eq!(daemon.api().loss("recorder_dropped"), 0);
    daemon.api().post(&format!("{REACTIONS}/dump"), &json!({})).expect(201);
}

#[test]
fn a_pause_outlasts_no_crash_no_stop_and_no_person() {
    let stage = Stage::new("pause: {min_interval: 1s}");
    let mut daemon = Daemon::start(stage.config(false));
    let mut hog = stage.hog(&daemon);
    hog.say("spin 600");
    reaction(&daemon, "pause", "in_force");
    let pid = hog.pid();
    let (config, address) = (daemon.config(), daemon.api().base().trim_start_matches("http://").to_owned());
    daemon.crash_and_restart_after(|| {
        assert_eq!(state(pid), 'T', "nobody was left to continue it");
        // A start that comes to nothing, too, continues it.
        let taken = TcpListener::bind(&address).unwrap();
        let mut serve = Command::new(agentperf());
        let ran = serve.args(["serve", "--config"]).arg(&config).output().unwrap();
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
        drop(taken);
        eventually("it runs again", || (state(pid) == 'R').then_some(()));
    });
    let undone = reaction(&daemon, "pause", "undone");
    assert_eq!((undone["cause"].as_str(), undone["detail"].as_str()), (Some("restart"), Some("1 continued")));
    eventually("it runs again", || (state(pid) == 'R').then_some(()));

    // The alert resolves only once the agent was quiet: it is paused again when it fires anew.
    drop(hog);
    eventually("the alert is over", || {
        let firing = daemon.api().get("/api/v1/alerts?state=firing").expect(200).json();
        firing["alerts"].as_array().unwrap().is_empty().then_some(())
    });
    let mut hog = Puppet::start_as(&stage.program);
    eventually("the rule finds the other hog", || {
        daemon.api().agents().into_iter().find(|agent| agent["pid"] == hog.pid())
    });
    hog.say("spin 600");
    let second = reaction(&daemon, "pause", "in_force");
    let undo = format!("{REACTIONS}/{}/undo", second["id"]);
    let undone = daemon.api().post(&undo, &json!({})).expect(200).json();
    assert_eq!((undone["cause"].as_str(), undone["state"].as_str()), (Some("request"), Some("undone")));
    eventually("it runs again", || (state(hog.pid()) == 'R').then_some(()));
    daemon.api().post(&undo, &json!({})).expect(409);
}

#[test]
fn a_dry_run_touches_nobody_and_a_stop_lets_go() {
    let stage = Stage::new("pause: {}");
    let mut daemon = Daemon::start(stage.config(true));
    let mut hog = stage.hog(&daemon);
    hog.say("spin 600");
    let would = reaction(&daemon, "pause", "dry_run");
    assert_eq!(would["what"], format!("stopping 1 processes: {}", hog.pid()));
    assert_ne!(state(hog.pid()), 'T');
    drop(hog);
    daemon.stop();
    let daemon_config = stage.config(false);
    drop(daemon);
    let mut daemon = Daemon::start(daemon_config);
    let mut hog = Puppet::start_as(&stage.program);
    eventually("the rule finds the hog", || daemon.api().agents().into_iter().next());
    hog.say("spin 600");
    reaction(&daemon, "pause", "in_force");
    assert_eq!(state(hog.pid()), 'T');
    daemon.stop();
    assert_ne!(state(hog.pid()), 'T', "{}", daemon.log());
}

#[test]
fn turned_off_is_turned_off_also_where_the_files_are_refused() {
    let stage = Stage::new("pause: {}");
    let daemon = Daemon::start(stage.config(false));
    let mut hog = stage.hog(&daemon);
    hog.say("spin 600");
    reaction(&daemon, "pause", "in_force");
    assert_eq!(state(hog.pid()), 'T');
    fs::write(stage.path("rules.yaml"), "no rules").unwrap();
    let mut off = stage.config(false);
    off["alerts"]["reactions"]["enabled"] = json!(false);
    daemon.reload(off);
    assert_eq!(reaction(&daemon, "pause", "undone")["cause"], "turned_off");
    assert!(daemon.api().status()["alerts"]["refused"].is_string());
    eventually("it runs again", || (state(hog.pid()) == 'R').then_some(()));
}

/// A cgroup of version 2, with controllers where the host has them there; gone with the test.
struct Cgroup {
    path: PathBuf,
    limits: bool,
}

impl Cgroup {
    fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
        let root = Path::new(mount.expect("a cgroup2 is mounted").split(' ').nth(1).unwrap());
        let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap();
        let limits =
            ["cpu", "memory"].iter().all(|name| controllers.split_whitespace().any(|has| has == *name));
        if limits {
            fs::write(root.join("cgroup.subtree_control"), "+cpu +memory").unwrap();
        }
        let path = root.join(format!("agentperf-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self { path, limits }
    }

    fn take(&self, pid: u32) {
        fs::write(self.path.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).unwrap().trim_end().to_owned()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Processes that were killed leave it a moment later.
        for _ in 0..100 {
            if fs::remove_dir(&self.path).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Where the host's controllers are of version 1, the refusal is all that can be seen.
fn without_controllers(daemon: &Daemon) {
    let refused = reaction(daemon, "limit", "refused");
    assert!(refused["detail"].as_str().unwrap().contains("the controller cpu is not enabled"), "{refused:#}");
    assert_eq!(count(daemon, "limit", "refused"), 1.0);
}

#[test]
fn a_limit_is_taken_back_but_not_what_somebody_changed() {
    let stage = Stage::new("limit: {cpu_max: 50%, memory_high: 256MB}");
    let daemon = Daemon::start(stage.config(false));
    let cgroup = Cgroup::new("limit");
    let mut hog = stage.hog(&daemon);
    cgroup.take(hog.pid());
    hog.say("spin 600");
    if !cgroup.limits {
        return without_controllers(&daemon);
    }
    let limit = reaction(&daemon, "limit", "in_force");
    assert!(
        limit["what"].as_str().unwrap().starts_with("cpu.max 50000 100000 instead of max 100000"),
        "{limit:#}"
    );
    assert_eq!([cgroup.read("cpu.max"), cgroup.read("memory.high")], ["50000 100000", "256000000"]);
    fs::write(cgroup.path.join("memory.high"), "512000000").unwrap();
    drop(hog);
    let undone = reaction(&daemon, "limit", "undone");
    let detail =
        "cpu.max is max 100000 again, memory.high was changed to 512000000 by somebody else, and stays so";
    assert_eq!((undone["cause"].as_str(), undone["detail"].as_str()), (Some("resolved"), Some(detail)));
    assert_eq!([cgroup.read("cpu.max"), cgroup.read("memory.high")], ["max 100000", "512000000"]);
}

#[test]
fn a_limit_outlasts_no_crash() {
    let stage = Stage::new("limit: {cpu_max: 50%}");
    let mut daemon = Daemon::start(stage.config(false));
    let cgroup = Cgroup::new("crash");
    let mut hog = stage.hog(&daemon);
    cgroup.take(hog.pid());
    hog.say("spin 600");
    if !cgroup.limits {
        return without_controllers(&daemon);
    }
    reaction(&daemon, "limit", "in_force");
    daemon.crash_and_restart_after(|| assert_eq!(cgroup.read("cpu.max"), "50000 100000"));
    let undone = reaction(&daemon, "limit", "undone");
    assert_eq!(undone["cause"], "restart", "{undone:#}");
    assert_eq!(cgroup.read("cpu.max"), "max 100000");
}

struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_cgroup_that_others_share_is_left_alone() {
    let stage = Stage::new("limit: {cpu_max: 50%}");
    let daemon = Daemon::start(stage.config(false));
    let cgroup = Cgroup::new("shared");
    let mut hog = stage.hog(&daemon);
    let stranger = Stranger(Command::new("sleep").arg("600").spawn().unwrap());
    cgroup.take(hog.pid());
    cgroup.take(stranger.0.id());
    hog.say("spin 600");
    let refused = reaction(&daemon, "limit", "refused");
    let why = format!("holds process {} (sleep), which is not the agent's", stranger.0.id());
    assert!(refused["detail"].as_str().unwrap().contains(&why), "{refused:#}");
    if cgroup.limits {
        assert_eq!(cgroup.read("cpu.max"), "max 100000");
    }
    drop((hog, stranger));
}
