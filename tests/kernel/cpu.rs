//! On-CPU samples: shares of time by function agree with the workload's own CPU clock.

use serde_json::json;

use crate::support::{
    daemon::Daemon,
    puppet::Puppet,
    tolerance::{allowed, assert_within, is_slow},
    workload::Truth,
};

/// At 997 Hz, 5 s of CPU are about 5,000 samples: the standard error of a share of 70 % is then
/// √(0.7·0.3/5000) = 0.65 points, and the 3 points allowed are more than four of it.
const FREQUENCY_HZ: u32 = 997;
const SECONDS: &str = "5";
const POINTS: f64 = 0.03;

/// The truth of `workloads/cpu7030.c`.
fn share_of_seventy(truth: &Truth) -> f64 {
    truth.seconds("seventy") / (truth.seconds("seventy") + truth.seconds("thirty"))
}

#[test]
fn two_functions_share_the_cpu_as_they_say() {
    let daemon = Daemon::start(json!({ "sampling": { "frequency_hz": FREQUENCY_HZ } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("cpu7030", &[SECONDS]).truth();
    daemon.api().detach(&agent);

    let stacks = daemon.api().folded(&agent, "cpu");
    let weight = |function: &str| {
        stacks.iter().filter(|(s, _)| s.iter().any(|f| f == function)).map(|(_, w)| w).sum::<f64>()
    };
    let (seventy, thirty, all) =
        (weight("seventy"), weight("thirty"), stacks.iter().map(|(_, w)| w).sum::<f64>());
    let (share, expected) = (seventy / (seventy + thirty), share_of_seventy(&truth));
    assert!(
        (share - expected).abs() <= POINTS,
        "the truth is {expected:.4}, agentperf says {share:.4}: {stacks:?}"
    );
    assert!(seventy + thirty >= 0.95 * all, "nearly all CPU time is in the two functions: {stacks:?}");
}

#[test]
fn samples_stand_for_the_cpu_time_that_was_used() {
    let daemon = Daemon::start(json!({ "sampling": { "frequency_hz": FREQUENCY_HZ } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach_with(&json!({ "pid": puppet.pid(), "probes": ["cpu"] }));
    let truth = puppet.run("cpu7030", &["2"]).truth();
    daemon.api().detach(&agent);

    let profile =
        daemon.api().get(&format!("/api/v1/agents/{agent}/profile?type=cpu&format=pprof")).expect(200);
    let profile = crate::support::pprof::decode(&profile.body);
    let nanoseconds =
        profile.types.iter().position(|t| t == "cpu/nanoseconds").expect("CPU time is a sample type");
    let seen: i64 = profile.samples.iter().map(|(_, values)| values[nanoseconds]).sum();
    let used = truth.seconds("seventy") + truth.seconds("thirty");
    // 2 s are about 2,000 samples; ticks of a busy virtual machine come late and are lost, never added.
    assert_within(allowed(0.05), used, seen as f64 / 1e9, "CPU time by samples");
}

#[test]
fn a_sleeping_agent_has_next_to_no_samples() {
    let daemon = Daemon::start(json!({ "sampling": { "frequency_hz": FREQUENCY_HZ } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    puppet.tell("sleep 2");
    daemon.api().detach(&agent);
    let stacks = daemon.api().folded(&agent, "cpu");
    let most = if is_slow() { 50 } else { 5 };
    assert!(stacks.len() < most, "it slept for two seconds: {stacks:?}");
}
