//! `/debug/pprof/profile`, as pprof's own clients ask for it.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{daemon::Daemon, pprof::decode, puppet::Puppet, workload::program};

#[test]
fn a_process_is_profiled_for_as_long_as_the_request_says() {
    let daemon = Daemon::start(json!({ "sampling": { "frequency_hz": 497 } }));
    let mut busy = Command::new(program("cpu7030")).arg("60").stdout(Stdio::null()).spawn().unwrap();
    let answer = daemon.api().get(&format!("/debug/pprof/profile?seconds=3&pid={}", busy.id()));
    busy.kill().unwrap();
    busy.wait().unwrap();

    let profile = decode(&answer.expect(200).body);
    assert_eq!(profile.types, ["samples/count", "cpu/nanoseconds"]);
    assert!(profile.time_nanos > 0 && profile.period > 0);
    assert!((2_900_000_000..5_000_000_000).contains(&profile.duration_nanos), "{}", profile.duration_nanos);
    let samples = |function: &str| -> i64 {
        let through = profile.samples.iter().filter(|(stack, _)| stack.iter().any(|f| f == function));
        through.map(|(_, values)| values[0]).sum()
    };
    let (seventy, thirty) = (samples("seventy"), samples("thirty"));
    assert!(seventy > thirty && thirty > 0, "{seventy} and {thirty} samples");
    assert!(
        profile.samples.iter().any(|(s, _)| s.last().is_some_and(|f| f != "seventy")),
        "innermost frame first"
    );
}

#[test]
fn a_profile_of_an_agent_does_not_end_the_agent() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    puppet.tell("getppid 10");
    let answer = daemon.api().get(&format!("/debug/pprof/profile?seconds=1&pid={}", puppet.pid()));
    decode(&answer.expect(200).body);
    puppet.tell("getppid 20");
    assert!(daemon.api().ended(&agent).is_none(), "it was there before and stays");
    daemon.api().detach(&agent);
    assert_eq!(daemon.api().calls(&agent, "getppid"), 30);
}

#[test]
fn a_profile_of_nobody_is_refused() {
    let daemon = Daemon::start(json!({}));
    daemon.api().get("/debug/pprof/profile?seconds=1&pid=4194303").expect(404);
    daemon.api().get("/debug/pprof/profile?seconds=-1").expect(400);
    daemon.api().get(&format!("/debug/pprof/profile?seconds=1&pid={}", daemon.pid())).expect(403);
}
