//! Syscall statistics: exact counts, exact errors, and times that agree with the caller's own clock.

use serde_json::json;

use crate::support::{daemon::Daemon, puppet::Puppet, tolerance::assert_seconds};

#[test]
fn calls_and_errors_are_counted_exactly() {
    count_exactly(&Daemon::start(json!({})));
}

/// The fallback for kernels that refuse task storage, through fork, threads and exit.
#[test]
fn calls_are_counted_exactly_with_thread_state_in_a_hash() {
    let daemon = Daemon::start(json!({ "kernel": { "thread_state": "tid_hash" } }));
    count_exactly(&daemon);
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    puppet.run_path("sh", &["-c", "true;true;true"]);
    daemon.api().detach(&agent);
    let processes = daemon.api().processes(&agent);
    assert!(processes.iter().any(|p| p.comm == "sh" && p.exit_code == Some(0)), "{processes:?}");
}

/// As under `lockdown=confidentiality`: another way to load the programs.
#[test]
fn calls_are_counted_exactly_where_the_kernels_memory_is_not_read() {
    let daemon = Daemon::start_with(&["--confidential"], json!({}));
    count_exactly(&daemon);
    let unavailable = daemon.api().unavailable();
    assert!(["descriptors", "late_stacks"].iter().all(|name| unavailable.contains_key(*name)));
}

fn count_exactly(daemon: &Daemon) {
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("syscalls", &["100000"]).truth();
    daemon.api().detach(&agent);

    let getppid = daemon.api().syscall(&agent, "getppid").expect("getppid was called");
    assert_eq!(getppid.count, truth.count("getppid"));
    assert_eq!((getppid.number, getppid.errors.len()), (110, 0), "{getppid:?}");
    let close = daemon.api().syscall(&agent, "close").expect("close was called");
    assert_eq!(close.failed("EBADF"), truth.count("close_ebadf"), "{close:?}");
    let unlinkat = daemon.api().syscall(&agent, "unlinkat").expect("unlinkat was called");
    assert_eq!(unlinkat.count, truth.count("unlinkat_enoent"));
    assert_eq!(unlinkat.errors, [("ENOENT".to_owned(), truth.count("unlinkat_enoent"))]);
}

#[test]
fn time_in_a_call_is_the_callers_own() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("syscalls", &["4"]).truth();
    daemon.api().detach(&agent);

    let sleep = daemon.api().syscall(&agent, "nanosleep").expect("nanosleep was called");
    assert_eq!(sleep.count, truth.count("nanosleep"));
    assert_seconds(truth.seconds("nanosleep_seconds"), sleep.total_seconds, "time in nanosleep");
    // The workload reads its clock when it runs again, on a busy machine some time after the call is over.
    let longest = 0.01..=truth.seconds("nanosleep_max") * 1.02;
    assert!(longest.contains(&sleep.max_seconds), "the longest nanosleep: {longest:?}, {sleep:?}");
    // Buckets are powers of two: 10 ms lies in [8.4 ms, 16.8 ms).
    assert!((0.0083..0.0169).contains(&sleep.p50_seconds), "{sleep:?}");
    assert!(sleep.p99_seconds <= sleep.max_seconds + 1e-9, "{sleep:?}");
}

#[test]
fn calls_of_short_threads_are_counted_exactly() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let truth = puppet.run("threads", &["churn", "2000"]).truth();
    daemon.api().detach(&agent);
    assert_eq!(daemon.api().calls(&agent, "getppid"), truth.count("getppid"));
}

#[test]
fn nothing_is_counted_for_an_agent_that_wants_no_syscalls() {
    let daemon = Daemon::start(json!({}));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach_with(&json!({ "pid": puppet.pid(), "probes": ["cpu", "off_cpu"] }));
    puppet.tell("getppid 1000");
    let status = daemon.api().status();
    daemon.api().detach(&agent);

    assert_eq!(daemon.api().calls(&agent, "getppid"), 0);
    let probes = status["probes"].as_array().expect("probes");
    let counting = probes.iter().filter(|p| p["name"].as_str().is_some_and(|n| n.starts_with("sys_")));
    for probe in counting {
        assert_eq!(probe["attached"], false, "nobody wants it: {probe}");
    }
}

#[test]
fn a_neighbour_that_is_no_agent_is_not_counted() {
    let daemon = Daemon::start(json!({}));
    let (mut watched, mut neighbour) = (Puppet::start(), Puppet::start());
    let agent = daemon.api().attach(watched.pid());
    watched.tell("getppid 700");
    neighbour.tell("getppid 5000");
    daemon.api().detach(&agent);
    assert_eq!(daemon.api().calls(&agent, "getppid"), 700);
}
