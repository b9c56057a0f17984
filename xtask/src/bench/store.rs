//! The store on a replay of a hundred agents, beside two other designs for the same samples: a row of SQLite for each,
//! and Prometheus. A round is a day of the replay here, so that seven rounds fill what is kept by default.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Bench, Setting, claim, contest::Series, report::Report};
use crate::{build, command::read, workspace};

pub(super) const BENCH: Bench = Bench {
    name: "store",
    about: "bytes, memory, CPU and query times of the store with 100 agents; a round is a day; minutes of work each",
    run,
};

const AGENTS: u64 = 100;
/// The other designs get fewer agents and hours: what a sample takes does not depend on them.
const OTHERS: u64 = 20;
const ROW_HOURS: u64 = 1;
/// Prometheus makes blocks of two hours.
const BLOCK_HOURS: u64 = 2;

const BYTES: &str = "bytes per sample";
const RSS: &str = "resident set at most, replay included, MB";
const CORE: &str = "CPU, % of a core at 5 s windows";
const HOUR: &str = "one hour of one agent, p99, ms of CPU";
const DASHBOARD: &str = "dashboard of an hour, p99, ms of CPU";

fn run(setting: &Setting) -> Result<Report> {
    let bench = build::store_bench()?;
    let folder = workspace::scratch().join("bench-store");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let ours = figures(&bench, "replay", &folder.join("store"), AGENTS, 24 * u64::from(setting.rounds))?;
    let rows = figures(&bench, "rows", &folder.join("rows"), OTHERS, ROW_HOURS)?;
    let prometheus = prometheus(&bench, &folder);
    let _ = fs::remove_dir_all(&folder);
    let one = |name: &str, from: &Value, at: &str| {
        Series::new(name, from.pointer(at).and_then(Value::as_f64).into_iter().collect())
    };
    let mut series = vec![
        one(BYTES, &ours, "/disk/bytes_per_sample"),
        one("MB on disk", &mega(&ours, "/disk/bytes"), ""),
        one(RSS, &ours, "/rss_peak_mb"),
        one(CORE, &ours, "/cpu_percent_of_a_core"),
        one("CPU, us a window", &ours, "/cpu_us_per_window"),
        one("append, p50, us", &ours, "/append_p50_us"),
        one("append, p99, us", &ours, "/append_p99_us"),
        one("one hour of one agent, p50, ms", &ours, "/hour/p50_ms"),
        one("one hour of one agent, p99, ms", &ours, "/hour/p99_ms"),
        one(HOUR, &ours, "/hour/p99_cpu_ms"),
        one("dashboard of an hour, p50, ms", &ours, "/dashboard/p50_ms"),
        one("dashboard of an hour, p99, ms", &ours, "/dashboard/p99_ms"),
        one(DASHBOARD, &ours, "/dashboard/p99_cpu_ms"),
        one("dashboard of a day, p50, ms", &ours, "/dashboard_24h/p50_ms"),
        one("dashboard of a week, p50, ms", &ours, "/dashboard_7d/p50_ms"),
        one("a row a sample: bytes per sample", &rows, "/bytes_per_sample"),
        one("a row a sample: CPU, us a window", &rows, "/cpu_us_per_window"),
        one("a row a sample: one hour of one agent, p99, ms", &rows, "/hour_p99_ms"),
    ];
    series.push(match prometheus {
        Ok(bytes) => Series::new("Prometheus: bytes per sample", vec![bytes]),
        Err(error) => Series {
            name: "Prometheus: bytes per sample".to_owned(),
            samples: Vec::new(),
            dropped: Some(format!("{error:#}")),
        },
    });
    let claims = vec![
        claim::below(&series, BYTES, 10.0, "B"),
        claim::below(&series, RSS, 50.0, "MB"),
        claim::below(&series, CORE, 1.0, "%"),
        claim::below(&series, HOUR, 20.0, "ms"),
        claim::below(&series, DASHBOARD, 50.0, "ms"),
    ];
    let measure = "a replay of 100 agents at 5 s windows, 40 rows each";
    Ok(Report { name: BENCH.name, measure, series, has_baseline: false, claims })
}

/// What a mode of the bench prints.
fn figures(bench: &Path, mode: &str, place: &Path, agents: u64, hours: u64) -> Result<Value> {
    eprintln!("  {mode}: {agents} agents, {hours} h");
    let mut command = Command::new(bench);
    command.arg(mode).arg(place).args([agents.to_string(), hours.to_string()]);
    let text = read(&mut command)?;
    serde_json::from_str(text.trim()).with_context(|| format!("{text:?} are no figures"))
}

fn mega(figures: &Value, at: &str) -> Value {
    figures.pointer(at).and_then(Value::as_f64).map_or(Value::Null, |bytes| Value::from(bytes / 1e6))
}

/// Bytes per sample of the blocks that promtool makes.
fn prometheus(bench: &Path, folder: &Path) -> Result<f64> {
    let (text, blocks) = (folder.join("samples.txt"), folder.join("prometheus"));
    let told = figures(bench, "openmetrics", &text, OTHERS, BLOCK_HOURS)?;
    let samples = told.pointer("/samples").and_then(Value::as_f64).context("samples")?;
    let mut command = Command::new("promtool");
    command.args(["tsdb", "create-blocks-from", "openmetrics"]).arg(&text).arg(&blocks);
    read(&mut command)?;
    Ok(size(&blocks)? as f64 / samples)
}

fn size(place: &Path) -> Result<u64> {
    if !place.is_dir() {
        return Ok(fs::metadata(place)?.len());
    }
    fs::read_dir(place)?.map(|entry| size(&entry?.path())).sum()
}
