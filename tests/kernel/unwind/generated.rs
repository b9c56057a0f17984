//! Code that is made at run time: named by a perf map or a jitdump where its runtime writes one, and honestly nameless
//! where it does not; and Node under the flags by which V8 writes them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    chain::Chain,
    programs::{FLAGS, Running, daemon, is_installed, program, watch_cpu},
};
use crate::support::{stacks::Stack, workload::source};

/// The program that makes code.
pub(super) fn generated() -> PathBuf {
    program("generated.c", "gcc", &FLAGS)
}

/// Starts a program in a folder of its own, where jitdumps go.
fn start(program: &Path, arguments: &[&str], folder: &Path) -> Running {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder);
    Running::spawn(command)
}

/// The stacks of a program on the CPU. What it wrote into /tmp is removed.
fn stacks(running: Running) -> Vec<Stack> {
    let pid = running.pid();
    let stacks = watch_cpu(daemon().api(), &[pid]).remove(0);
    drop(running);
    let _ = fs::remove_file(format!("/tmp/perf-{pid}.map"));
    stacks
}

#[test]
fn names_come_from_a_perf_map_or_a_jitdump() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for how in ["map", "dump"] {
        let stacks = stacks(start(&generated(), &[how], folder.path()));
        let chain = Chain::new(&["generated_inner", "generated_outer", "main"], &[]);
        chain.judge(&stacks, "complete").expect(how);
    }
}

#[test]
fn what_nobody_names_is_called_so() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let stacks = stacks(start(&generated(), &["none"], folder.path()));
    Chain::new(&["[jit]", "main"], &[]).judge(&stacks, "complete").expect("without names");
}

/// `--perf-basic-prof` writes a perf map, `--perf-prof` a jitdump.
#[test]
fn node_with_the_flags_for_perf_has_its_names() {
    if !is_installed("node") {
        return eprintln!("not run: there is no node");
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let script = source("unwind/calls.js").display().to_string();
    for flag in ["--perf-basic-prof", "--perf-prof"] {
        let stacks = stacks(start(Path::new("node"), &[flag, &script, "spin"], folder.path()));
        let all: u64 = stacks.iter().map(|s| s.count).sum();
        let named: u64 = stacks.iter().filter(|s| s.calls("innermost")).map(|s| s.count).sum();
        eprintln!("{flag}: {named} of {all}");
        assert!(all >= 100 && named * 10 >= all * 8, "{flag}: {named} of {all}");
    }
}
