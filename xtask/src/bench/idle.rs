//! What the daemon takes while nothing happens: ten agents that sleep, every probe on.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{
    Bench, Setting, claim,
    contest::Series,
    daemon,
    proc_stat::{cpu_seconds, rss_bytes},
    report::Report,
};

pub(super) const BENCH: Bench =
    Bench { name: "idle", about: "the daemon with ten sleeping agents: CPU over 30 s, resident memory", run };

const AGENTS: usize = 10;
/// One round; several windows long.
const SPAN: Duration = Duration::from_secs(30);
/// Rounds are long here, and the figure is steady: more would only take time.
const MOST_ROUNDS: u32 = 2;
/// Attaching reads symbols and mappings; that is not idling. The kernel's symbols are let go after a minute.
const SETTLE: Duration = Duration::from_secs(80);

const CPU: &str = "CPU, % of one core";
const RSS: &str = "RSS, MB";

fn run(setting: &Setting) -> Result<Report> {
    let agents = (0..AGENTS).map(|_| Sleeper::start()).collect::<Result<Vec<_>>>()?;
    let daemon = daemon(&setting.agentperf)?;
    for agent in &agents {
        daemon.attach(agent.0.id(), None)?;
    }
    thread::sleep(SETTLE);
    let (mut cpu, mut rss) = (Vec::new(), Vec::new());
    for _ in 0..setting.rounds.min(MOST_ROUNDS) {
        let (start, used) = (Instant::now(), cpu_seconds(daemon.pid())?);
        thread::sleep(SPAN);
        cpu.push(100.0 * (cpu_seconds(daemon.pid())? - used) / start.elapsed().as_secs_f64());
        rss.push(rss_bytes(daemon.pid())? as f64 / 1e6);
    }
    let series = [(CPU, cpu), (RSS, rss)].map(|(name, samples)| Series {
        name: name.to_owned(),
        samples,
        dropped: None,
    });
    let claims = vec![claim::below(&series, CPU, 1.0, "%"), claim::below(&series, RSS, 50.0, "MB")];
    let measure = "the daemon with ten sleeping Python agents, every probe on";
    Ok(Report { name: BENCH.name, measure, series: series.into(), has_baseline: false, claims })
}

/// An agent that does nothing. Ended when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Result<Self> {
        let program = "import time; time.sleep(3600)";
        let mut command = Command::new("python3");
        command.args(["-c", program]).stdin(Stdio::null());
        Ok(Self(command.spawn().context("cannot run python3")?))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
