//! How each contender records a process, and what it leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::parse::{self, Sample};
use crate::{
    bench::{
        daemon,
        peer::{Peer, Sign},
    },
    command::{find, read},
    daemon::Daemon,
    workspace,
};

/// A contender.
#[derive(Clone, Copy)]
pub(super) enum Tool<'a> {
    Agentperf(&'a Path),
    /// With this kind of call graph.
    Perf(&'static str),
    Bpftrace,
    PySpy,
}

/// What was recorded.
pub(super) struct Output {
    pub(super) stacks: Vec<Sample>,
    /// As the tool writes it.
    pub(super) bytes: u64,
}

impl Output {
    /// # Errors
    /// There are no stacks in it; then what the tool said may tell why.
    fn of(text: &str, parse: fn(&str) -> Vec<Sample>, said: &str) -> Result<Self> {
        let stacks = parse(text);
        ensure!(!stacks.is_empty(), "recorded nothing: {}", said.trim());
        Ok(Self { stacks, bytes: text.len() as u64 })
    }
}

/// A contender at work.
pub(super) enum Recording {
    Agentperf { daemon: Box<Daemon>, agent: String },
    Perf { peer: Peer, file: PathBuf },
    Bpftrace(Peer),
    PySpy { peer: Peer, file: PathBuf },
}

impl Tool<'_> {
    /// Records a process; returns once it does.
    ///
    /// # Errors
    /// The tool is not to be had, or fails.
    pub(super) fn start(&self, pid: u32) -> Result<Recording> {
        match self {
            Self::Agentperf(program) => {
                let daemon = Box::new(daemon(program)?);
                let agent = daemon.attach(pid, Some(&["cpu"]))?;
                Ok(Recording::Agentperf { daemon, agent })
            }
            Self::Perf(call_graph) => {
                let file = output("perf.data")?;
                let mut command = Command::new(find("perf").context("perf is not installed")?);
                command.args([
                    "record",
                    "-q",
                    "-g",
                    "--call-graph",
                    call_graph,
                    "-e",
                    "cpu-clock",
                    "-F",
                    "97",
                ]);
                command.arg("-o").arg(&file).args(["-p", &pid.to_string()]);
                Ok(Recording::Perf { peer: Peer::start(command)?, file })
            }
            Self::Bpftrace => {
                let mut command = Command::new(find("bpftrace").context("bpftrace is not installed")?);
                command.args(["-e", &format!("profile:hz:97 /pid == {pid}/ {{ @[ustack] = count(); }}")]);
                Ok(Recording::Bpftrace(Peer::start(command)?))
            }
            Self::PySpy => {
                let file = output("py-spy.folded")?;
                let mut command = Command::new(py_spy()?);
                command.args(["record", "--native", "--rate", "97", "--format", "raw", "--duration", "3600"]);
                command.arg("-o").arg(&file).args(["-p", &pid.to_string()]);
                let peer = Peer::start_until(command, Sign::Says("Sampling process"))?;
                Ok(Recording::PySpy { peer, file })
            }
        }
    }
}

impl Recording {
    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Agentperf { daemon, .. } => daemon.pid(),
            Self::Perf { peer, .. } | Self::Bpftrace(peer) | Self::PySpy { peer, .. } => peer.pid(),
        }
    }

    /// Ends the tool, and turns what it has into text.
    pub(super) fn finish(self) -> Result<Output> {
        match self {
            Self::Agentperf { daemon, agent } => {
                daemon.detach(&agent)?;
                let text = daemon.get(&format!("agents/{agent}/profile?type=cpu&format=folded"))?;
                Output::of(&text, parse::folded, "")
            }
            Self::Perf { peer, file } => {
                let said = peer.end()?;
                let size = fs::metadata(&file).with_context(|| format!("perf left nothing: {said}"))?.len();
                // Inlined functions would be asked of another program, frame by frame.
                let script = ["script", "--no-inline", "-F", "comm,pid,ip,sym,dso", "-i"];
                let text = read(Command::new("perf").args(script).arg(&file))?;
                fs::remove_file(&file)?;
                Ok(Output { bytes: size, ..Output::of(&text, parse::perf_script, &said)? })
            }
            Self::Bpftrace(peer) => {
                let said = peer.end()?;
                let map = said.find("@[").and_then(|at| said.get(at..)).unwrap_or_default();
                Output::of(map, parse::bpftrace, &said)
            }
            Self::PySpy { peer, file } => {
                let said = peer.end()?;
                let text =
                    fs::read_to_string(&file).with_context(|| format!("py-spy left nothing: {said}"))?;
                Output::of(&text, parse::folded, &said)
            }
        }
    }
}

/// Where a tool is to write; nothing is there.
fn output(name: &str) -> Result<PathBuf> {
    let folder = workspace::scratch().join("bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join(name);
    if file.exists() {
        fs::remove_file(&file)?;
    }
    Ok(file)
}

/// py-spy, from PyPI into a virtual environment at its first use where nobody installed it.
pub(super) fn py_spy() -> Result<PathBuf> {
    if let Some(installed) = find("py-spy") {
        return Ok(installed);
    }
    let folder = workspace::target().join("venv/py_spy");
    let program = folder.join("bin/py-spy");
    if !program.is_file() {
        read(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "py-spy==0.4.*"];
        read(Command::new(folder.join("bin/python")).args(install)).context("py-spy cannot be installed")?;
    }
    Ok(program)
}
