//! Other languages and C libraries: C++ and its exceptions, Rust, musl, Go.

use std::{path::PathBuf, process::Command};

use super::{
    chain::{Chain, EARLY},
    programs::{Running, daemon, deep, is_installed, program, watch_cpu},
};
use crate::support::{
    stacks::Stack,
    workload::{built, source},
};

/// The programs that every machine can build.
pub(super) fn builds() -> [PathBuf; 3] {
    [
        program("deep.cpp", "g++", &["-O2", "-fomit-frame-pointer"]),
        program("deep.rs", "rustc", &["-O"]),
        deep("musl-gcc", &["-static"]),
    ]
}

#[test]
fn other_languages_on_the_cpu() {
    let programs = builds();
    let go = is_installed("go").then(go);
    let daemon = daemon();
    let running: Vec<Running> = programs.iter().chain(&go).map(|p| Running::start(p, &[])).collect();
    let pids: Vec<u32> = running.iter().map(Running::pid).collect();
    let stacks = watch_cpu(daemon.api(), &pids);
    cpp(&stacks[0]);
    rust(&stacks[1]);
    musl(&stacks[2]);
    match stacks.get(3) {
        Some(stacks) => of_go(stacks),
        None => eprintln!("go is not installed: nothing is tried of it"),
    }
}

/// Templates and exceptions.
fn cpp(stacks: &[Stack]) {
    let names = ["leaf", "Grid<int>::visit<outer(Grid<int>&)::{lambda(int&)#1}>", "outer", "main"];
    Chain::new(&names, &[]).judge(stacks, "complete").expect("C++");
}

/// Trait objects and panics.
fn rust(stacks: &[Stack]) {
    let names = ["deep::leaf", "<deep::Square as deep::Shape>::area", "deep::outer", "deep::main"];
    Chain::new(&names, &[]).judge(stacks, "complete").expect("Rust");
}

/// Debian builds musl without unwind information, so that a walk cannot pass its `qsort` and the code that calls
/// `main`: it ends there, and says so. What it found before is right, and nothing stands for what it did not find.
fn musl(stacks: &[Stack]) {
    let chain: Vec<String> = ["leaf".to_owned()]
        .into_iter()
        .chain((31..40).rev().map(|n| format!("d{n}")))
        .chain(["compare".to_owned()])
        .collect();
    let (mut right, mut other) = (0, 0);
    for stack in stacks.iter().filter(|s| !EARLY.contains(&s.end.as_str())) {
        let functions = stack.functions();
        match functions.iter().position(|f| *f == "compare") {
            Some(compare) if functions.first() == Some(&"leaf") => {
                assert_eq!(functions[..=compare], chain, "{stack:#?}");
                assert_eq!(functions.len(), compare + 2, "no frame is guessed beyond musl's: {functions:?}");
                assert_eq!(stack.end, "gap", "{functions:?}");
                right += stack.count;
            }
            _ => other += stack.count,
        }
    }
    eprintln!("musl: {right} right, {other} elsewhere");
    assert!(right >= 20 && other * 10 <= right, "{right} {other}: {stacks:#?}");
}

/// Go keeps frame pointers, and its own unwind information stops where goroutines change stacks: frame pointers are
/// followed. They pass over the caller of a function without a frame, here the closure that calls `leaf`.
fn of_go(stacks: &[Stack]) {
    let names = [
        "main.leaf",
        "main.each",
        "main.square.area",
        "main.(*square).area",
        "main.outer",
        "main.main.func1",
    ];
    let own: Vec<Stack> = stacks.iter().filter(|s| s.calls("main.leaf")).cloned().collect();
    Chain::new(&names, &[]).judge(&own, "complete").expect("Go");
}

/// `deep.go`, built.
fn go() -> PathBuf {
    let code = source("unwind/deep.go");
    built("deep-go", std::slice::from_ref(&code), |output| {
        let mut command = Command::new("go");
        // Nothing of it needs the network, or another Go.
        command
            .env("GOFLAGS", "-mod=mod")
            .env("GOTOOLCHAIN", "local")
            .args(["build", "-o"])
            .arg(output)
            .arg(&code);
        assert!(command.status().expect("go runs").success(), "{command:?}");
    })
}
