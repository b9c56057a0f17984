//! The packaged service under a real systemd, booted in a container from the files in `systemd/`: it starts,
//! reloads, is watched and stops, and its hardening takes nothing away that it works with.
//!
//! The container shares the host's kernel, so the daemon in it loads real kernel programs, as the packaged
//! user and with the packaged capabilities only.

mod container;

use std::{fs, time::Duration};

use serde_json::{Value, json};

use self::container::Container;
use crate::support::{
    api::{Api, eventually},
    daemon::Daemon,
};

/// Where the packaged configuration listens.
const PORT: u16 = 7575;
/// The most that `systemd-analyze security` may hold against the unit; 10 is no hardening at all.
const EXPOSURE_LIMIT: f64 = 3.0;

#[test]
fn it_starts_reloads_and_stops() {
    let container = Container::boot();
    container.wait_until_active();
    let pid = container.property("MainPID");
    assert_eq!(container.property("NRestarts"), "0");
    assert!(container.in_network(|| Api::new(PORT).is_ready()));

    container.run(&["sed", "-i", "s/^window: .*/window: 2s/", "/etc/agentperf/agentperf.yaml"]);
    container.run(&["systemctl", "reload", "agentperf"]);
    eventually("it says that it reloaded", || container.log().contains("reload").then_some(()));
    container.wait_until_active();
    // A mistake is refused, and the daemon goes on.
    container.run(&["sed", "-i", "s/^window: .*/windows: 2s/", "/etc/agentperf/agentperf.yaml"]);
    container.run(&["systemctl", "reload", "agentperf"]);
    eventually("it names the unknown key", || container.log().contains("windows").then_some(()));
    container.wait_until_active();
    assert!(container.in_network(|| Api::new(PORT).is_ready()));
    assert_eq!(container.property("MainPID"), pid, "a reload is no restart");

    container.run(&["systemctl", "stop", "agentperf"]);
    let end = ["ActiveState", "Result", "ExecMainStatus"].map(|name| container.property(name));
    assert_eq!(end, ["inactive", "success", "0"], "it did not stop cleanly:\n{}", container.journal());
}

#[test]
fn a_daemon_that_hangs_is_restarted() {
    let container = Container::boot();
    container.wait_until_active();
    container.write(
        "/run/systemd/system/agentperf.service.d/test.conf",
        "[Service]\nWatchdogSec=2\nTimeoutAbortSec=2\nRestartSec=0\n",
    );
    container.run(&["systemctl", "daemon-reload"]);
    container.run(&["systemctl", "restart", "agentperf"]);
    container.wait_until_active();
    // It feeds the watchdog by itself ...
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(container.property("NRestarts"), "0", "the watchdog was not fed:\n{}", container.journal());
    // ... until it cannot.
    container.run(&["kill", "-STOP", &container.property("MainPID")]);
    eventually("the watchdog restarts it", || (container.property("NRestarts") == "1").then_some(()));
    container.wait_until_active();
}

#[test]
fn hardening_takes_no_probe_away() {
    let as_root = {
        let daemon = Daemon::start(json!({}));
        daemon.api().unavailable()
    };
    let container = Container::boot();
    container.wait_until_active();
    let hardened = container.in_network(|| Api::new(PORT).unavailable());
    let mut lost: Vec<String> = hardened
        .iter()
        .filter(|(name, _)| !as_root.contains_key(*name))
        .map(|(name, reason)| format!("{name}: {reason}"))
        .collect();
    if perf_needs_admin() {
        // Debian's kernels want CAP_SYS_ADMIN then; the unit says how to give it.
        lost.retain(|line| !line.contains("perf_event"));
    }
    assert!(lost.is_empty(), "the service cannot use what root can: {lost:#?}\n{}", container.journal());

    container.let_service_see_the_host();
    let expected: &[&str] = if perf_needs_admin() {
        &["off_cpu", "syscalls", "ledger", "cuda", "wire", "files", "network", "disk"]
    } else {
        &["cpu", "off_cpu", "syscalls", "ledger", "cuda", "wire", "files", "network", "disk"]
    };
    assert_eq!(watched_by(&container, &json!({})), expected);
}

#[test]
fn a_probe_that_the_host_refuses_leaves_the_others() {
    let container = Container::boot();
    container.wait_until_active();
    // As on a host where kernel.perf_event_paranoid asks for CAP_SYS_ADMIN.
    container.write(
        "/run/systemd/system/agentperf.service.d/test.conf",
        "[Service]\nSystemCallFilter=~perf_event_open\n",
    );
    container.run(&["systemctl", "daemon-reload"]);
    container.run(&["systemctl", "restart", "agentperf"]);
    container.wait_until_active();
    container.let_service_see_the_host();
    let refused = container.in_network(|| Api::new(PORT).unavailable());
    assert_eq!(Vec::from_iter(refused.keys()), ["cpu_sample"], "known before anybody asks: {refused:?}");

    assert_eq!(
        watched_by(&container, &json!({})),
        ["off_cpu", "syscalls", "ledger", "cuda", "wire", "files", "network", "disk"]
    );
    assert_eq!(watched_by(&container, &json!({ "probes": ["off_cpu"] })), ["off_cpu"]);
    let named = json!({ "pid": container.start_sleeper(), "probes": ["cpu"] });
    let refusal = container.in_network(|| Api::new(PORT).post("/api/v1/agents", &named).expect(409).text());
    assert!(refusal.contains("cpu_sample"), "it says what is missing: {refusal}");
}

/// Has a process watched as `wishes` say; returns by what it was. Its waits must have been seen.
fn watched_by(container: &Container, wishes: &Value) -> Vec<String> {
    let pid = container.start_sleeper();
    let mut request = wishes.clone();
    request["pid"] = json!(pid);
    container.in_network(|| {
        let api = Api::new(PORT);
        let agent = api.attach_with(&request);
        std::thread::sleep(Duration::from_secs(1));
        let probes = api.agent(&agent)["probes"].as_array().expect("a list").clone();
        api.detach(&agent);
        let waited = api.off_cpu(&agent, pid).seconds_of(&["child"]);
        assert!((0.5..5.0).contains(&waited), "it waits for its children nearly all the time: {waited} s");
        probes.iter().map(|probe| probe.as_str().expect("a name").to_owned()).collect()
    })
}

#[test]
fn its_journal_goes_to_journald_and_back_into_a_store() {
    let container = Container::boot();
    container.wait_until_active();
    let configuration = "printf '\\njournal:\\n  target: journald\\n' >> /etc/agentperf/agentperf.yaml";
    container.run(&["sh", "-c", configuration]);
    container.run(&["systemctl", "restart", "agentperf"]);
    container.wait_until_active();
    container.let_service_see_the_host();
    watched_by(&container, &json!({}));
    container.run(&["systemctl", "stop", "agentperf"]);
    let back = "journalctl --sync; journalctl -t agentperf -o json --all \
                | agentperf store import --directory /root/back --json -";
    let done: Value = serde_json::from_str(&container.run(&["sh", "-c", back])).expect("JSON");
    assert_eq!(done["broken"], 0, "{done}");
    assert!(done["windows"].as_u64() > Some(0) && done["processes"].as_u64() > Some(2), "{done}");
    let of_one = "journalctl -o cat -p info -t agentperf AGENTPERF_LOGGER=agentperf.agent";
    assert!(container.run(&["sh", "-c", of_one]).contains("was detached"), "for people, too");
}

#[test]
fn the_unit_is_valid_and_hardened() {
    let container = Container::boot();
    // Its status is 0 even for errors, so what it says is what counts; `run` lets nothing on stderr pass.
    container.run(&["systemd-analyze", "verify", "/usr/lib/systemd/system/agentperf.service"]);
    let verdict = container.run(&["systemd-analyze", "security", "--offline=true", "agentperf.service"]);
    let last = verdict.trim_end().lines().last().unwrap_or_default().to_owned();
    println!("{last}");
    let exposure = last.split_once(": ").and_then(|(_, rest)| rest.split(' ').next()?.parse::<f64>().ok());
    assert!(exposure.expect("systemd-analyze names a level") <= EXPOSURE_LIMIT, "{verdict}");
}

/// Whether this kernel wants CAP_SYS_ADMIN for perf events, which mainline never does.
fn perf_needs_admin() -> bool {
    let level = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    level.trim().parse::<i32>().is_ok_and(|level| level > 2)
}
