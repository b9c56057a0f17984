//! `cargo xtask test`: every test there is, the privileged ones on the real kernel too.
//!
//! All steps run even if one fails, and the kernel tests come last, so that cargo test's own summary ends
//! the output. Nothing is skipped for want of privileges: the kernel tests run through sudo.

use std::{
    cmp::Reverse,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    build,
    command::{as_root, cargo, is_root, line, run},
    setup::{self, Purpose},
    tidy, workspace,
};

/// How many of the tests that took longest are told, and from what time on.
const SLOWEST: usize = 40;
const SLOW: Duration = Duration::from_secs(10);

/// Runs all tests: formatting, tidy, unit, suite, and the kernel's with real eBPF
///
/// The kernel tests run as root, through sudo where need be, one at a time.
#[derive(clap::Args, Default)]
#[command(after_help = "Examples:
  cargo xtask test                   everything
  cargo xtask test --no-kernel       what needs no privileges
  cargo xtask test off_cpu           the tests with `off_cpu` in their names")]
pub(crate) struct Args {
    /// Leave out the tests that load kernel programs and need root
    #[arg(long)]
    no_kernel: bool,
    /// Run only tests whose names contain this
    filter: Option<String>,
}

pub(crate) fn main(args: &Args) -> Result<()> {
    setup::ensure(if args.no_kernel { Purpose::Build } else { Purpose::Test })?;
    let mut steps = Steps::default();
    if args.filter.is_none() {
        steps.step("fmt", || run(cargo().args(["fmt", "--all", "--check"])));
        steps.step("tidy", tidy::check);
    }
    tests(args, &mut steps);
    steps.verdict()
}

/// The tests proper. The kernel's come last.
pub(crate) fn tests(args: &Args, steps: &mut Steps) {
    let filter = args.filter.as_slice();
    steps.step("build", || build::daemon(false).map(|_| ()));
    steps.step("unit and suite tests", || run(unprivileged().arg("--").args(filter)));
    if filter.is_empty() {
        steps.step("doc tests", || run(cargo().args(["test", "--doc"]).args(build::ALL)));
    }
    if !args.no_kernel {
        steps.step("kernel tests", || kernel(filter));
    }
}

/// Every test target but the kernel's.
fn unprivileged() -> Command {
    let mut command = cargo();
    command.arg("test").args(build::ALL).arg("--no-fail-fast");
    command.args(["--lib", "--bins", "--test", "suite"]);
    command
}

/// Runs the kernel tests. One that fails is tried once more, when the others are done, and named: many hold clocks
/// against each other within 2 %, which other work on the machine can spoil. A fault fails twice.
fn kernel(filter: &[String]) -> Result<()> {
    if !is_root() {
        as_root("true")?;
    }
    let tests = build::kernel_tests()?;
    let outcome = kernel_tests(&tests, filter).and_then(|failed| again(&tests, &failed));
    if !is_root() {
        take_back()?;
    }
    outcome
}

fn again(tests: &Path, failed: &[String]) -> Result<()> {
    if failed.is_empty() {
        return Ok(());
    }
    eprintln!("\nxtask: once more, alone: {}", failed.join(", "));
    let exactly = [&["--exact".to_owned()], failed].concat();
    let failed_again = kernel_tests(tests, &exactly)?;
    if !failed_again.is_empty() {
        bail!("failed twice: {}", failed_again.join(", "));
    }
    eprintln!("\nxtask: passed only when tried once more: {}", failed.join(", "));
    Ok(())
}

/// Runs kernel tests; returns those that failed.
fn kernel_tests(tests: &Path, arguments: &[String]) -> Result<Vec<String>> {
    let mut command = as_root(tests)?;
    // They share the machine: two at a time would disturb each other's timings.
    command.current_dir(workspace::root().join("tests")).arg("--test-threads=1").args(arguments);
    let line = line(&command);
    eprintln!("+ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run `{line}`"))?;
    let (mut failed, mut times, mut begun) = (Vec::new(), Vec::new(), Instant::now());
    for told in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let told = told.context("the tests' output")?;
        println!("{told}");
        if let Some((test, outcome)) = told.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            times.push((begun.elapsed(), test.to_owned()));
            failed.extend((outcome == "FAILED").then(|| test.to_owned()));
        }
        begun = Instant::now();
    }
    tell_slowest(times);
    let status = child.wait()?;
    if !status.success() && failed.is_empty() {
        bail!("`{line}` failed: {status}");
    }
    Ok(failed)
}

/// Says which tests took longest. Each runs alone, from what was told before to its own line.
fn tell_slowest(mut times: Vec<(Duration, String)>) {
    times.sort_by_key(|(time, _)| Reverse(*time));
    for (time, test) in times.iter().take(SLOWEST).filter(|(time, _)| *time >= SLOW) {
        eprintln!("xtask: {:5.1} s {test}", time.as_secs_f64());
    }
}

/// Makes what tests and benches built as root the caller's, so that `cargo clean` can delete it.
pub(crate) fn take_back() -> Result<()> {
    // SAFETY: getuid and getgid take nothing, touch no memory and cannot fail.
    let owner = unsafe { format!("{}:{}", libc::getuid(), libc::getgid()) };
    let folders =
        ["workloads", "venv", "rootfs", "xtask", "vm"].map(|folder| workspace::target().join(folder));
    let existing = folders.iter().filter(|folder| folder.exists());
    run(as_root("chown")?.args(["--recursive", "--no-dereference", "--silent", &owner]).args(existing))
}

/// Runs steps, says which fail, and remembers them. A success adds no line: the last word is cargo test's.
#[derive(Default)]
pub(crate) struct Steps {
    failed: Vec<&'static str>,
}

impl Steps {
    /// Runs one step. A failure is shown now and told again by [`Steps::verdict`].
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) {
        eprintln!("=== {name}");
        let start = Instant::now();
        if let Err(error) = work() {
            eprintln!("=== {name}: FAILED after {:.1} s: {error:#}", start.elapsed().as_secs_f64());
            self.failed.push(name);
        }
    }

    /// # Errors
    /// Some step failed: which.
    pub(crate) fn verdict(self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        bail!("failed: {}", self.failed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_does_not_stop_the_next_and_is_named_at_the_end() {
        let mut steps = Steps::default();
        let mut ran = false;
        steps.step("first", || bail!("broken"));
        steps.step("second", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert_eq!(steps.verdict().unwrap_err().to_string(), "failed: first");
    }
}
