//! The simple design: a row of SQLite for every sample, series in a table of their own.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::{
    process::{cpu_seconds, quantile_ms, thread_cpu},
    samples,
    world::{World, time},
};

const TABLES: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE series (id INTEGER PRIMARY KEY, agent TEXT, metric TEXT, labels TEXT, UNIQUE (metric, labels));
    CREATE INDEX series_by_agent ON series (agent);
    CREATE TABLE sample (series INTEGER, time INTEGER, value INTEGER, PRIMARY KEY (series, time)) WITHOUT ROWID;";

/// An hour's query of one agent: all its series, added up.
const QUERY: &str = "SELECT series, sum(value), count(*) FROM sample WHERE series IN \
    (SELECT id FROM series WHERE agent = ?1) AND time >= ?2 AND time < ?3 GROUP BY series";

/// Writes so many hours, a transaction for each window's length, as the daemon would.
pub(crate) fn run(folder: &Path, agents: u64, hours: u64) -> Result<Value> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join("rows.db");
    let mut db = Connection::open(&path)?;
    db.execute_batch(TABLES)?;
    let mut world = World::new(agents);
    let mut series: HashMap<(&'static str, String), i64> = HashMap::new();
    let (mut written, mut cpu, begun) = (0u64, 0.0, Instant::now());
    let ticks = hours * 3600 / crate::WINDOW;
    for tick in 0..ticks {
        let windows: Vec<_> = (0..world.agents.len()).filter_map(|a| world.window(a, tick)).collect();
        let samples: Vec<_> = windows.iter().map(|w| (w.agent.as_str().to_owned(), samples::of(w))).collect();
        let before = cpu_seconds();
        let transaction = db.transaction()?;
        for (agent, sample) in
            samples.into_iter().flat_map(|(a, s)| s.into_iter().map(move |s| (a.clone(), s)))
        {
            let key = (sample.metric, sample.labels);
            let id = match series.get(&key) {
                Some(id) => *id,
                None => {
                    let add = "INSERT INTO series (agent, metric, labels) VALUES (?1, ?2, ?3)";
                    let id = transaction.prepare_cached(add)?.insert(params![agent, key.0, key.1])?;
                    *series.entry(key).or_insert(id)
                }
            };
            let row =
                params![id, time(tick).as_millisecond(), i64::try_from(sample.value).unwrap_or(i64::MAX)];
            transaction.prepare_cached("INSERT INTO sample VALUES (?1, ?2, ?3)")?.execute(row)?;
            written += 1;
        }
        transaction.commit()?;
        cpu += cpu_seconds() - before;
    }
    let wall = begun.elapsed().as_secs_f64();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    let (mut walls, mut cpus) = queries(&db, &mut world, ticks)?;
    let bytes = std::fs::metadata(&path)?.len();
    Ok(json!({
        "samples": written,
        "series": series.len(),
        "bytes": bytes,
        "bytes_per_sample": bytes as f64 / written as f64,
        "cpu_us_per_window": cpu * 1e6 / (ticks * agents) as f64,
        "wall_seconds": wall,
        "hour_p50_ms": quantile_ms(&mut walls, 0.5),
        "hour_p99_ms": quantile_ms(&mut walls, 0.99),
        "hour_p99_cpu_ms": quantile_ms(&mut cpus, 0.99),
    }))
}

fn queries(db: &Connection, world: &mut World, ticks: u64) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let agent = world.below(world.agents.len() as u64) as usize;
        let Some(actor) = world.agents.get(agent) else { continue };
        let (begun, cpu) = (Instant::now(), thread_cpu());
        let mut query = db.prepare_cached(QUERY)?;
        let from = ticks.saturating_sub(3600 / crate::WINDOW);
        let range =
            params![actor.agent.id.as_str(), time(from).as_millisecond(), time(ticks).as_millisecond()];
        let mut rows = query.query(range)?;
        while rows.next()?.is_some() {}
        walls.push(begun.elapsed());
        cpus.push(thread_cpu().saturating_sub(cpu));
    }
    Ok((walls, cpus))
}
