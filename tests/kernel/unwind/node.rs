//! Node's JavaScript frames: by V8's own account of names, files and lines, with no flag, in order, on and off the CPU.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use super::{
    chain::EARLY,
    programs::{Running, daemon, is_installed, watch_blocked, watch_cpu},
};
use crate::support::{
    stacks::{Frame, Stack},
    workload::source,
};

/// What stands before a function of `calls.js`, by its name.
const DEFINED: [(&str, &str); 5] = [
    ("innermost", "function innermost"),
    ("method", "    method"),
    ("arrow", "const arrow"),
    ("through", "function through"),
    ("(anonymous)", "//"),
];

/// A running `calls.js`, once it has told V8's account of its frames: the names of those of the script itself, innermost
/// first.
fn calls(flags: &[&str], mode: &str, folder: &Path) -> (Running, Vec<String>) {
    let mut command = Command::new("node");
    command.args(flags).arg(source("unwind/calls.js")).arg(mode).current_dir(folder);
    let mut running = Running::spawn(command);
    let told: Value = serde_json::from_str(&running.hear()).expect("the account is JSON");
    let name = |row: &Value| {
        let is_ours = row[1].as_str().is_some_and(|file| file.ends_with("calls.js"));
        is_ours.then(|| row[0].as_str().unwrap_or("(anonymous)").to_owned())
    };
    (running, told.as_array().expect("frames").iter().filter_map(name).collect())
}

/// The frames of the script in a stack.
fn of_script(stack: &Stack) -> Vec<&Frame> {
    let in_script = |f: &&Frame| f.file.as_deref().is_some_and(|file| file.ends_with("calls.js"));
    stack.of_kind(&["javascript"]).filter(in_script).collect()
}

/// The line on which a function of the script begins.
fn line_of(function: &str) -> u64 {
    let text = fs::read_to_string(source("unwind/calls.js")).expect("it is there");
    let begin = DEFINED.iter().find(|(name, _)| *name == function).expect(function).1;
    text.lines().position(|line| line.starts_with(begin)).expect(begin) as u64 + 1
}

/// Asserts that whole stacks have every call in order, each with the line on which its function begins; and that all
/// but few are whole, once the walker knows the program.
#[track_caller]
fn judge(stacks: &[Stack], truth: &[String]) {
    let place = |f: &Frame| (f.function.clone(), f.line);
    let expected: Vec<_> = truth.iter().map(|name| (name.clone(), Some(line_of(name)))).collect();
    // Threads of the platform run no JavaScript.
    let ours = || stacks.iter().filter(|s| s.end != "complete" || !of_script(s).is_empty());
    let count = |is: &dyn Fn(&Stack) -> bool| ours().filter(|s| is(s)).map(|s| s.count).sum::<u64>();
    let whole = |s: &Stack| of_script(s).into_iter().map(place).eq(expected.iter().cloned());
    let (all, right) = (count(&|_| true), count(&|s| s.end == "complete" && whole(s)));
    let early = count(&|s| EARLY.contains(&s.end.as_str()) || s.end == "over_budget");
    eprintln!("{right} right, {early} early, of {all}");
    let wrong: Vec<_> = ours().filter(|s| s.end == "complete" && !whole(s)).map(Stack::functions).collect();
    assert!(right >= 20 && early * 4 <= all, "{right} right, {early} early, of {all}: {wrong:?}");
    assert!(right * 100 >= (all - early) * 97, "{right} of {}: {wrong:#?}", all - early);
}

#[test]
fn every_call_and_its_place() {
    if !is_installed("node") {
        return eprintln!("not run: there is no node");
    }
    let (folder, daemon) = (tempfile::tempdir().expect("a temporary directory"), daemon());
    let (waits, truth) = calls(&[], "wait", folder.path());
    judge(&watch_blocked(daemon.api(), &[waits.pid()]).remove(0), &truth);
    drop(waits);
    let (spins, truth) = calls(&[], "spin", folder.path());
    judge(&watch_cpu(daemon.api(), &[spins.pid()]).remove(0), &truth);
}
