//! Processes that are blocked in a fixed place: each native frame has the address that gdb finds, on every thread.

use std::{collections::BTreeSet, process::Command};

use super::{
    gdb::{self, Place},
    programs::{Running, daemon, deep, is_installed, watch_blocked},
    pythons::{pythons, threads},
};
use crate::support::stacks::Stack;

/// The native frames of the stacks of long waits; each ends before the first frame that is in no file, or in none
/// that was known yet when its window was named.
fn ours(stacks: &[Stack]) -> BTreeSet<Vec<Place>> {
    let place = |f: &crate::support::stacks::Frame| {
        let file = f.binary.clone().filter(|b| b.starts_with('/') || b == "[vdso]")?;
        Some((file, f.address))
    };
    let long = stacks.iter().filter(|s| s.end == "complete" && s.seconds > 0.5);
    let places = |s: &Stack| s.of_kind(&["native", "javascript"]).map_while(place).collect::<Vec<_>>();
    long.map(places).filter(|stack| !stack.is_empty()).collect()
}

/// A Node that waits for its input, with the threads of its platform.
fn node() -> Running {
    let mut command = Command::new("node");
    command.args(["-e", "process.stdin.resume(); console.log('ready')"]);
    Running::spawn(command)
}

#[test]
fn gdb_finds_the_same_addresses() {
    let mut what: Vec<(String, Running)> =
        vec![("C".to_owned(), Running::start(&deep("gcc", &[]), &["pause"]))];
    what.push(("C, static".to_owned(), Running::start(&deep("gcc", &["-static"]), &["pause"])));
    what.extend(pythons().iter().map(|p| (p.display().to_string(), threads(p))));
    if is_installed("node") {
        what.push(("node".to_owned(), node()));
    }
    let daemon = daemon();
    let pids: Vec<u32> = what.iter().map(|(_, r)| r.pid()).collect();
    let stacks = watch_blocked(daemon.api(), &pids);
    for ((name, running), stacks) in what.iter().zip(&stacks) {
        let (ours, theirs) = (ours(stacks), gdb::stacks(running.pid()));
        let frames: usize = theirs.iter().map(Vec::len).sum();
        eprintln!("{name}: {} stacks, {frames} frames", theirs.len());
        let (more, less): (Vec<_>, Vec<_>) =
            (ours.difference(&theirs).collect(), theirs.difference(&ours).collect());
        assert!(
            more.is_empty() && less.is_empty(),
            "{name}: only we find {more:x?}, only gdb finds {less:x?}"
        );
    }
}
