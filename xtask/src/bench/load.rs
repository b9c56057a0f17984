//! The loads that are measured: small C programs (`xtask/workloads`), so that nothing but the system call or
//! the switch is in the figure. They wait for a number on their input, so that a tracer can attach first.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};

use crate::{command::run, workspace};

/// A load's program.
#[derive(Clone, Debug)]
pub(super) struct Load {
    program: PathBuf,
    times: u64,
}

impl Load {
    /// Compiles `xtask/workloads/NAME.c`; one sample does its work `times` times.
    pub(super) fn build(name: &str, times: u64) -> Result<Self> {
        let source = workspace::root().join("xtask/workloads").join(name).with_extension("c");
        let folder = workspace::scratch().join("workloads");
        fs::create_dir_all(&folder)?;
        let program = folder.join(name);
        let flags =
            ["-std=c11", "-O2", "-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror", "-pthread"];
        run(Command::new("cc").args(flags).arg("-o").arg(&program).arg(source))?;
        Ok(Self { program, times })
    }

    /// Starts it; it waits.
    pub(super) fn start(&self) -> Result<RunningLoad> {
        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("the load's output is piped")?);
        let mut load = RunningLoad { child, orders, answers, times: self.times };
        // It answers once it has executed and pinned itself.
        load.work(1)?;
        Ok(load)
    }
}

/// A waiting load. Ends when dropped.
pub(super) struct RunningLoad {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    times: u64,
}

impl RunningLoad {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Warms up, then takes a sample: nanoseconds a time.
    pub(super) fn sample(&mut self) -> Result<f64> {
        self.work(self.times / 10)?;
        self.work(self.times)
    }

    fn work(&mut self, times: u64) -> Result<f64> {
        let orders = self.orders.as_mut().context("the load listens to its end")?;
        writeln!(orders, "{times}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        line.trim().parse().with_context(|| format!("the load ended early, or answered {line:?}"))
    }
}

impl Drop for RunningLoad {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
