//! What the unwind tables take, and the whole daemon with them, while it watches seventy agents that wait most
//! of the time: fifty Python and twenty Node processes.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Bench, Setting, claim,
    contest::Series,
    daemon, eh_frame,
    proc_stat::{cpu_seconds, rss_bytes},
    report::Report,
};
use crate::{daemon::Daemon, workspace};

pub(super) const BENCH: Bench = Bench {
    name: "tables",
    about: "unwind tables per MB of .eh_frame, and the daemon's memory with 50 Python and 20 Node agents",
    run,
};

const PYTHONS: usize = 50;
const NODES: usize = 20;
/// The programs start, and load their libraries.
const START: Duration = Duration::from_secs(15);
/// Tables that have not grown for so long are all made.
const SETTLED: Duration = Duration::from_secs(12);
const PATIENCE: Duration = Duration::from_secs(300);
/// Two windows.
const SPAN: Duration = Duration::from_secs(10);
/// Nothing here changes from round to round.
const MOST_ROUNDS: u32 = 2;

const ALL: &str = "RSS and tables, MB";

fn run(setting: &Setting) -> Result<Report> {
    let agents = start_agents()?;
    thread::sleep(START);
    let mut rounds = Vec::new();
    for round in 0..setting.rounds.min(MOST_ROUNDS) {
        eprintln!("  round {}", round + 1);
        rounds.push(measure(setting, &agents)?);
    }
    let names = [
        ".eh_frame of what is mapped, MB",
        "tables, MB",
        "tables, KB per MB of .eh_frame",
        "RSS, MB",
        ALL,
        CPU,
    ];
    let samples = |place: usize| rounds.iter().filter_map(|round| round.get(place).copied()).collect();
    let series: Vec<Series> =
        names.iter().enumerate().map(|(place, name)| Series::new(*name, samples(place))).collect();
    let claims = vec![claim::below(&series, ALL, 120.0, "MB")];
    let measure = "fifty Python and twenty Node agents, every probe but syscalls";
    Ok(Report { name: BENCH.name, measure, series, has_baseline: false, claims })
}

const CPU: &str = "CPU, % of one core";

fn measure(setting: &Setting, agents: &[Agent]) -> Result<[f64; 6]> {
    let daemon = daemon(&setting.agentperf)?;
    for agent in agents {
        daemon.attach(agent.0.id(), Some(&["cpu", "off_cpu"]))?;
    }
    let tables = settled_tables(&daemon)?;
    let (start, used) = (Instant::now(), cpu_seconds(daemon.pid())?);
    thread::sleep(SPAN);
    let cpu = 100.0 * (cpu_seconds(daemon.pid())? - used) / start.elapsed().as_secs_f64();
    let rss = rss_bytes(daemon.pid())? as f64 / 1e6;
    let (unwind, tables) = (eh_frame_bytes(agents)? as f64 / 1e6, tables as f64 / 1e6);
    Ok([unwind, tables, 1e3 * tables / unwind, rss, rss + tables, cpu])
}

/// Bytes of all tables, once no more are made.
fn settled_tables(daemon: &Daemon) -> Result<u64> {
    let start = Instant::now();
    let (mut bytes, mut since) = (0, Instant::now());
    while bytes == 0 || since.elapsed() < SETTLED {
        if start.elapsed() > PATIENCE {
            bail!("tables are still made after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(500));
        let status: Value = serde_json::from_str(&daemon.get("status")?)?;
        let now = status.pointer("/own/unwind_table_bytes").and_then(Value::as_u64);
        let now = now.context("the daemon does not tell what its unwind tables take")?;
        if now != bytes {
            (bytes, since) = (now, Instant::now());
        }
    }
    Ok(bytes)
}

/// Of every file that an agent has mapped to execute, each once.
fn eh_frame_bytes(agents: &[Agent]) -> Result<u64> {
    let mut files: HashMap<(u64, u64), u64> = HashMap::new();
    for agent in agents {
        let maps = fs::read_to_string(format!("/proc/{}/maps", agent.0.id()))?;
        for path in maps.lines().filter_map(mapped_code) {
            let Ok(meta) = fs::metadata(path) else { continue };
            files.entry((meta.dev(), meta.ino())).or_insert_with(|| eh_frame::size(path).unwrap_or(0));
        }
    }
    Ok(files.values().sum())
}

/// The file of an executable mapping: `start-end perms offset dev inode path`.
fn mapped_code(line: &str) -> Option<&str> {
    let permissions = line.split_whitespace().nth(1)?;
    let path = line.find('/').and_then(|at| line.get(at..))?;
    permissions.contains('x').then_some(path)
}

/// A process that waits most of the time. Ended when dropped.
struct Agent(Child);

fn start_agents() -> Result<Vec<Agent>> {
    let kinds = [("python3", "mostly_idle.py", PYTHONS), ("node", "mostly_idle.js", NODES)];
    let mut agents = Vec::new();
    for (program, script, count) in kinds {
        let script: PathBuf = workspace::root().join("xtask/workloads").join(script);
        for _ in 0..count {
            let mut command = Command::new(program);
            command.arg(&script).stdin(Stdio::null());
            agents.push(Agent(command.spawn().with_context(|| format!("cannot run {program}"))?));
        }
    }
    Ok(agents)
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_mappings_of_files_are_found() {
        let line = "7f00-7f10 r-xp 00001000 fe:00 12   /usr/lib/a library.so";
        assert_eq!(mapped_code(line), Some("/usr/lib/a library.so"));
        assert_eq!(mapped_code("7f00-7f10 r--p 00000000 fe:00 12   /usr/lib/libc.so"), None);
        assert_eq!(mapped_code("7f00-7f10 r-xp 00000000 00:00 0   [vdso]"), None);
        assert_eq!(mapped_code("7f00-7f10 rwxp 00000000 00:00 0 "), None);
    }
}
