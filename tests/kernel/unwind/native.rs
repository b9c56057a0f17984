//! C programs without frame pointers, by two compilers and two linkers, linked in every way: each name of 44 calls,
//! in order, on and off the CPU.

use std::{path::PathBuf, time::Duration};

use super::{
    chain::Chain,
    programs::{Running, daemon, deep, lld, watch, watch_cpu},
};
use crate::support::tolerance::is_slow;

/// The programs, however they are built.
pub(super) fn builds() -> Vec<(&'static str, PathBuf)> {
    let lld = lld();
    let lld: Vec<&str> = lld.iter().map(String::as_str).collect();
    let mut builds = vec![
        ("gcc", deep("gcc", &[])),
        ("clang", deep("clang", &[])),
        ("gcc, lld", deep("gcc", &lld)),
        ("clang, lld", deep("clang", &lld)),
        ("gcc, static", deep("gcc", &["-static"])),
        ("gcc, static-pie", deep("gcc", &["-static-pie", "-fPIE"])),
        ("gcc, no PIE", deep("gcc", &["-no-pie", "-fno-PIE"])),
        ("gcc, -Os", deep("gcc", &["-Os"])),
    ];
    if is_slow() {
        // Eight at once would get too little of an emulated CPU.
        builds.truncate(3);
    }
    builds
}

#[test]
fn every_call_on_the_cpu() {
    let builds = builds();
    let daemon = daemon();
    // `spin` computes, `signal` does so in a handler, `deep` below more calls than a walk has frames.
    let plain = || Chain::of_deep(&["leaf"]);
    let modes = [
        ("spin", plain(), "complete"),
        ("signal", Chain::of_deep(&["on_signal", "leaf"]), "complete"),
        ("deep", plain(), "truncated"),
    ];
    for (mode, chain, end) in modes {
        let running: Vec<Running> = builds.iter().map(|(_, p)| Running::start(p, &[mode])).collect();
        let pids: Vec<u32> = running.iter().map(Running::pid).collect();
        for ((build, _), stacks) in builds.iter().zip(watch_cpu(daemon.api(), &pids)) {
            chain.judge(&stacks, end).expect(&format!("{mode}, {build}"));
        }
    }
}

#[test]
fn every_call_off_the_cpu() {
    let builds = builds();
    let daemon = daemon();
    let running: Vec<Running> = builds.iter().map(|(_, p)| Running::start(p, &["sleep"])).collect();
    let pids: Vec<u32> = running.iter().map(Running::pid).collect();
    let stacks = watch(daemon.api(), &pids, "off_cpu", Duration::from_secs(3));
    for ((build, _), stacks) in builds.iter().zip(stacks) {
        let seen = Chain::of_deep(&["leaf"]).judge(&stacks, "complete");
        eprintln!("sleep, {build}: {} right, {} early, {} wrong", seen.right, seen.early, seen.wrong);
        // A short rest of the sleep that was going on at the attach may go without its stack.
        let excused = seen.faults.iter().all(|f| f.contains("over_budget")) && seen.wrong <= 1;
        assert!(excused, "{build}: {seen:#?}");
        assert!(seen.whole >= 50, "{build}: it slept for 20 ms again and again: {seen:?}");
        let early = if is_slow() { 60 } else { 20 };
        assert!(seen.early <= early, "{build}: the first moments last too long: {seen:?}");
    }
}
