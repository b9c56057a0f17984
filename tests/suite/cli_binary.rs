//! Runs the built binary. `CARGO_BIN_EXE_…` is not for other packages' tests, so it is looked for beside
//! this one, and built first where it is missing.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

/// The built `agentperf`.
pub(crate) fn path() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        // TARGET/PROFILE/deps/suite-HASH
        let own = std::env::current_exe().unwrap();
        let path = own.ancestors().nth(2).unwrap().join("agentperf");
        if !path.exists() {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let built =
                Command::new("cargo").args(["build", "--package", "agentperf"]).current_dir(root).status();
            assert!(built.unwrap().success(), "agentperf does not build");
        }
        path
    })
}

/// A command line, with none of our variables in its environment and nothing on its standard input.
pub(crate) fn agentperf(args: &[&str]) -> Command {
    let mut command = Command::new(path());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AGENTPERF_") || name.to_string_lossy().starts_with("SUDO_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs a command line to its end.
pub(crate) fn run(args: &[&str]) -> Ran {
    agentperf(args).output().unwrap().into()
}

/// What a command line wrote and returned.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ran {
    /// What it wrote to standard output, which must be JSON, and nothing must have failed.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    /// It failed with this code and one line.
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let line = self.err.strip_prefix("agentperf: ").unwrap_or_else(|| panic!("{self:?}"));
        assert_eq!(line.trim_end().lines().count(), 1, "one sentence: {self:?}");
        line.trim_end()
    }
}
