//! What a run ships to its machines: agentperf, the kernel tests, their workloads and each machine's list of
//! tests. It is one folder, and becomes the machines' second disk; `xtask/vm/init` says how they use it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::image;
use crate::{
    command::{read, run},
    workspace,
};

/// The test that builds the workloads, which the machines have no compiler for.
const BUILDS_WORKLOADS: &str = "workloads::each_one_builds";

/// One command that a machine runs as a test.
pub(super) struct Job {
    pub(super) name: String,
    /// Its time, seconds.
    pub(super) limit: u32,
    /// Words without blanks or quotes, by paths in the machine.
    pub(super) command: String,
}

impl Job {
    /// One of the kernel tests.
    pub(super) fn test(name: &str, limit: u32) -> Self {
        // Not captured, so that a test which hangs or crashes has said how far it came. Those are included that only
        // a machine made for it can run.
        let command =
            format!("/payload/bin/kernel --exact {name} --include-ignored --test-threads=1 --nocapture");
        Self { name: name.to_owned(), limit, command }
    }
}

/// The folder that becomes the disk.
pub(super) struct Payload {
    tree: PathBuf,
}

impl Payload {
    /// A new one, with the machines' init alone.
    pub(super) fn new(tree: PathBuf) -> Result<Self> {
        let _ = fs::remove_dir_all(&tree);
        for folder in ["bin", "tests", "workloads", "checkout"] {
            fs::create_dir_all(tree.join(folder))?;
        }
        let payload = Self { tree };
        payload.add(&workspace::root().join("xtask/vm/init"), "init")?;
        fs::write(payload.tree.join("checkout-path"), workspace::root().display().to_string())?;
        Ok(payload)
    }

    /// Adds agentperf, the kernel tests and their workloads.
    ///
    /// # Errors
    /// A workload does not build, or a file cannot be copied.
    pub(super) fn add_tests(&self, agentperf: &Path, tests: &Path) -> Result<()> {
        // Most of a debug build is debug information, which nothing in the machines reads.
        for (program, name) in [(agentperf, "agentperf"), (tests, "kernel")] {
            read(Command::new("strip").arg("-o").arg(self.tree.join("bin").join(name)).arg(program))?;
        }
        run(Command::new(tests).args(["--exact", BUILDS_WORKLOADS, "--quiet"]))?;
        copy(&workspace::target().join("workloads"), &self.tree.join("workloads"))?;
        copy(&workspace::root().join("tests"), &self.tree.join("checkout/tests"))
    }

    /// Adds a file under a name.
    pub(super) fn add(&self, file: &Path, name: &str) -> Result<()> {
        fs::copy(file, self.tree.join(name)).with_context(|| file.display().to_string())?;
        Ok(())
    }

    /// Adds a machine's list of tests.
    pub(super) fn add_jobs(&self, machine: &str, jobs: &[Job]) -> Result<()> {
        let lines: Vec<String> =
            jobs.iter().map(|job| format!("{} {} {}\n", job.limit, job.name, job.command)).collect();
        fs::write(self.tree.join("tests").join(machine), lines.concat())?;
        Ok(())
    }

    /// Makes the disk.
    pub(super) fn write(&self, disk: &Path) -> Result<()> {
        image::payload(&self.tree, disk)
    }
}

/// The names of the kernel tests.
///
/// # Errors
/// The program does not list them.
pub(super) fn names(tests: &Path) -> Result<Vec<String>> {
    let list = read(Command::new(tests).args(["--list", "--format=terse"]))?;
    Ok(list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Copies a folder's content, with permissions and times.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    read(
        Command::new("cp")
            .args(["--recursive", "--preserve=mode,timestamps", "--"])
            .arg(from.join("."))
            .arg(to),
    )?;
    Ok(())
}
