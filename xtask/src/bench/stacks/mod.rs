//! Whose stacks can be believed, and what they cost: the same programs profiled at 97 Hz for the same seconds by
//! agentperf, by perf with copies of the stack, by py-spy and by bpftrace.
//!
//! Each contender is judged by its own text output. A tool's start, symbols and output are told apart from what
//! it takes while it records. agentperf's output is folded text, as py-spy's is; perf's is its file of samples.

mod parse;
mod tool;
mod truth;

use std::time::Instant;

use anyhow::Result;

use self::{tool::Tool, truth::Truth};
use super::{
    Bench, Setting,
    claim::{self, Claim},
    contest::{self, Contender, Series},
    load::Load,
    proc_stat::{children_cpu_seconds, cpu_seconds},
    report::Report,
};

pub(super) const BENCH: Bench = Bench {
    name: "stacks",
    about: "complete stacks, their cost and size, busy Python and C; peers perf, py-spy, bpftrace",
    run,
};

/// How long each contender records.
const SECONDS: f64 = 8.0;
/// A round takes three minutes.
const MOST_ROUNDS: u32 = 3;

/// What one contender did in one round.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// One time of the load's work.
    ns: f64,
    /// Nothing of a load that nobody records.
    recorded: Option<Recorded>,
}

#[derive(Clone, Copy, Debug)]
struct Recorded {
    samples: f64,
    /// Samples whose outermost frames are where programs start, %.
    start: f64,
    /// Samples with every known function in order, %.
    whole: f64,
    /// The tool's CPU while it records, % of a core.
    recording: f64,
    /// The tool's CPU before and after: loading, symbols, output, seconds.
    around: f64,
    bytes: f64,
}

/// A figure of a contender, drawn from its outcomes.
type Figure = (&'static str, fn(&Recorded) -> f64);

const WHOLE: &str = "known names in order, %";
const SLOWER: &str = "the program is slower by %";
const FIGURES: [Figure; 6] = [
    (WHOLE, |recorded| recorded.whole),
    ("outermost is the start, %", |recorded| recorded.start),
    ("samples per second", |recorded| recorded.samples / SECONDS),
    ("bytes per sample", |recorded| recorded.bytes / recorded.samples.max(1.0)),
    ("tool's CPU while recording, %", |recorded| recorded.recording),
    ("tool's CPU before and after, s", |recorded| recorded.around),
];

const OURS: &str = "agentperf";
const PERF: &str = "perf, dwarf";
/// The load by itself a second time: how much it varies.
const AGAIN: &str = "nobody, again";
/// A run whose load by itself varies by more cannot tell what tools cost it, %.
const NOISE: f64 = 3.0;

fn run(setting: &Setting) -> Result<Report> {
    let tools: [(&str, Tool); 5] = [
        (OURS, Tool::Agentperf(&setting.agentperf)),
        (PERF, Tool::Perf("dwarf")),
        ("perf, dwarf,65528", Tool::Perf("dwarf,65528")),
        ("bpftrace ustack", Tool::Bpftrace),
        ("py-spy --native", Tool::PySpy),
    ];
    let python = Load::python("busy", 1000).lasting(SECONDS)?;
    let deep = Load::build_without_frame_pointers("deep", "spin", 100)?.lasting(SECONDS)?;
    // Installing it is no cost of its; if it cannot be had, that is told when its turn comes.
    let _ = tool::py_spy();
    let (mut series, rounds) = (Vec::new(), setting.rounds.min(MOST_ROUNDS));
    eprintln!("  Python");
    series.extend(hold("Python", &python, &Truth::busy_python(), &tools, rounds)?);
    eprintln!("  C");
    series.extend(hold("C", &deep, &Truth::deep_chain(), tools.get(..4).unwrap_or(&tools), rounds)?);
    let claims = ["Python", "C"].iter().flat_map(|what| claims(&series, what)).collect();
    let measure = "stacks at 97 Hz";
    Ok(Report { name: BENCH.name, measure, series, has_baseline: false, claims })
}

fn claims(series: &[Series], what: &str) -> [Claim; 2] {
    let name = |figure: &str, tool: &str| format!("{what}, {figure}: {tool}");
    [
        claim::at_least(series, &name(WHOLE, OURS), 99.0, "%"),
        claim::at_most_but_noise(
            series,
            &name(SLOWER, OURS),
            &name(SLOWER, PERF),
            &name(SLOWER, AGAIN),
            NOISE,
        ),
    ]
}

/// All rounds of one load, as series by figure and contender.
fn hold(what: &str, load: &Load, truth: &Truth, tools: &[(&str, Tool)], rounds: u32) -> Result<Vec<Series>> {
    let nobody =
        |name: &str| Contender::<Outcome> { name: name.to_owned(), sample: Box::new(|| unwatched(load)) };
    let mut contenders = vec![nobody("nobody"), nobody(AGAIN)];
    contenders.extend(tools.iter().map(|(name, tool)| Contender {
        name: (*name).to_owned(),
        sample: Box::new(|| watched(load, truth, tool)),
    }));
    Ok(split(what, &contest::hold(contenders, rounds)?))
}

fn split(what: &str, outcomes: &[Series<Outcome>]) -> Vec<Series> {
    let Some((base, tools)) = outcomes.split_first() else { return Vec::new() };
    let named = |figure: &str, tool: &Series<Outcome>, samples| Series {
        name: format!("{what}, {figure}: {}", tool.name),
        samples,
        dropped: tool.dropped.clone(),
    };
    let figures = FIGURES.iter().flat_map(|(figure, value)| {
        tools.iter().filter(|tool| tool.name != AGAIN).map(move |tool| {
            let recorded = tool.samples.iter().filter_map(|outcome| outcome.recorded.as_ref());
            named(figure, tool, recorded.map(value).collect())
        })
    });
    let slower = tools.iter().map(|tool| {
        let pairs = tool.samples.iter().zip(&base.samples);
        named(SLOWER, tool, pairs.map(|(ours, base)| 100.0 * (ours.ns / base.ns - 1.0)).collect())
    });
    figures.chain(slower).collect()
}

fn unwatched(load: &Load) -> Result<Outcome> {
    Ok(Outcome { ns: load.start()?.sample()?, recorded: None })
}

fn watched(load: &Load, truth: &Truth, tool: &Tool) -> Result<Outcome> {
    let mut load = load.start()?;
    let children = children_cpu_seconds();
    let recording = tool.start(load.pid())?;
    let (begin, before) = (Instant::now(), cpu_seconds(recording.pid())?);
    let ns = load.sample()?;
    let (seconds, during) = (begin.elapsed().as_secs_f64(), cpu_seconds(recording.pid())? - before);
    let output = recording.finish()?;
    // The load is still a child that runs, so it is not in this.
    let all = children_cpu_seconds() - children;
    let judged = truth.judge(&output.stacks);
    let share = |part: u64| 100.0 * part as f64 / judged.samples as f64;
    Ok(Outcome {
        ns,
        recorded: Some(Recorded {
            // The warm-up is recorded, too.
            samples: judged.samples as f64 * SECONDS / seconds,
            start: share(judged.start),
            whole: share(judged.whole),
            recording: 100.0 * during / seconds,
            around: all - during,
            bytes: output.bytes as f64 * SECONDS / seconds,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_of_each_contender_is_a_series() {
        let recorded =
            Recorded { samples: 80.0, start: 50.0, whole: 40.0, recording: 2.0, around: 1.0, bytes: 800.0 };
        let series = |name: &str, ns, recorded| Series {
            name: name.to_owned(),
            samples: vec![Outcome { ns, recorded }],
            dropped: None,
        };
        let gone = Series { name: "gone".to_owned(), samples: Vec::new(), dropped: Some("why".to_owned()) };
        let all =
            split("C", &[series("nobody", 100.0, None), series("agentperf", 101.0, Some(recorded)), gone]);
        let find = |name: &str| all.iter().find(|series| series.name == name).unwrap();
        assert_eq!(find("C, bytes per sample: agentperf").samples, [10.0]);
        assert_eq!(find("C, samples per second: agentperf").samples, [10.0]);
        assert!((find("C, the program is slower by %: agentperf").samples[0] - 1.0).abs() < 1e-9);
        assert_eq!(find("C, bytes per sample: gone").dropped.as_deref(), Some("why"));
        assert_eq!(claims(&all, "C")[0].holds, Some(false));
        assert_eq!(claims(&all, "C")[1].holds, None);
    }
}
