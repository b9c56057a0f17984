//! Crashes and stops: nothing stays in the kernel, and nothing is attached twice.

use serde_json::{Value, json};

use crate::support::{api::eventually, daemon::Daemon, programs, puppet::Puppet};

#[test]
fn a_crash_and_a_restart_leave_no_program_twice() {
    // Nothing that was counted before is to be told again.
    let mut daemon = Daemon::start(json!({ "history": { "directory": "memory" } }));
    let mut puppet = Puppet::start();
    let before = daemon.api().attach(puppet.pid());
    puppet.tell("getppid 100");
    let crashed = programs::held_by(daemon.pid());
    assert!(!crashed.is_empty(), "a daemon that watches holds programs");

    daemon.crash_and_restart();
    let again = daemon.api().attach(puppet.pid());
    assert_eq!(again, before, "the same process of the same boot is the same agent");
    let held = programs::held_by(daemon.pid());
    assert_eq!(held.len(), crashed.len(), "as many programs as before");
    // The kernel frees programs some time after their last descriptor is closed.
    eventually("the kernel has freed the crashed daemon's programs", || {
        crashed.iter().all(|id| held.contains(id) || !programs::exists(*id)).then_some(())
    });

    puppet.tell("getppid 1000");
    daemon.api().detach(&again);
    assert_eq!(daemon.api().calls(&again, "getppid"), 1000, "a program attached twice would count 2000");
}

#[test]
fn what_was_told_once_is_told_again_after_a_crash() {
    let mut daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let (released, running) = (daemon.api().attach(puppet.pid()), Puppet::start());
    puppet.tell("getppid 1000");
    daemon.api().detach(&released);
    let other = daemon.api().attach(running.pid());
    let answers = |daemon: &Daemon| -> Vec<Value> {
        let reports =
            ["", "/syscalls", "/off-cpu", "/processes", "/stacks/quality", "/profile?type=cpu&format=json"];
        let get = |report| daemon.api().get(&format!("/api/v1/agents/{released}{report}")).json();
        reports.map(get).into()
    };
    let before = answers(&daemon);
    daemon.crash_and_restart();
    assert_eq!(answers(&daemon), before);
    assert_eq!(daemon.api().calls(&released, "getppid"), 1000);
    // The other one was watched until the crash.
    assert_eq!(daemon.api().get(&format!("/api/v1/agents/{other}")).json()["end_reason"], "interrupted");
}

#[test]
fn a_stop_takes_everything_out_of_the_kernel() {
    let mut daemon = Daemon::start(json!({}));
    let puppet = Puppet::start();
    daemon.api().attach(puppet.pid());
    let held = programs::held_by(daemon.pid());
    let status = daemon.stop();
    assert_eq!(status.code(), Some(0), "{}", daemon.log());
    // The kernel frees programs some time after their last descriptor is closed.
    eventually("the kernel has freed every program", || {
        held.iter().all(|id| !programs::exists(*id)).then_some(())
    });
}

#[test]
fn programs_are_attached_only_while_an_agent_needs_them() {
    let daemon = Daemon::start(json!({}));
    let idle = attached(&daemon);
    let puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    assert!(attached(&daemon).len() > idle.len(), "an agent needs more than {idle:?}");
    daemon.api().detach(&agent);
    assert_eq!(attached(&daemon), idle, "nobody needs them any more");
}

fn attached(daemon: &Daemon) -> Vec<String> {
    let status = daemon.api().status();
    let probes = status["probes"].as_array().expect("probes").iter().filter(|p| p["attached"] == true);
    probes.map(|p| p["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn it_says_that_it_is_not_ready_while_it_starts() {
    let daemon = Daemon::start(json!({}));
    assert!(daemon.not_ready() > 0, "it loads its programs for longer than it takes to ask");
}
