//! What the daemon takes while an agent runs one short program after the other: a minute for each round, every probe on.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Bench, Setting, claim,
    contest::Series,
    daemon,
    load::Load,
    proc_stat::{cpu_seconds, rss_bytes},
    report::Report,
};
use crate::daemon::Daemon;

pub(super) const BENCH: Bench = Bench {
    name: "churn",
    about: "the daemon while an agent runs 10,000 programs a minute: CPU, resident memory, programs without a bill",
    run,
};

/// Of one round. The workload takes a minute for them, unless the machine is too slow.
const PROGRAMS: u64 = 10_000;
/// How long the last bills may take: some windows.
const LATE: Duration = Duration::from_secs(30);

const RATE: &str = "programs a minute";
const CPU: &str = "CPU, % of one core";
const RSS: &str = "RSS, MB";
const GROWTH: &str = "RSS more than in the second round, MB";
const UNTOLD: &str = "programs without a bill";

fn run(setting: &Setting) -> Result<Report> {
    let mut agent = Load::python("churn", PROGRAMS).start()?;
    let daemon = daemon(&setting.agentperf)?;
    let id = daemon.attach(agent.pid(), None)?;
    let (mut rate, mut cpu, mut rss) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..setting.rounds {
        eprintln!("  round {} of {}", round + 1, setting.rounds);
        let (start, used) = (Instant::now(), cpu_seconds(daemon.pid())?);
        rate.push(60e9 / agent.work_once()?);
        cpu.push(100.0 * (cpu_seconds(daemon.pid())? - used) / start.elapsed().as_secs_f64());
        rss.push(rss_bytes(daemon.pid())? as f64 / 1e6);
    }
    // In the first, tables and queues come to their size.
    let growth = rss.iter().skip(2).map(|mb| mb - rss.get(1).unwrap_or(mb)).collect();
    let made = PROGRAMS * u64::from(setting.rounds);
    let series = [
        Series::new(RATE, rate),
        Series::new(CPU, cpu),
        Series::new(RSS, rss),
        Series::new(GROWTH, growth),
        Series::new(UNTOLD, vec![made as f64 - told(&daemon, &id, made)? as f64]),
    ];
    let claims = vec![
        claim::at_least(&series, RATE, 0.99 * PROGRAMS as f64, ""),
        claim::below(&series, GROWTH, 5.0, "MB"),
        claim::below(&series, UNTOLD, 1.0, ""),
    ];
    let measure = "the daemon with a Python agent that runs /bin/true 10,000 times a minute, every probe on";
    Ok(Report { name: BENCH.name, measure, series: series.into(), has_baseline: false, claims })
}

/// How many of the agent's programs have a bill, once all have one or they are late.
fn told(daemon: &Daemon, agent: &str, made: u64) -> Result<u64> {
    let start = Instant::now();
    loop {
        let answer: Value = serde_json::from_str(&daemon.get(&format!("agents/{agent}/tools?limit=1"))?)?;
        let names = answer.get("names").and_then(Value::as_array).context("the answer has names")?;
        let told = names.iter().filter_map(|name| name.get("calls")?.as_u64()).sum();
        if told >= made || start.elapsed() > LATE {
            return Ok(told);
        }
        thread::sleep(Duration::from_secs(1));
    }
}
