//! The store itself: windows go in as the daemon's writer puts them, with a sync and some housekeeping every window's
//! length; then it is asked.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use agentperf::{
    model::time::TimeRange,
    store::{
        Disk, Options, Store,
        disk::info,
        query::{
            self, Buckets, By, CoveredFold, DashboardFold, OffCpuFold, ProfileFold, ProfileKind, SyscallFold,
        },
    },
    telemetry::Telemetry,
};
use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{
    process::{cpu_seconds, quantile_ms, rss_mb, thread_cpu},
    samples,
    world::{World, time},
};

/// Windows' lengths on which the cost of making windows is measured.
const WARM_UP: u64 = 50;
/// How often each query is asked.
const QUERIES: usize = 200;

/// Replays so many hours of so many agents, with what is kept by default; then asks.
pub(crate) fn run(folder: &Path, agents: u64, hours: u64) -> Result<Value> {
    let ticks = hours * 3600 / crate::WINDOW;
    let making = making(agents, WARM_UP.min(ticks));
    let mut world = World::new(agents);
    let base = rss_mb();
    let telemetry = Arc::new(Telemetry::default());
    let store = Disk::open(folder, Options::default(), telemetry.clone())?;
    put_agents(&store, &world);
    let mut told = Told::default();
    let (cpu, begun) = (cpu_seconds(), Instant::now());
    for tick in 0..ticks {
        told.tick(&store, &mut world, tick)?;
        if tick % (ticks / 20).max(1) == 0 {
            eprintln!(
                "  {} of {hours} h, {:.0} s",
                tick * crate::WINDOW / 3600,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    let wall = begun.elapsed().as_secs_f64();
    let windows = ticks * agents;
    let cpu = cpu_seconds() - cpu - making * windows as f64;
    let mut figures = json!({
        "windows": windows, "samples": told.samples, "wall_seconds": wall,
        "cpu_us_per_window": cpu * 1e6 / windows as f64,
        "cpu_percent_of_a_core": 100.0 * cpu / (ticks * crate::WINDOW) as f64,
        "append_p50_us": 1e3 * quantile_ms(&mut told.appends, 0.5),
        "append_p99_us": 1e3 * quantile_ms(&mut told.appends, 0.99),
        "sync_p99_ms": quantile_ms(&mut told.syncs, 0.99),
        "maintain_p99_ms": quantile_ms(&mut told.maintains, 0.99),
        "rss_base_mb": base, "rss_peak_mb": told.peak,
    });
    let asked = json!({
        "disk": disk(folder, told.samples)?,
        "hour": ask(&store, &mut world, ticks, hour)?,
        "dashboard": ask(&store, &mut world, ticks, |store, world, now| dashboard(store, world, now, 1))?,
        "dashboard_24h": ask(&store, &mut world, ticks, |store, world, now| dashboard(store, world, now, 24))?,
        "dashboard_7d": ask(&store, &mut world, ticks, |store, world, now| dashboard(store, world, now, 168))?,
        "rss_after_queries_mb": rss_mb(),
        "losses": telemetry.losses.all().into_iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>(),
    });
    let more = asked.as_object().cloned().unwrap_or_default();
    figures.as_object_mut().context("an object")?.extend(more);
    Ok(figures)
}

/// What was told on the way.
#[derive(Default)]
struct Told {
    samples: u64,
    appends: Vec<Duration>,
    syncs: Vec<Duration>,
    maintains: Vec<Duration>,
    peak: f64,
}

impl Told {
    fn tick(&mut self, store: &Disk, world: &mut World, tick: u64) -> Result<()> {
        for agent in 0..world.agents.len() {
            let window = world.window(agent, tick).context("an agent")?;
            self.samples += samples::count(&window);
            let begun = Instant::now();
            store.append(window);
            if agent == 0 {
                self.appends.push(begun.elapsed());
            }
        }
        let begun = Instant::now();
        store.sync()?;
        self.syncs.push(begun.elapsed());
        let begun = Instant::now();
        store.maintain(time(tick + 1));
        self.maintains.push(begun.elapsed());
        if tick.is_multiple_of(20) {
            self.peak = self.peak.max(rss_mb());
        }
        Ok(())
    }
}

/// CPU seconds that a window takes to be made.
fn making(agents: u64, ticks: u64) -> f64 {
    let mut world = World::new(agents);
    let before = cpu_seconds();
    for tick in 0..ticks {
        for agent in 0..world.agents.len() {
            std::hint::black_box(world.window(agent, tick).map(|window| samples::count(&window)));
        }
    }
    (cpu_seconds() - before) / (ticks * agents).max(1) as f64
}

fn put_agents(store: &Disk, world: &World) {
    for actor in &world.agents {
        store.put_agent(actor.agent.clone());
        actor.processes().for_each(|process| store.put_process(&actor.agent.id, process));
    }
}

fn disk(folder: &Path, samples: u64) -> Result<Value> {
    let info = info(folder)?;
    let bytes = info.database_bytes - info.free_bytes + info.segment_bytes;
    let levels: Vec<_> = info
        .levels
        .iter()
        .map(|level| json!({ "level": level.name, "blocks": level.blocks, "windows": level.windows, "bytes": level.bytes }))
        .collect();
    Ok(json!({
        "bytes": bytes, "bytes_per_sample": bytes as f64 / samples as f64, "levels": levels,
        "database_bytes": info.database_bytes, "free_bytes": info.free_bytes, "log_bytes": info.log_bytes,
    }))
}

/// One hour of one agent: calls, waits with their stacks, and the CPU profile.
fn hour(store: &Disk, world: &mut World, ticks: u64) -> Result<()> {
    let length = (3600 / crate::WINDOW).min(ticks);
    let day = (86_400 / crate::WINDOW).min(ticks);
    // Of the last day, which is kept as it was recorded.
    let back = length + world.below(day - length + 1);
    let range = TimeRange { from: time(ticks - back), to: time(ticks - back + length) };
    let agent = world.below(world.agents.len() as u64) as usize;
    let id = &world.agents.get(agent).context("an agent")?.agent.id;
    let profile = ProfileFold::new(ProfileKind::Cpu, None);
    let fold = ((CoveredFold::default(), SyscallFold::new(By::Agent)), (OffCpuFold::default(), profile));
    std::hint::black_box(query::over(store, id, range, fold)?);
    Ok(())
}

/// All agents' last hours, as the API reads them.
fn dashboard(store: &Disk, _: &mut World, ticks: u64, hours: u32) -> Result<()> {
    let buckets = Buckets::back_from(time(ticks), hours);
    let mut fold = DashboardFold::new(buckets);
    store.summarize(buckets.range, &mut |agent, summary| fold.add(agent, summary))?;
    let answer = fold.finish(20);
    for ((agent, process), _) in &answer.processes {
        std::hint::black_box(store.process(agent, *process)?);
    }
    std::hint::black_box((answer, store.count_processes(buckets.range)?));
    Ok(())
}

/// Asks again and again: wall and CPU time, ms.
fn ask(
    store: &Disk,
    world: &mut World,
    ticks: u64,
    query: impl Fn(&Disk, &mut World, u64) -> Result<()>,
) -> Result<Value> {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    for _ in 0..QUERIES {
        let (start, cpu) = (Instant::now(), thread_cpu());
        query(store, world, ticks)?;
        walls.push(start.elapsed());
        cpus.push(thread_cpu().saturating_sub(cpu));
        if begun.elapsed() > Duration::from_secs(20) {
            break;
        }
    }
    let asked = walls.len();
    let [wall, cpu] = [&mut walls, &mut cpus].map(|times| [0.5, 0.99].map(|q| quantile_ms(times, q)));
    Ok(
        json!({ "asked": asked, "p50_ms": wall[0], "p99_ms": wall[1], "p50_cpu_ms": cpu[0], "p99_cpu_ms": cpu[1] }),
    )
}
