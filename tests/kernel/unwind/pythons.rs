//! The Pythons of this machine, and py-spy to ask about them.

use std::{env, fs, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;

use super::programs::Running;
use crate::support::{binary::target_directory, workload::source};

/// What is installed beside the system's Python. py-spy is pinned, since its words are compared with ours.
const PACKAGES: [&str; 2] = ["py-spy==0.4.3", "numpy"];

/// The Pythons that there are: the system's, one in a virtual environment, those of pyenv from 3.8 on, and those
/// that `AGENTPERF_PYTHONS` names, by paths that stand as in PATH.
pub(super) fn pythons() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/usr/bin/python3"), environment().join("bin/python")];
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let versions = fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
    found.extend(versions.map(|v| v.path().join("bin/python3")));
    found.extend(env::var_os("AGENTPERF_PYTHONS").iter().flat_map(env::split_paths));
    found.sort();
    found.retain(|python| version(python).is_some_and(|v| v >= (3, 8)));
    assert!(!found.is_empty(), "python3 is missing: run the tests by `cargo xtask test`");
    found
}

/// The version of a Python; `None` if it does not run.
pub(super) fn version(python: &PathBuf) -> Option<(u32, u32)> {
    let program = "import sys; print(*sys.version_info[:2])";
    let output = Command::new(python).args(["-c", program]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A virtual environment of the system's Python, which holds py-spy and numpy.
pub(super) fn environment() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let make = || {
        let folder = target_directory().join("venv/unwind");
        let has_numpy = || Command::new(folder.join("bin/python")).args(["-c", "import numpy"]).status();
        if !folder.join("bin/py-spy").exists() || !has_numpy().is_ok_and(|status| status.success()) {
            let run =
                |command: &mut Command| assert!(command.status().expect("it runs").success(), "{command:?}");
            run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder));
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            run(Command::new(folder.join("bin/python")).args(pip).args(PACKAGES));
        }
        folder
    };
    MADE.get_or_init(make).clone()
}

/// A running `threads.py`.
pub(super) fn threads(python: &PathBuf) -> Running {
    let mut command = Command::new(python);
    command.arg(source("unwind/threads.py")).env("PYTHONDONTWRITEBYTECODE", "1");
    Running::spawn(command)
}

/// A Python frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: u64,
}

impl Frame {
    /// A frame as `threads.py` tells it: name, file, line.
    fn of_truth(row: &Value) -> Self {
        let text = |i: usize| row[i].as_str().unwrap_or_else(|| panic!("no frame: {row}")).to_owned();
        Self { name: text(0), file: text(1), line: row[2].as_u64().expect("a line") }
    }

    fn of_py_spy(row: &Value) -> Self {
        let text = |field: &str| row[field].as_str().unwrap_or_else(|| panic!("no frame: {row}")).to_owned();
        Self { name: text("name"), file: text("filename"), line: row["line"].as_u64().expect("a line") }
    }
}

/// Each thread's name and frames, innermost first.
pub(super) type Threads = Vec<(String, Vec<Frame>)>;

/// What the process says of itself.
pub(super) fn truth(running: &mut Running) -> Threads {
    let told: Value = serde_json::from_str(&running.ask("?")).expect("truth is JSON");
    let threads = told.as_object().expect("threads by name").iter();
    threads
        .map(|(name, frames)| {
            (name.clone(), frames.as_array().expect("frames").iter().map(Frame::of_truth).collect())
        })
        .collect()
}

/// What py-spy says of a process.
pub(super) fn py_spy(pid: u32) -> Threads {
    let mut command = Command::new(environment().join("bin/py-spy"));
    let output = command.args(["dump", "--json", "--pid", &pid.to_string()]).output().expect("py-spy runs");
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("py-spy: {e}: {}", String::from_utf8_lossy(&output.stderr)));
    let name = |thread: &Value| thread["thread_name"].as_str().unwrap_or_default().to_owned();
    let frames =
        |thread: &Value| thread["frames"].as_array().expect("frames").iter().map(Frame::of_py_spy).collect();
    told.as_array().expect("threads").iter().map(|thread| (name(thread), frames(thread))).collect()
}
