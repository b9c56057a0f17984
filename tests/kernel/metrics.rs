//! `/metrics`: what agents do, added up for Prometheus.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::support::{daemon::Daemon, puppet::Puppet, tolerance::assert_seconds};

/// The value of the one series of this name that has all of these labels.
#[track_caller]
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let is_it = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label.as_str()))
    };
    let found: Vec<&str> = text.lines().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0].rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_an_agent_does_is_added_up() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    puppet.tell("getppid 1000");
    puppet.say("sleep 1");
    puppet.hear();
    daemon.api().detach(&agent);

    let text = daemon.api().get("/metrics").expect(200).text();
    let own = [("agent_id", agent.as_str())];
    let of_call = |call| [own[0], ("syscall", call)];
    assert_eq!(value(&text, "agentperf_agent_syscalls_total", &of_call("getppid")), 1000.0);
    let slept = value(&text, "agentperf_agent_off_cpu_seconds_total", &[own[0], ("cause", "timer")]);
    // A timer runs from a moment before its thread leaves the CPU.
    assert_seconds(1.0, slept, "time asleep");
    assert_eq!(value(&text, "agentperf_agent_up", &own), 0.0);
    assert_eq!(value(&text, "agentperf_agents", &[]), 0.0);

    // The reports and the metrics are of the same records.
    assert_eq!(daemon.api().calls(&agent, "getppid"), 1000);
    let told = daemon.api().off_cpu(&agent, puppet.pid()).seconds_of(&["timer"]);
    // A wait counts there with the time that it then had to stand in the run queue.
    assert!((0.0..1e-2).contains(&(told - slept)), "{told} and {slept}");
}

#[test]
fn both_forms_are_served_and_fine() {
    let daemon = Daemon::start(json!({}));
    let puppet = Puppet::start();
    daemon.api().attach(puppet.pid());
    let plain = daemon.api().get("/metrics").expect(200);
    assert_eq!(plain.content_type, "text/plain; version=0.0.4; charset=utf-8");
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let openmetrics = daemon.api().get_with("/metrics", "Accept", accept).expect(200);
    assert!(openmetrics.content_type.starts_with("application/openmetrics-text"));
    assert!(openmetrics.text().ends_with("# EOF\n"));
    // Prometheus's own judge, where it is installed.
    let promtool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn();
    match promtool {
        Ok(mut child) => {
            child.stdin.take().unwrap().write_all(&plain.body).unwrap();
            assert!(child.wait().unwrap().success(), "{}", plain.text());
        }
        Err(error) => eprintln!("promtool is not asked: {error}"),
    }
}
