//! Names, files and lines of Python's frames on every thread, by CPython's own account and py-spy's; and their place
//! among the native frames.

use std::{path::PathBuf, process::Command};

use super::{
    chain::EARLY,
    programs::{Running, daemon, watch_blocked, watch_cpu},
    pythons::{Frame, Threads, environment, py_spy, pythons, threads, truth, version},
};
use crate::support::{
    stacks::{self, Stack},
    workload::source,
};

/// The last version that py-spy is asked about; of later ones, CPython's own account is the truth.
const PY_SPY_KNOWS: (u32, u32) = (3, 13);

/// A Python with threads that wait, and what was seen of it.
struct Watched {
    python: PathBuf,
    truth: Threads,
    py_spy: Option<Threads>,
    stacks: Vec<Stack>,
}

impl Watched {
    /// The stacks of a thread, by its frames: whole ones.
    fn of(&self, thread: &str) -> &Stack {
        let truth = &self.truth.iter().find(|(name, _)| name == thread).expect(thread).1;
        let found = self.stacks.iter().find(|s| s.end == "complete" && python_frames(s) == *truth);
        found.unwrap_or_else(|| {
            let ours: Vec<_> = self.stacks.iter().map(|s| (s.seconds, &s.end, s.functions())).collect();
            panic!("{}: no complete stack is {thread}'s {truth:#?}: {ours:#?}", self.python.display())
        })
    }
}

fn python_frames(stack: &Stack) -> Vec<Frame> {
    let frame = |f: &stacks::Frame| Frame {
        name: f.function.clone(),
        file: f.file.clone().unwrap_or_default(),
        line: f.line.unwrap_or(0),
    };
    stack.of_kind(&["python"]).map(frame).collect()
}

/// Watches every Python that there is, all of them at once.
fn watch_all() -> Vec<Watched> {
    let pythons = pythons();
    let daemon = daemon();
    let mut running: Vec<Running> = pythons.iter().map(threads).collect();
    let pids: Vec<u32> = running.iter().map(Running::pid).collect();
    let stacks = watch_blocked(daemon.api(), &pids);
    let watched = pythons.into_iter().zip(&mut running).zip(stacks).map(|((python, running), stacks)| {
        let knows = version(&python).is_some_and(|v| v <= PY_SPY_KNOWS);
        let py_spy = knows.then(|| py_spy(running.pid()));
        Watched { python, truth: truth(running), py_spy, stacks }
    });
    watched.collect()
}

#[test]
fn every_frame_of_every_thread_and_its_place() {
    for watched in watch_all() {
        names_files_and_lines(&watched);
        let recent = version(&watched.python).is_some_and(|v| v >= (3, 11));
        callbacks(&watched);
        calls_of_python_by_python(&watched, recent);
        innermost_and_outermost(&watched);
    }
}

fn names_files_and_lines(watched: &Watched) {
    let mut threads = 0;
    for (name, frames) in watched.truth.iter().filter(|(name, _)| name != "MainThread") {
        let ours = python_frames(watched.of(name));
        assert_eq!(ours, *frames);
        if let Some(py_spy) = &watched.py_spy {
            let theirs = py_spy.iter().find(|(thread, _)| thread == name);
            assert_eq!(theirs.map(|t| &t.1), Some(&ours), "{}: py-spy of {name}", watched.python.display());
        }
        threads += 1;
    }
    assert!(threads >= 11, "{threads}");
    eprintln!("{}: {threads} threads equal, py-spy: {}", watched.python.display(), watched.py_spy.is_some());
}

/// The native frames between two Python frames that are called `inner` and `outer`.
fn between<'a>(stack: &'a Stack, inner: &str, outer: &str) -> Vec<&'a str> {
    let is = |f: &stacks::Frame, name: &str| f.kind == "python" && f.function.ends_with(name);
    let begin = stack.frames.iter().position(|f| is(f, inner)).expect(inner);
    let length = stack.frames[begin + 1..].iter().position(|f| is(f, outer)).expect(outer);
    stack.frames[begin + 1..][..length].iter().map(|f| f.function.as_str()).collect()
}

/// From Python through C to Python: what called back stands between.
fn callbacks(watched: &Watched) {
    let cases = [
        ("sorting", "key", "by_sorting", "sort"),
        ("mapping", "key", "by_mapping", "map_next"),
        ("ctypes", "compare_pointers", "by_ctypes", "qsort"),
    ];
    for (thread, inner, outer, native) in cases {
        let found = between(watched.of(thread), inner, outer);
        let named = found.iter().any(|f| f.contains(native));
        // Debian's interpreter has no names for what it does not export.
        let stripped = found.contains(&"[unknown]");
        assert!(named || stripped, "{}: {thread}: {found:?}", watched.python.display());
        assert!(found.len() >= 3, "{}: {thread}: {found:?}", watched.python.display());
    }
}

/// From Python straight to Python: since 3.11 the evaluation loop does not call itself for that.
fn calls_of_python_by_python(watched: &Watched, recent: bool) {
    let found = between(watched.of("plain"), "wait", "plain");
    let loops = found.iter().filter(|f| f.starts_with("_PyEval_EvalFrameDefault")).count();
    assert_eq!((found.is_empty(), loops), (recent, usize::from(!recent)), "{found:?}");
}

fn innermost_and_outermost(watched: &Watched) {
    let stack = watched.of("plain");
    let user: Vec<_> = stack.frames.iter().filter(|f| f.kind != "kernel").collect();
    let first = user.iter().position(|f| f.kind == "python").expect("Python frames");
    let last = user.iter().rposition(|f| f.kind == "python").expect("Python frames");
    let inner: Vec<_> = user[..first].iter().map(|f| f.function.as_str()).collect();
    let outer: Vec<_> = user[last + 1..].iter().map(|f| f.function.as_str()).collect();
    assert!(inner.iter().any(|f| f.contains("sleep") || f.contains("select")), "{inner:?}");
    assert!(outer.iter().any(|f| f.starts_with("_PyEval_EvalFrameDefault")), "{outer:?}");
    assert!(outer.iter().any(|f| f.contains("start_thread") || f.contains("clone")), "{outer:?}");
}

/// BLAS computes in assembly that says nothing of its frames, on threads of its own.
#[test]
fn numpy_with_its_blas() {
    let mut command = Command::new(environment().join("bin/python"));
    command.arg(source("unwind/matrices.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    // Its kernels for Haswell keep no frame that can be found in one sample of six, and say so (`gap`): those of this CPU.
    command.env_remove("OPENBLAS_CORETYPE");
    let running = Running::spawn(command);
    let stacks = watch_cpu(daemon().api(), &[running.pid()]).remove(0);
    let in_blas = |s: &Stack| s.end == "complete" && s.functions().iter().any(|f| f.contains("gemm"));
    let count = |is: &dyn Fn(&Stack) -> bool| stacks.iter().filter(|s| is(s)).map(|s| s.count).sum::<u64>();
    let (all, early) = (count(&|_| true), count(&|s| EARLY.contains(&s.end.as_str())));
    let (complete, blas) = (count(&|s| s.end == "complete"), count(&in_blas));
    eprintln!("{complete} complete, {early} early, {blas} in BLAS, of {all}");
    assert!(blas >= 20, "{blas} of {complete} in BLAS");
    assert!(complete * 10 >= (all - early) * 9, "{complete} complete, {early} early, of {all}");
}
