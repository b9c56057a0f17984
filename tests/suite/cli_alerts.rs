//! `agentperf alerts`, and `agentperf rules check|test`: files of rules without a daemon, the rest over the real API.

use std::{fs, path::PathBuf};

use crate::{api_world::World, cli_binary::run};

const RULES: &str = "\
groups:
- name: mine
  rules:
  - alert: Many
    expr: agentperf_agents > 3
    for: 1m
";
const TESTS: &str = "\
rule_files: [rules.yaml]
evaluation_interval: 1m
tests:
- interval: 1m
  input_series:
  - {series: agentperf_agents, values: '1 5 5 5'}
  alert_rule_test:
  - eval_time: 2m
    alertname: Many
    exp_alerts: [{exp_labels: {severity: warning}}]
";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write("rules.yaml", RULES);
        files.write("tests.yaml", TESTS);
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

#[test]
fn the_default_rules_look_at_metrics_that_there_are() {
    let files = Files::new();
    files.write("empty.yaml", "{}");
    let checked = run(&["rules", "check", "--config", &files.text("empty.yaml")]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(!checked.out.contains("there is no metric"), "{checked:?}");
}

#[test]
fn files_of_rules_are_checked_with_line_and_reason() {
    let files = Files::new();
    for verb in ["alerts", "rules"] {
        let fine = run(&[verb, "check", &files.text("rules.yaml")]);
        assert_eq!((fine.code, fine.out.as_str()), (Some(0), "fine: 1 rules in 1 groups\n"), "{fine:?}");
    }
    files.write("wrong.yaml", &RULES.replace("> 3", "> > 3").replace("for: 1m", "for: soon"));
    let wrong = run(&["rules", "check", &files.text("wrong.yaml")]);
    assert_eq!(wrong.code, Some(2));
    for line in ["wrong.yaml:5:", "wrong.yaml:6:"] {
        assert!(wrong.err.contains(line), "{line}: {wrong:?}");
    }
    assert_eq!(run(&["rules", "check", "/nonexistent.yaml"]).code, Some(2));
    let json = run(&["rules", "check", "--json", &files.text("rules.yaml")]).json();
    assert_eq!(json["metrics"][0], "agentperf_agents");
    files.write("other.yaml", &RULES.replace("agentperf_agents", "agentperf_gadgets"));
    let note = run(&["rules", "check", &files.text("other.yaml")]);
    assert!(note.out.contains("there is no metric agentperf_gadgets"), "{note:?}");
}

#[test]
fn rules_are_tested_on_given_series() {
    let files = Files::new();
    let fine = run(&["rules", "test", &files.text("tests.yaml")]);
    assert_eq!((fine.code, fine.out.as_str()), (Some(0), "1 expectations hold\n"), "{fine:?}");
    files.write("tests.yaml", &TESTS.replace("1 5 5 5", "1 1 1 1"));
    let failed = run(&["alerts", "test", &files.text("tests.yaml")]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.out.contains("tests.yaml:8: test 1: Many at 2m"), "{failed:?}");
}

#[test]
fn a_silence_is_made_listed_and_ended() {
    let world = World::new();
    let url = world.url("");
    let none = run(&["alerts", "--url", &url]);
    assert_eq!((none.code, none.out.as_str()), (Some(0), "no alerts\n"), "{none:?}");
    let rules = run(&["alerts", "rules", "--url", &url]);
    assert!(rules.code == Some(0) && rules.out.contains("AgentCpuHigh"), "{rules:?}");
    let made = ["alerts", "silence", "--for", "2h", "--author", "me", "alertname=\"X\"", "--url", &url];
    let made = run(&[&made[..], &["--json"]].concat()).json();
    let id = made["id"].as_str().unwrap();
    let list = run(&["alerts", "silences", "--url", &url]);
    assert!(list.out.lines().any(|line| line.contains(id) && line.contains("active")), "{list:?}");
    let ended = run(&["alerts", "unsilence", id, "--url", &url]);
    assert_eq!((ended.code, ended.out), (Some(0), format!("{id} has ended\n")));
    assert_eq!(run(&["alerts", "unsilence", &"0".repeat(32), "--url", &url]).code, Some(2));
    let everything = run(&["alerts", "silence", "a=~\".*\"", "--url", &url]);
    assert!(everything.failed(2).contains("not every alert fulfils"), "{everything:?}");
}

#[test]
fn there_is_no_looking_back_without_a_store() {
    let files = Files::new();
    let ran =
        run(&["rules", "check", "--history", "--directory", &files.text("none"), &files.text("rules.yaml")]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!files.path("none").exists(), "looking makes no store");
}
