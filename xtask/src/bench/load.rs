//! The loads that are measured: small C programs (`xtask/workloads`), so that nothing but the system call or
//! the switch is in the figure, and a Python program, because agents are such. They wait for a number on their
//! input, so that a tracer can attach first.

use std::{
    ffi::OsString,
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
    arguments: Vec<OsString>,
    times: u64,
}

const FLAGS: [&str; 7] = ["-std=c11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
const OPENSSL: &[&str] = &["-Wl,--no-as-needed", "-l:libssl.so.3", "-l:libcrypto.so.3"];
const FRAME_POINTERS: &[&str] = &["-fno-omit-frame-pointer"];
/// As distributions build, but that no frame is left out.
const NO_FRAME_POINTERS: &[&str] = &["-fomit-frame-pointer", "-fno-optimize-sibling-calls"];

impl Load {
    /// Compiles `xtask/workloads/NAME.c`; one sample does its work `times` times.
    pub(super) fn build(name: &str, times: u64) -> Result<Self> {
        Self::compile(name, FRAME_POINTERS, times)
    }

    /// The same, linked against OpenSSL's libraries, of which no headers are needed; the program is given an argument.
    pub(super) fn build_with_openssl(name: &str, argument: &str, times: u64) -> Result<Self> {
        let load = Self::compile(name, &[FRAME_POINTERS, OPENSSL].concat(), times)?;
        Ok(Self { arguments: vec![argument.into()], ..load })
    }

    /// The same without frame pointers; the program is given an argument.
    pub(super) fn build_without_frame_pointers(name: &str, argument: &str, times: u64) -> Result<Self> {
        let load = Self::compile(name, NO_FRAME_POINTERS, times)?;
        Ok(Self { arguments: vec![argument.into()], ..load })
    }

    /// `xtask/workloads/NAME.py`.
    pub(super) fn python(name: &str, times: u64) -> Self {
        let script = source(name, "py");
        Self { program: "python3".into(), arguments: vec![script.into()], times }
    }

    fn compile(name: &str, flags: &[&str], times: u64) -> Result<Self> {
        let folder = workspace::scratch().join("workloads");
        fs::create_dir_all(&folder)?;
        let program = folder.join(name);
        run(Command::new("cc").args(FLAGS).args(flags).arg("-o").arg(&program).arg(source(name, "c")))?;
        Ok(Self { program, arguments: Vec::new(), times })
    }

    /// With as many times as take `seconds` while nobody watches.
    pub(super) fn lasting(self, seconds: f64) -> Result<Self> {
        let ns = self.start()?.sample()?;
        Ok(Self { times: ((seconds * 1e9 / ns) as u64).max(10), ..self })
    }

    /// Starts it; it waits.
    pub(super) fn start(&self) -> Result<RunningLoad> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
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

fn source(name: &str, kind: &str) -> PathBuf {
    workspace::root().join("xtask/workloads").join(name).with_extension(kind)
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
        self.warm_up()?;
        self.work_once()
    }

    /// A tenth of a sample.
    pub(super) fn warm_up(&mut self) -> Result<()> {
        self.work(self.times / 10).map(drop)
    }

    /// A sample without warming up: nanoseconds a time.
    pub(super) fn work_once(&mut self) -> Result<f64> {
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
