//! What the walk of a stack costs, by the kernel's own account of the programs that walk: on a busy Python, on
//! the C program whose every frame is known, and at switches; and what the verifier makes of the programs.
//!
//! A load is watched twice: first until its tables are made, then for the figures. Frames are those that users
//! see, where Python's stand for the interpreter's own; so a frame of Python's is dearer than one of C's.

use std::{thread, time::Duration, time::Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    Bench, Setting, claim,
    claim::Claim,
    contest::Series,
    daemon,
    kernel_programs::{self, Program, Timed},
    load::{Load, RunningLoad},
    proc_stat::{cpu_seconds, switches},
    report::Report,
};
use crate::daemon::Daemon;

pub(super) const BENCH: Bench = Bench {
    name: "unwind",
    about: "ns per sample, frame and switch that is walked; verified instructions and loading of the walker",
    run,
};

/// How long a load is watched for one figure.
const SECONDS: f64 = 10.0;
/// Within that, all tables of a program and its libraries are made.
const TABLES: Duration = Duration::from_secs(3);
/// A round takes a minute.
const MOST_ROUNDS: u32 = 5;

/// A thread that has a core to itself is sampled so often, per second.
const HZ: f64 = 97.0;
const SHARE: &str = "Python, sampling at 97 Hz, % of a core";
const LOADING: &str = "loading the programs, ms";
const LIMIT: f64 = 20_000.0;

fn run(setting: &Setting) -> Result<Report> {
    let _timed = Timed::on()?;
    let python = Load::python("busy", 1000).lasting(SECONDS)?;
    let deep = |mode, times| Load::build_without_frame_pointers("deep", mode, times);
    let (spin, sleep) = (deep("spin", 100)?.lasting(SECONDS)?, deep("sleep", 100)?.lasting(SECONDS)?);
    let ping_pong = Load::build("ping_pong", 100_000)?;
    let mut figures = Figures::default();
    for round in 0..setting.rounds.min(MOST_ROUNDS) {
        eprintln!("  round {}", round + 1);
        let begin = Instant::now();
        let daemon = daemon(&setting.agentperf)?;
        figures.push("from start to ready, ms", begin.elapsed().as_secs_f64() * 1e3);
        loading(&mut figures, &kernel_programs::of(daemon.pid())?);
        sampled(&mut figures, &daemon, "Python", &python)?;
        let untracked = sampled(&mut figures, &daemon, "C chain", &spin)?;
        walked_switches(&mut figures, &daemon, &sleep, untracked)?;
        fast_switches(&mut figures, &daemon, &ping_pong)?;
    }
    let claims = claims(&figures.0);
    let measure = "the walker's cost in the kernel";
    Ok(Report { name: BENCH.name, measure, series: figures.0, has_baseline: false, claims })
}

fn claims(series: &[Series]) -> Vec<Claim> {
    let verified = series.iter().filter(|series| series.name.starts_with(VERIFIED));
    let verified = verified.map(|program| claim::below(series, &program.name, LIMIT, "instructions"));
    let costs = [claim::below(series, SHARE, 0.3, "%"), claim::below(series, LOADING, 100.0, "ms")];
    costs.into_iter().chain(verified).collect()
}

/// Series by name, in the order in which they first came.
#[derive(Default)]
struct Figures(Vec<Series>);

impl Figures {
    fn push(&mut self, name: &str, sample: f64) {
        match self.0.iter_mut().find(|series| series.name == name) {
            Some(series) => series.samples.push(sample),
            None => self.0.push(Series::new(name, vec![sample])),
        }
    }
}

const VERIFIED: &str = "verified, ";
/// Programs that the verifier has little to do with are left out.
const WORTH_A_LINE: u32 = 5000;

/// A program's load time is when its verification begins, so one lasts until the next begins: the last one is
/// not in the figure, and what the daemon does in between is.
fn loading(figures: &mut Figures, programs: &[Program]) {
    if let (Some(first), Some(last)) = (programs.first(), programs.last()) {
        figures.push(LOADING, (last.loaded - first.loaded).as_secs_f64() * 1e3);
    }
    for (program, next) in programs.iter().zip(programs.iter().skip(1)) {
        if program.verified > WORTH_A_LINE {
            let took = (next.loaded - program.loaded).as_secs_f64() * 1e3;
            figures.push(&format!("loading {}, ms", program.name), took);
        }
    }
    for program in programs.iter().filter(|program| program.verified > WORTH_A_LINE) {
        figures.push(&format!("{VERIFIED}{}", program.name), f64::from(program.verified));
    }
}

/// A load whose tables are there.
struct Watched {
    load: RunningLoad,
    agent: String,
    seen: Seen,
}

impl Watched {
    /// Starts a load and watches it until its tables are made.
    fn start(daemon: &Daemon, load: &Load, probes: &[&str]) -> Result<Self> {
        let mut load = load.start()?;
        let agent = daemon.attach(load.pid(), Some(probes))?;
        load.warm_up()?;
        thread::sleep(TABLES);
        daemon.detach(&agent)?;
        let kind = if probes.contains(&"cpu") { "cpu" } else { "off_cpu" };
        let seen = seen(daemon, &agent, kind)?;
        let agent = daemon.attach(load.pid(), Some(probes))?;
        Ok(Self { load, agent, seen })
    }
}

/// On-CPU samples; returns what one run of the program at switches takes while none is tracked.
fn sampled(figures: &mut Figures, daemon: &Daemon, what: &str, load: &Load) -> Result<Duration> {
    let mut watched = Watched::start(daemon, load, &["cpu"])?;
    let (begin, used) = (Instant::now(), cpu_seconds(daemon.pid())?);
    let before = kernel_programs::of(daemon.pid())?;
    watched.load.work_once()?;
    let after = kernel_programs::of(daemon.pid())?;
    let seconds = begin.elapsed().as_secs_f64();
    let used = cpu_seconds(daemon.pid())? - used;
    daemon.detach(&watched.agent)?;
    let (sample, _) = difference(&before, &after, "cpu_sample")?;
    let seen = seen(daemon, &watched.agent, "cpu")?.since(&watched.seen);
    if seen.stacks == 0 {
        bail!("{what} was not sampled");
    }
    let ns = sample.as_nanos() as f64;
    let per_sample = ns / seen.stacks as f64;
    figures.push(&format!("{what}, ns per sample"), per_sample);
    figures.push(&format!("{what}, ns per frame"), ns / seen.frames as f64);
    figures.push(&format!("{what}, frames per sample"), seen.frames as f64 / seen.stacks as f64);
    // Not by the clock: another program may have had the core for a part of it.
    figures.push(&format!("{what}, sampling at 97 Hz, % of a core"), HZ * per_sample / 1e7);
    figures.push(&format!("{what}, the daemon, % of a core"), 100.0 * used / seconds);
    let (switch, runs) = difference(&before, &after, "sched_switch")?;
    Ok(switch / runs.max(1))
}

/// Blocks so rare that each is walked. What the program takes for the rest of the machine's switches is not theirs.
fn walked_switches(figures: &mut Figures, daemon: &Daemon, load: &Load, untracked: Duration) -> Result<()> {
    let mut watched = Watched::start(daemon, load, &["off_cpu"])?;
    let blocks = switches(watched.load.pid())?;
    let before = kernel_programs::of(daemon.pid())?;
    watched.load.work_once()?;
    let after = kernel_programs::of(daemon.pid())?;
    let blocks = switches(watched.load.pid())? - blocks;
    daemon.detach(&watched.agent)?;
    let (time, runs) = difference(&before, &after, "sched_switch")?;
    let others = untracked.as_secs_f64() * (f64::from(runs) - 2.0 * blocks as f64);
    figures.push("untracked switch, µs", untracked.as_secs_f64() * 1e6);
    figures.push("tracked block and resume, walked, µs", (time.as_secs_f64() - others) * 1e6 / blocks as f64);
    Ok(())
}

/// Blocks so many that the budget leaves nearly all unwalked; nearly every switch on the machine is theirs.
fn fast_switches(figures: &mut Figures, daemon: &Daemon, load: &Load) -> Result<()> {
    let mut watched = Watched::start(daemon, load, &["off_cpu"])?;
    let before = kernel_programs::of(daemon.pid())?;
    let begin = Instant::now();
    while begin.elapsed().as_secs_f64() < SECONDS / 2.0 {
        watched.load.work_once()?;
    }
    let after = kernel_programs::of(daemon.pid())?;
    daemon.detach(&watched.agent)?;
    let (time, runs) = difference(&before, &after, "sched_switch")?;
    figures.push("tracked switch, budget spent, µs", time.as_secs_f64() * 1e6 / f64::from(runs.max(1)));
    Ok(())
}

/// How long and how often a program ran in between.
fn difference(before: &[Program], after: &[Program], name: &str) -> Result<(Duration, u32)> {
    let find = |programs: &[Program]| programs.iter().find(|program| program.name == name).cloned();
    let (before, after) = find(before).zip(find(after)).with_context(|| format!("no program {name}"))?;
    Ok((after.ran.saturating_sub(before.ran), u32::try_from(after.runs.saturating_sub(before.runs))?))
}

/// Stacks of a profile, and the user frames on them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Seen {
    stacks: u64,
    frames: u64,
}

impl Seen {
    fn since(self, earlier: &Self) -> Self {
        Self {
            stacks: self.stacks.saturating_sub(earlier.stacks),
            frames: self.frames.saturating_sub(earlier.frames),
        }
    }
}

/// All that an agent's profile holds.
fn seen(daemon: &Daemon, agent: &str, kind: &str) -> Result<Seen> {
    let text = daemon.get(&format!("agents/{agent}/profile?type={kind}&format=json"))?;
    Ok(count(&serde_json::from_str(&text)?))
}

fn count(profile: &Value) -> Seen {
    let mut seen = Seen { stacks: 0, frames: 0 };
    for row in profile.get("stacks").and_then(Value::as_array).into_iter().flatten() {
        let count = row.get("count").and_then(Value::as_u64).unwrap_or(0);
        let frames = row.pointer("/stack/frames").and_then(Value::as_array).into_iter().flatten();
        let user = frames.filter(|frame| frame.get("kind").is_some_and(|kind| kind != "kernel")).count();
        seen.stacks += count;
        seen.frames += count * user as u64;
    }
    seen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn user_frames_are_counted_by_weight() {
        let frames = json!([{"kind": "kernel"}, {"kind": "native"}, {"kind": "python"}]);
        let profile = json!({"stacks": [
            {"count": 3, "stack": {"frames": frames}},
            {"count": 2, "stack": {"frames": [{"kind": "native"}]}},
        ]});
        assert_eq!(count(&profile), Seen { stacks: 5, frames: 8 });
        assert_eq!(count(&json!({})), Seen { stacks: 0, frames: 0 });
        assert_eq!(count(&profile).since(&Seen { stacks: 4, frames: 2 }), Seen { stacks: 1, frames: 6 });
    }

    #[test]
    fn each_program_that_the_verifier_works_on_has_its_claim() {
        let program = |name: &str, loaded, verified| Program {
            name: name.to_owned(),
            loaded: Duration::from_millis(loaded),
            ran: Duration::ZERO,
            runs: 0,
            verified,
        };
        let mut figures = Figures::default();
        loading(
            &mut figures,
            &[
                program("process_fork", 100, 189),
                program("sched_switch", 110, 36_715),
                program("last", 190, 11_000),
            ],
        );
        let claims = claims(&figures.0);
        let verdict =
            |part: &str| claims.iter().find(|claim| claim.text.contains(part)).and_then(|c| c.holds);
        assert_eq!(verdict("loading the"), Some(true));
        assert_eq!(verdict("sched_switch"), Some(false));
        assert_eq!(verdict("verified, last"), Some(true));
        assert!(!claims.iter().any(|claim| claim.text.contains("process_fork")));
    }
}
