//! Alerts end to end: a fact in the kernel, a rule, the log that is told.

use std::{
    path::{Path, PathBuf},
    time::Instant,
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
    for: 2s
    keep_firing_for: 2s
    annotations: {summary: '{{ $labels.agent }} uses {{ $value }}'}
";
const ROUTES: &str = "route: {receiver: default, group_wait: 0s, group_interval: 1s}\n";

/// Files of rules and routes, a program that is an agent by a rule, and the configuration that says so.
struct Stage {
    directory: TempDir,
    program: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hog");
        std::fs::copy(program("puppet"), &path).unwrap();
        std::fs::write(directory.path().join("rules.yaml"), RULES).unwrap();
        std::fs::write(directory.path().join("routes.yaml"), ROUTES).unwrap();
        Self { directory, program: path }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self) -> Value {
        json!({
            "agents": { "rules": [{ "name": "hog", "executable": self.program, "probes": ["cpu", "off_cpu"] }] },
            "alerts": { "rules": self.path("rules.yaml"), "routes": self.path("routes.yaml") },
        })
    }
}

/// How often the log was told of an alert in this state.
fn told(daemon: &Daemon, state: &str) -> usize {
    let wanted = format!("state=\"{state}\"");
    let log = daemon.log();
    let plain = strip(&log);
    plain.lines().filter(|line| line.contains("agentperf::alert") && line.contains(&wanted)).count()
}

/// The log without the colours of a terminal.
fn strip(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

fn alerts(daemon: &Daemon, path: &str) -> Vec<Value> {
    daemon.api().get(path).expect(200).json()["alerts"].as_array().unwrap().clone()
}

fn firing(daemon: &Daemon) -> Option<Value> {
    alerts(daemon, "/api/v1/alerts?state=firing").into_iter().next()
}

#[test]
fn a_hog_fires_once_through_a_crash_and_resolves_once() {
    let stage = Stage::new();
    let mut daemon = Daemon::start(stage.config());
    let mut hog = Puppet::start_as(&stage.program);
    eventually("the rule finds the hog", || daemon.api().agents().into_iter().next());
    let begin = Instant::now();
    hog.say("spin 600");
    let alert = eventually("the alert fires", || firing(&daemon));
    eprintln!("fired {:.2} s after the hog began, with for: 2s", begin.elapsed().as_secs_f64());
    assert_eq!(alert["labels"]["alertname"], "Hog");
    assert_eq!(alert["labels"]["agent_id"], daemon.api().agents()[0]["id"]);
    let cpu = alert["diagnosis"]["cpu"].as_array().unwrap();
    assert!(cpu.iter().any(|line| line["what"].as_str().unwrap().contains("spin")), "{alert:#}");
    assert!(alert["diagnosis"]["processes"][0]["what"].as_str().unwrap().starts_with("hog ("), "{alert:#}");
    eventually("the log is told", || (told(&daemon, "firing") == 1).then_some(()));

    daemon.crash_and_restart();
    let rounds =
        || {
            daemon.api().get("/metrics").text().lines().find_map(|line| {
                line.strip_prefix("agentperf_alert_evaluations_total{} ")?.parse::<f64>().ok()
            })
        };
    eventually("several rounds", || rounds().filter(|rounds| *rounds > 8.0));
    assert_eq!(told(&daemon, "firing"), 1, "a restart tells nothing twice: {}", daemon.log());
    assert_eq!(firing(&daemon).unwrap()["firing_since"], alert["firing_since"], "it is the same alert");

    drop(hog);
    eventually("the alert resolves", || (told(&daemon, "resolved") == 1).then_some(()));
    let past = alerts(&daemon, "/api/v1/alerts/history");
    assert_eq!(past.len(), 1, "{past:#?}");
    assert_eq!(told(&daemon, "firing"), 1);

    // The same rules on what was stored would have found the same.
    daemon.stop();
    let mut check = std::process::Command::new(agentperf());
    check.args(["rules", "check", "--history", "--since", "10m", "--json", "--config"]).arg(daemon.config());
    let ran = check.output().unwrap();
    let found: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    assert_eq!(found["history"]["fired"][0]["alert"], "Hog", "{found:#}");
}

#[test]
fn a_silence_mutes_and_what_it_muted_is_told_when_it_ends() {
    let stage = Stage::new();
    let daemon = Daemon::start(stage.config());
    let silence = json!({ "matchers": ["alertname=\"Hog\""], "duration": "1h", "author": "a test" });
    let silence = daemon.api().post("/api/v1/alerts/silences", &silence).expect(201).json();
    let mut hog = Puppet::start_as(&stage.program);
    hog.say("spin 600");
    let alert = eventually("the alert fires", || firing(&daemon));
    assert_eq!(alert["muted"], format!("silence {}", silence["id"].as_str().unwrap()), "{alert:#}");
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(told(&daemon, "firing"), 0, "{}", daemon.log());
    daemon.api().delete(&format!("/api/v1/alerts/silences/{}", silence["id"].as_str().unwrap())).expect(200);
    eventually("it is told", || (told(&daemon, "firing") == 1).then_some(()));
}

#[test]
fn rules_with_a_mistake_are_refused_with_their_line_and_the_old_ones_stay() {
    let stage = Stage::new();
    let daemon = Daemon::start(stage.config());
    let refused = || daemon.api().status()["alerts"]["refused"].as_str().map(str::to_owned);
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    assert_eq!(refused(), None);
    write(&stage.path("rules.yaml"), &RULES.replace("rate(", "rates("));
    // Nobody says that it changed.
    let why = eventually("the change is seen", refused);
    assert!(why.starts_with(&format!("{}:5:", stage.path("rules.yaml").display())), "{why}");
    let rules = daemon.api().get("/api/v1/alerts/rules").expect(200).json();
    assert_eq!(rules["rules"][0]["name"], "Hog", "{rules:#}");
    assert_eq!(rules["refused"], json!(why));
    write(&stage.path("rules.yaml"), &RULES.replace("Hog", "Sow"));
    eventually("the new ones are in force", || refused().is_none().then_some(()));
    let rules = daemon.api().get("/api/v1/alerts/rules").expect(200).json();
    assert_eq!(rules["rules"][0]["name"], "Sow", "{rules:#}");
    // Other files need a reload.
    daemon.reload(json!({ "agents": { "rules": [] }, "alerts": { "rules": "builtin" } }));
    eventually("the built-in ones are in force", || {
        let rules = daemon.api().get("/api/v1/alerts/rules").expect(200).json();
        (rules["rules"].as_array().unwrap().len() > 10).then_some(())
    });
}
