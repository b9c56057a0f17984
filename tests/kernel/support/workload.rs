//! Builds the workloads of `tests/workloads` and reads the truth that they print.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::SystemTime,
};

use serde_json::Value;

use super::binary::target_directory;

/// Frame pointers, and no inlining beyond what `noinline` allows: stacks are part of the truth.
const FLAGS: [&str; 9] = [
    "-std=c11",
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pthread",
];

/// A file of `tests/workloads`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads").join(name)
}

/// The program built from `tests/workloads/NAME.c`; built again only after a change. A directory of
/// prebuilt programs can be named by `AGENTPERF_WORKLOADS`.
///
/// # Panics
/// Where it does not build.
pub(crate) fn program(name: &str) -> PathBuf {
    let code = source(&format!("{name}.c"));
    built(name, &[code.clone(), source("truth.h")], |output| compile(&code, output))
}

/// What `build` makes of these sources; made again only after a change of them.
///
/// # Panics
/// Where `build` does.
pub(crate) fn built(name: &str, sources: &[PathBuf], build: impl FnOnce(&Path)) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    if let Some(prebuilt) = env::var_os("AGENTPERF_WORKLOADS") {
        return Path::new(&prebuilt).join(name);
    }
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(|e| e.into_inner());
    let directory = target_directory().join("workloads");
    let output = directory.join(name);
    if sources.iter().any(|code| modified(&output) < modified(code)) {
        std::fs::create_dir_all(&directory).expect("target/workloads can be made");
        build(&output);
    }
    output
}

fn compile(code: &Path, output: &Path) {
    let status = Command::new("cc").args(FLAGS).arg("-o").arg(output).arg(code).status();
    let status = status.expect("`cc` runs: install a C compiler, or run the tests by `cargo xtask test`");
    assert!(status.success(), "{} does not compile", code.display());
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// One line of truth.
#[derive(Clone, Debug)]
pub(crate) struct Truth(Value);

impl Truth {
    /// Reads a line that a workload printed.
    ///
    /// # Panics
    /// If it is no JSON object.
    pub(crate) fn parse(line: &str) -> Self {
        let value = serde_json::from_str(line).unwrap_or_else(|e| panic!("no truth in {line:?}: {e}"));
        Self(value)
    }

    /// A field in seconds.
    pub(crate) fn seconds(&self, field: &str) -> f64 {
        self.0[field].as_f64().unwrap_or_else(|| panic!("no number {field:?} in {}", self.0))
    }

    /// A field that counts.
    pub(crate) fn count(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_else(|| panic!("no count {field:?} in {}", self.0))
    }

    /// A field that counts, for each of several things.
    pub(crate) fn counts(&self, field: &str) -> Vec<u64> {
        let list = self.0[field].as_array().unwrap_or_else(|| panic!("no list {field:?} in {}", self.0));
        list.iter().map(|n| n.as_u64().expect("a count")).collect()
    }

    /// A field that names.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {}", self.0))
    }

    /// The process that this is true of.
    pub(crate) fn pid(&self) -> u32 {
        u32::try_from(self.count("pid")).expect("a pid")
    }
}
