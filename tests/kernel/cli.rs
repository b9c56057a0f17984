//! The command line: the same answers through a running daemon and without one.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};

use crate::support::{
    binary::agentperf,
    daemon::{self, Daemon},
    workload::program,
};

/// A process that uses CPU for as long as the test runs.
struct Busy(std::process::Child);

impl Busy {
    fn start() -> Self {
        Self(Command::new(program("cpu7030")).arg("60").stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// `agentperf attach` for two seconds of CPU samples; the file it wrote.
fn attach(busy: &Busy, format: &str, url: Option<&str>) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(agentperf());
    command.args([
        "attach",
        &busy.0.id().to_string(),
        "--duration",
        "2s",
        "--type",
        "cpu",
        "--format",
        format,
    ]);
    command.arg("--output").arg(file.path()).env_remove("AGENTPERF_URL");
    if let Some(url) = url {
        command.env("AGENTPERF_URL", url);
    }
    run(&mut command);
    fs::read_to_string(file.path()).unwrap()
}

#[test]
fn attach_through_a_running_daemon() {
    let daemon = Daemon::start(json!({}));
    let busy = Busy::start();
    let svg = attach(&busy, "svg", Some(daemon.api().base()));
    assert!(svg.contains("<svg") && svg.contains("seventy"), "a flame graph with names: {svg:.300}");
    let agents = daemon.api().agents();
    assert!(agents.iter().any(|a| a["pid"] == busy.0.id()), "the daemon did the work: {agents:?}");
    assert!(agents.iter().all(|a| !a["ended"].is_null()), "and let go of it: {agents:?}");
}

#[test]
fn attach_without_a_daemon() {
    let _alone = daemon::turn();
    let busy = Busy::start();
    let folded = attach(&busy, "folded", None);
    let weight = |function: &str| -> u64 {
        let lines = folded.lines().filter(|l| l.contains(function));
        lines.map(|l| l.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    };
    assert!(weight("seventy") > weight("thirty"), "{folded}");
}

#[test]
fn record_runs_a_command_and_reports() {
    let _alone = daemon::turn();
    let mut command = Command::new(agentperf());
    command.args(["record", "--", "sh", "-c", "echo as $(id -u) $(id -g); sleep 0.3; exit 5"]);
    command.envs([("SUDO_UID", "65534"), ("SUDO_GID", "65534")]).env_remove("AGENTPERF_URL");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let (out, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(5), "the command's own exit code: {out}{told}");
    assert!(out.contains("as 65534 65534"), "the caller's privileges, not root's: {out}{told}");
    let report = format!("{out}{told}");
    for word in ["sleep", "timer"] {
        assert!(report.contains(word), "the report says what it did ({word}): {report}");
    }
}

#[test]
fn record_counts_from_the_commands_first_instruction() {
    let _alone = daemon::turn();
    let mut command = Command::new(agentperf());
    command.args(["record", "--json", "--", "sleep", "0.3"]).env_remove("AGENTPERF_URL");
    let output = run(command.stdin(Stdio::null()));
    let report: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    let waits = report["off_cpu"]["causes"].as_array().unwrap_or_else(|| panic!("no causes in {report}"));
    // Before, the gate waits in a pipe to be let go.
    let pipes: Vec<&Value> = waits.iter().filter(|w| w["cause"] == "ipc").collect();
    assert!(pipes.is_empty(), "{pipes:?}");
    assert!(waits.iter().any(|w| w["cause"] == "timer"), "{waits:?}");
}

#[test]
fn check_says_what_this_host_allows() {
    let _alone = daemon::turn();
    let table = run(Command::new(agentperf()).arg("check"));
    assert!(String::from_utf8_lossy(&table.stdout).contains("sched_switch"));

    let output = run(Command::new(agentperf()).args(["check", "--json"]));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no checks in {report}"));
    for probe in checks {
        assert!(probe["name"].is_string() && probe["state"].is_string(), "{probe}");
        assert!(
            probe["state"] != "unavailable" || probe["reason"].is_string(),
            "a refusal has a reason: {probe}"
        );
    }
}

#[test]
fn help_and_completions_need_no_privileges() {
    for verb in ["serve", "attach", "record", "check"] {
        let help = run(Command::new(agentperf()).args([verb, "--help"]));
        assert!(String::from_utf8_lossy(&help.stdout).contains("Usage"), "{verb}");
    }
    let completions = run(Command::new(agentperf()).args(["completions", "bash"]));
    assert!(String::from_utf8_lossy(&completions.stdout).contains("agentperf"));
}
