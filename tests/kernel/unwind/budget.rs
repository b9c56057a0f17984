//! What a walk at switch-out may cost is bounded, and yet no wait above the threshold loses its stack; nor does one
//! that began before the attach.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::{
    chain::Chain,
    programs::{FLAGS, Running, daemon, deep, program, watch},
};
use crate::support::{
    daemon::Daemon,
    puppet::Puppet,
    stacks::Stack,
    tolerance::{assert_seconds, assert_within},
};

/// Of `budget.c`: a chain of calls down to a wait.
const LONG: [&str; 3] = ["long_wait", "down", "rounds"];
const SHORT: [&str; 3] = ["short_wait", "down", "rounds"];
/// A wait of at least this has its stack, seconds.
const THRESHOLD: f64 = 0.01;
/// Calls of `down` on each stack.
const DEPTH: usize = 61;

fn seconds(stacks: &[&Stack]) -> f64 {
    stacks.iter().map(|s| s.seconds).sum()
}

fn waits(stacks: &[&Stack]) -> u64 {
    stacks.iter().map(|s| s.count).sum()
}

/// `budget.c`.
pub(super) fn build() -> PathBuf {
    program("budget.c", "gcc", &[&FLAGS[..], &["-pthread"]].concat())
}

#[test]
fn no_long_wait_loses_its_stack_when_the_budget_is_used_up() {
    let budget = build();
    let daemon = daemon();
    // A thread that gets little CPU beside others blocks too seldom to use its budget up: then once more.
    let used_up = (0..3).any(|_| judge(&daemon, &budget));
    assert!(used_up, "the budget must be used up for this to tell anything: is the machine busy?");
}

/// Runs `budget.c` and judges its waits; whether its budget was used up.
fn judge(daemon: &Daemon, budget: &Path) -> bool {
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach_with(&json!({ "pid": puppet.pid(), "probes": ["off_cpu"] }));
    let budget = budget.to_str().expect("a path in UTF-8");
    let truth = puppet.run_path("nice", &["-n", "-5", budget, "4", "4"]).truth();
    daemon.api().detach(&agent);

    let all = daemon.api().stacks(&agent, "off_cpu");
    let own = |keep: &dyn Fn(&Stack) -> bool| -> Vec<&Stack> {
        all.iter().filter(|s| s.pid == truth.pid() && keep(s)).collect()
    };
    let is_nap = |s: &Stack| s.cause.as_deref() == Some("timer");
    let long = own(&|s| is_nap(s) && s.calls("long_wait"));
    let shorts = own(&|s| is_nap(s) && s.calls("short_wait"));
    let unwalked = own(&|s| is_nap(s) && s.end == "over_budget");
    // The thread's own clock goes on while it waits for a CPU on its way in and out.
    let preempted = own(&|s| !is_nap(s) && s.calls("long_wait"));
    eprintln!(
        "{} of {} long waits, {:.3} s and {:.3} s of {:.3} s; {} short waits with their stack, {} without",
        waits(&long),
        truth.count("longs"),
        seconds(&long),
        seconds(&preempted),
        truth.seconds("long_seconds"),
        waits(&shorts),
        waits(&unwalked)
    );
    let longest = daemon.api().off_cpu(&agent, truth.pid()).longest_over_budget();
    eprintln!("the longest wait without its stack took {:.3} ms", longest * 1e3);
    let lost = daemon.api().loss("kernel_late_stack");
    assert!(longest < THRESHOLD || lost > 0, "{longest} s");
    assert_within(0.01, truth.count("longs") as f64, waits(&long) as f64, "long waits with their stack");
    assert_seconds(truth.seconds("long_seconds"), seconds(&long) + seconds(&preempted), "long waits");
    // Beside the naps that the truth is about, the first thread joins the others.
    let is_told = |s: &Stack| matches!(s.cause.as_deref(), Some("timer" | "preempted" | "page_fault"));
    let (naps, all) = (seconds(&own(&is_nap)), seconds(&own(&is_told)));
    let (napped, off) = (truth.seconds("napped"), truth.seconds("off"));
    eprintln!("{naps:.3} s of {napped:.3} s napping; {all:.3} s of {off:.3} s off the CPU");
    assert!(naps <= napped, "more than the naps took: {naps} of {napped} s");
    assert!(all >= off * 0.98, "less than the scheduler's account, which is short: {all} of {off} s");
    for (stacks, names) in [(&long, LONG), (&shorts, SHORT)] {
        let chain = Chain::new(&names, &[]);
        for stack in stacks {
            assert_eq!(chain.fault(stack, "complete"), None, "{stack:#?}");
            assert_eq!(stack.functions().iter().filter(|f| **f == "down").count(), DEPTH, "{stack:#?}");
        }
    }
    waits(&unwalked) * 10 > truth.count("shorts")
}

#[test]
fn a_process_that_slept_already_has_its_stack() {
    let daemon = daemon();
    let running = Running::start(&deep("gcc", &[]), &["pause"]);
    std::thread::sleep(Duration::from_millis(300));
    let stacks = watch(daemon.api(), &[running.pid()], "off_cpu", Duration::from_millis(2500)).remove(0);
    let walked: Vec<&Stack> = stacks.iter().filter(|s| s.end == "complete").collect();
    let chain = Chain::of_deep(&["leaf"]);
    assert!(walked.iter().any(|s| chain.fault(s, "complete").is_none()), "{stacks:#?}");
    let (with, all) = (seconds(&walked), seconds(&stacks.iter().collect::<Vec<_>>()));
    eprintln!("{with:.3} s of {all:.3} s have their stack");
    assert!(all >= 2.4 && with >= all - 1.2, "from the second window on at the latest: {stacks:#?}");
}
