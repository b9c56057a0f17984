//! What stands in for tables that are not made yet: copies of stacks, few enough to cost little. A hidden flag withholds
//! the tables, so that no stack can be whole but by its copy.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    chain::{Chain, EARLY},
    programs::{Running, deep},
};
use crate::support::{daemon::Daemon, stacks::Stack, workload::source};

/// Copies at once after a rest, and in a second from then on.
const AT_ONCE: u64 = 64;
const A_SECOND: f64 = 20.0;

/// Watches a program that computes for a while without tables, and returns its stacks, and how long that took.
fn watch(daemon: &Daemon, running: &Running, time: Duration) -> (Vec<Stack>, Duration) {
    let begun = Instant::now();
    let agent = daemon.api().attach_with(&json!({ "pid": running.pid(), "probes": ["cpu"] }));
    thread::sleep(time);
    daemon.api().detach(&agent);
    (daemon.api().stacks(&agent, "cpu"), begun.elapsed())
}

fn withholding(frequency_hz: u32) -> Daemon {
    Daemon::start_with(&["--withhold-tables"], json!({ "sampling": { "frequency_hz": frequency_hz } }))
}

#[test]
fn the_first_stacks_are_whole_and_right() {
    let daemon = withholding(97);
    let spin = Running::start(&deep("gcc", &[]), &["spin"]);
    let (stacks, _) = watch(&daemon, &spin, Duration::from_millis(500));
    let seen = Chain::of_deep(&["leaf"]).judge(&stacks, "complete");
    eprintln!("without any table: {} of {} whole; {:?}", seen.right, seen.all, daemon.api().losses());
    assert_eq!(seen.wrong, 0, "{seen:#?}");
    assert!(seen.right >= 10 && seen.right * 10 >= seen.all * 8, "{seen:#?}");
}

#[test]
fn copies_are_few() {
    let daemon = withholding(997);
    let spin = Running::start(&deep("gcc", &[]), &["spin"]);
    let (stacks, time) = watch(&daemon, &spin, Duration::from_secs(3));
    let seen = Chain::of_deep(&["leaf"]).judge(&stacks, "complete");
    eprintln!("in {time:?}: {} of {} whole; {:?}", seen.right, seen.all, daemon.api().losses());
    assert_eq!(seen.wrong, 0, "{seen:#?}");
    let most = AT_ONCE + (A_SECOND * time.as_secs_f64()) as u64 + 1;
    assert!((AT_ONCE / 4..=most).contains(&seen.right), "{most} at most: {seen:#?}");
    let cut = stacks.iter().filter(|s| EARLY.contains(&s.end.as_str())).map(|s| s.count).sum::<u64>();
    assert!(cut > seen.right, "the others are as they were walked: {seen:#?}");
}

#[test]
fn python_stands_where_it_belongs() {
    let daemon = withholding(97);
    let code = source("unwind").join("busy.py");
    let python = Running::start("python3".as_ref(), &[code.to_str().expect("UTF-8")]);
    let (stacks, _) = watch(&daemon, &python, Duration::from_millis(500));
    let whole: Vec<&Stack> =
        stacks.iter().filter(|s| s.end == "complete" && s.of_kind(&["python"]).count() > 0).collect();
    assert!(whole.len() >= 5, "{} of {}; {:?}", whole.len(), stacks.len(), daemon.api().losses());
    for stack in whole {
        let outermost = stack.frames.iter().rposition(|f| f.kind == "python").expect("Python frames");
        assert_eq!(stack.frames[outermost].function, "<module>", "{:?}", stack.functions());
        // What runs it stands outside of it, and main outside of that; a stripped interpreter has no names.
        let outside = &stack.frames[outermost + 1..];
        assert!(outside.len() >= 3, "{:?}", stack.functions());
        let name = outside[0].function.as_str();
        assert!(
            name.starts_with("_PyEval_EvalFrameDefault") || name == "[unknown]",
            "{:?}",
            stack.functions()
        );
    }
}
