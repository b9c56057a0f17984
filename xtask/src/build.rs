//! `cargo xtask build`: the daemon, with the kernel programs inside.
//!
//! agent-daemon's build script compiles the kernel programs; here is only what must be there before it.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    command::{cargo, line},
    setup::{self, Purpose},
};

/// Builds agentperf, with the kernel programs embedded
///
/// Leaves target/debug/agentperf, or target/release/agentperf.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask build              target/debug/agentperf
  cargo xtask build --release    target/release/agentperf")]
pub(crate) struct Args {
    /// Optimise, for use and for measuring
    #[arg(long)]
    release: bool,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(Purpose::Build)?;
    println!("{}", daemon(args.release)?.display());
    Ok(())
}

/// Builds the daemon and returns where it is.
pub(crate) fn daemon(release: bool) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--package", "agentperf", "--bin", "agentperf"]);
    if release {
        command.arg("--release");
    }
    artifacts(&mut command)?
        .into_iter()
        .find(|artifact| artifact.name == "agentperf" && artifact.executable.is_some())
        .and_then(|artifact| artifact.executable)
        .context("cargo built agentperf, but does not say where it is")
}

/// Every package that is built for the host. Whatever tests are built of them, what they depend on is built once: with the
/// features that all of them want.
pub(crate) const ALL: [&str; 3] = ["--workspace", "--exclude", "agent-ebpf"];

/// Builds the bench of the store and returns where it is.
pub(crate) fn store_bench() -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["bench", "--package", "agentperf", "--bench", "store", "--no-run"]);
    artifacts(&mut command)?
        .into_iter()
        .find(|artifact| artifact.name == "store" && artifact.executable.is_some())
        .and_then(|artifact| artifact.executable)
        .context("cargo built the store's bench, but does not say where it is")
}

/// Builds the kernel tests and returns where they are.
pub(crate) fn kernel_tests() -> Result<PathBuf> {
    let mut command = cargo();
    command.arg("test").args(ALL).args(["--test", "kernel", "--no-run"]);
    artifacts(&mut command)?
        .into_iter()
        .find(|artifact| artifact.name == "kernel" && artifact.executable.is_some())
        .and_then(|artifact| artifact.executable)
        .context("cargo built the kernel tests, but does not say where they are")
}

/// One thing that cargo built, or found built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// Name of the target: a library, a binary, a test or `build-script-build`.
    pub(crate) name: String,
    /// Whether it was there already.
    pub(crate) fresh: bool,
    /// The file to run, if it is a program.
    pub(crate) executable: Option<PathBuf>,
}

/// Runs a cargo command that builds, with its progress on the terminal, and returns what it built.
pub(crate) fn artifacts(command: &mut Command) -> Result<Vec<Artifact>> {
    eprintln!("+ {}", line(command));
    let output = command
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}`", line(command)))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", line(command), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(parse_artifact).collect())
}

fn parse_artifact(message: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    Some(Artifact {
        name: message.pointer("/target/name")?.as_str()?.to_owned(),
        fresh: message.get("fresh")?.as_bool()?,
        executable: message.get("executable").and_then(Value::as_str).map(PathBuf::from),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_messages_are_read_and_others_passed_over() {
        let message = r#"{"reason":"compiler-artifact","target":{"name":"agentperf"},"fresh":true,"executable":"/t/agentperf"}"#;
        let artifact =
            Artifact { name: "agentperf".into(), fresh: true, executable: Some("/t/agentperf".into()) };
        assert_eq!(parse_artifact(message), Some(artifact));
        assert_eq!(parse_artifact(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(parse_artifact("a line that some build script printed"), None);
    }

    /// The promise of the README: a second run with nothing changed rebuilds nothing, kernel programs included.
    #[test]
    fn a_second_build_rebuilds_nothing() {
        daemon(false).unwrap();
        let mut again = cargo();
        let built = artifacts(again.args(["build", "--package", "agentperf", "--bin", "agentperf"])).unwrap();
        let stale: Vec<&Artifact> = built.iter().filter(|artifact| !artifact.fresh).collect();
        assert!(built.len() > 10, "cargo named only {built:?}");
        assert!(stale.is_empty(), "rebuilt though nothing changed: {stale:?}");
    }
}
