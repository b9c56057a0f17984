//! Walks in bulk, against another unwinder on copies of the same stacks at the same moments: the daemon itself compares
//! them where a hidden flag asks for it, and logs how many are equal.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::programs::{FLAGS, Running, deep, program};
use crate::support::{daemon::Daemon, tolerance::is_slow, workload::source};

/// Stacks of each program.
const ENOUGH: u64 = 1000;

/// What the daemon's log says last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    stacks: u64,
    identical: u64,
    frames: u64,
    equal: u64,
    complete: u64,
}

impl Seen {
    fn read(daemon: &Daemon) -> Self {
        let log = daemon.log();
        let Some(line) = log.lines().rfind(|l| l.contains("stacks validated")) else {
            return Self::default();
        };
        let number = |name: &str| {
            let field = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            field.unwrap_or_else(|| panic!("no {name} in {line}")).parse().expect("a number")
        };
        Self {
            stacks: number("stacks"),
            identical: number("identical"),
            frames: number("frames"),
            equal: number("equal_frames"),
            complete: number("walk_complete"),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            stacks: self.stacks - before.stacks,
            identical: self.identical - before.identical,
            frames: self.frames - before.frames,
            equal: self.equal - before.equal,
            complete: self.complete - before.complete,
        }
    }
}

/// Lets the daemon judge a program's stacks.
fn judge(daemon: &Daemon, running: &Running) -> Seen {
    let agent = daemon.api().attach_with(&json!({ "pid": running.pid(), "probes": ["cpu"] }));
    // How long tables take to make is not what is judged here.
    thread::sleep(Duration::from_secs(if is_slow() { 10 } else { 1 }));
    let before = Seen::read(daemon);
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut seen = Seen::default();
    while seen.stacks < ENOUGH && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200));
        seen = Seen::read(daemon).since(before);
    }
    daemon.api().detach(&agent);
    assert!(seen.stacks >= ENOUGH, "too few stacks to judge by: {seen:?}");
    seen
}

/// The programs that are judged, beside Python's.
pub(super) fn builds() -> [PathBuf; 3] {
    [deep("gcc", &[]), program("deep.cpp", "g++", &FLAGS), program("deep.rs", "rustc", &["-O"])]
}

#[test]
fn walks_equal_another_unwinders() {
    let arguments = &["--validate-stacks"];
    let daemon = Daemon::start_with(arguments, json!({ "sampling": { "frequency_hz": 997 } }));
    let [c, cpp, rust] = builds();
    let python = source("unwind").join("busy.py");
    let programs = [
        ("C", Running::start(&c, &["spin"])),
        ("C++", Running::start(&cpp, &[])),
        ("Rust", Running::start(&rust, &[])),
        ("Python", Running::start("python3".as_ref(), &[python.to_str().expect("UTF-8")])),
    ];
    for (name, running) in &programs {
        let seen = judge(&daemon, running);
        eprintln!("{name}: {seen:?}");
        assert!(seen.equal as f64 >= 0.999 * seen.frames as f64, "{name}: {seen:?}");
        assert!(seen.identical as f64 >= 0.99 * seen.stacks as f64, "{name}: {seen:?}");
        assert!(seen.complete as f64 >= 0.99 * seen.stacks as f64, "{name}: {seen:?}");
    }
}
