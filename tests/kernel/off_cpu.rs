//! Off-CPU time: every wait of known length, by its cause, within 2 % of the waiter's own clock.

use serde_json::json;

use crate::support::{
    daemon::Daemon,
    puppet::Puppet,
    rows::OffCpu,
    tolerance::{allowed, assert_seconds},
};

/// What each kind of wait of `workloads/waits.c` is called, and the call it is made by. A poll of one
/// descriptor is a wait for that descriptor; an epoll set and a poll of several are not known to be for one
/// thing.
const KINDS: [(&str, &str, &str); 12] = [
    ("nanosleep", "timer", "nanosleep"),
    ("clock_nanosleep", "timer", "clock_nanosleep"),
    ("long_sleep", "timer", "nanosleep"),
    ("pipe", "ipc", "read"),
    ("unix_socket", "ipc", "read"),
    ("inet_socket", "network", "read"),
    ("terminal", "terminal", "read"),
    ("poll_one", "ipc", "poll"),
    ("poll_two", "poll", "poll"),
    ("select", "poll", "pselect6"),
    ("epoll", "poll", "epoll_wait"),
    ("child", "child", "wait4"),
];

#[test]
fn waits_of_known_length() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let run = puppet.run("waits", &[]);
    daemon.api().detach(&agent);

    let truths = run.truths();
    assert_eq!(truths.len(), KINDS.len());
    for (truth, (kind, cause, syscall)) in truths.iter().zip(KINDS) {
        assert_eq!(truth.text("kind"), kind);
        let seen = daemon.api().off_cpu(&agent, truth.pid());
        let context = format!("{kind}: {seen:?}");
        assert_seconds(truth.seconds("seconds"), seen.seconds_in(cause, syscall), &context);
        // The workload's clock goes on while it is pushed off the CPU on its way out of the call.
        let (longest, pushed) = (seen.longest_of(&[cause]), seen.longest_of(&["preempted"]));
        let nearest = truth.seconds("longest").clamp(longest, longest + pushed);
        assert_seconds(truth.seconds("longest"), nearest, &context);
        assert!(seen.count_of(&[cause]) >= truth.count("waits"), "{context}");
        assert_seconds(truth.seconds("off"), seen.seconds(), &format!("all of {context}"));
    }
}

#[test]
fn lock_waits_of_known_length() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let run = puppet.run("locks", &[]);
    daemon.api().detach(&agent);

    for truth in run.truths() {
        let seen = daemon.api().off_cpu(&agent, truth.pid());
        let (kind, waited) = (truth.text("kind"), truth.seconds("seconds"));
        let context = format!("{kind}: {seen:?}");
        // A futex is known for a lock only after a waker of it has waited on it itself.
        let expected = waited + truth.seconds("joining");
        assert_seconds(expected, seen.seconds_of(&["lock", "futex"]), &context);
        assert!(
            seen.seconds_of(&["lock"]) <= waited * (1.0 + allowed(0.02)),
            "more than was waited for locks: {context}"
        );
        if kind != "mutex" {
            // Whoever lets a mutex go may have it back before the one that it woke: in the worst case one thread has all
            // its turns first, and half of the waiting is over before anybody has woken another after waiting.
            assert!(
                seen.seconds_of(&["lock"]) >= waited * (0.4 - allowed(0.02)),
                "not recognised as a lock: {context}"
            );
        }
    }
}

#[test]
fn waits_for_the_cpu_are_the_schedulers_own() {
    let daemon = Daemon::start(json!({}));
    // What the process waits for a CPU after its last look at the clock is in our account only. That is next
    // to nothing, unless the machine is busy with something else: then another try may have better luck.
    let tries: Vec<(f64, f64)> = (0..3).map(|_| run_queue(&daemon)).collect();
    let error = |(truth, seen): &(f64, f64)| (seen - truth).abs() / truth;
    assert!(tries.iter().any(|t| error(t) <= allowed(0.02)), "run queue, truth and seen: {tries:?}");
    assert!(
        tries.iter().all(|(truth, seen)| *seen > truth * (1.0 - allowed(0.02))),
        "waits are missing: {tries:?}"
    );
    assert!(
        tries.iter().all(|(truth, seen)| *seen <= truth * (1.0 + allowed(0.5))),
        "waits are made up: {tries:?}"
    );
}

/// Two threads that spin on one CPU: their run-queue delay by the scheduler's account and by ours, seconds.
fn run_queue(daemon: &Daemon) -> (f64, f64) {
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("run_queue", &["0.8"]).truth();
    daemon.api().detach(&agent);

    let seen = daemon.api().off_cpu(&agent, truth.pid());
    let preempted = seen.seconds_of(&["preempted"]);
    assert!(preempted >= truth.seconds("off") * 0.9, "two spinning threads preempt each other: {seen:?}");
    (truth.seconds("run_delay"), seen.run_queue_seconds())
}

#[test]
fn a_wait_that_began_before_the_attach_counts_from_the_attach() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    puppet.say("sleep 3");
    std::thread::sleep(std::time::Duration::from_secs(1));
    let attached = std::time::Instant::now();
    let agent = daemon.api().attach(puppet.pid());
    let attach_took = attached.elapsed().as_secs_f64();
    puppet.hear();
    let watched = attached.elapsed().as_secs_f64();
    daemon.api().detach(&agent);

    let seen: OffCpu = daemon.api().off_cpu(&agent, puppet.pid());
    let timer = seen.seconds_of(&["timer"]);
    let possible = (watched - attach_took) * (1.0 - allowed(0.02))..=watched * (1.0 + allowed(0.02));
    assert!(
        possible.contains(&timer),
        "slept under watch for {possible:?}, agentperf says {timer}: {seen:?}"
    );
}

#[test]
fn off_cpu_time_has_the_callers_stack() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    puppet.run("waits", &["nanosleep"]);
    daemon.api().detach(&agent);

    let stacks = daemon.api().folded(&agent, "off_cpu");
    let total = |frame: &str| {
        stacks.iter().filter(|(s, _)| s.iter().any(|f| f == frame)).map(|(_, w)| w).sum::<f64>()
    };
    let (sleeping, all) = (total("nanosleeps"), stacks.iter().map(|(_, w)| w).sum::<f64>());
    assert!(sleeping > 0.0, "no stack goes through the function that slept: {stacks:?}");
    assert!(sleeping < all, "the puppet waited, too: {stacks:?}");
}
