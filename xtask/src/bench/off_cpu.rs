//! What a switch costs: a byte sent back and forth between two threads on one CPU, untraced, with agentperf's
//! off-CPU accounting (both stacks, causes, wakers), with offcputime and with bpftrace.

use anyhow::Result;

use super::{
    Bench, Setting, claim, contest,
    load::Load,
    peer,
    report::Report,
    watch::{
        Watch::{Agentperf, Nobody, Peer},
        Whom, contender,
    },
};

pub(super) const BENCH: Bench = Bench {
    name: "off_cpu",
    about: "ns per pipe round trip (two switches), untraced, traced and bystander; peers offcputime, bpftrace",
    run,
};

/// Some tenths of a second untraced.
const TIMES: u64 = 100_000;

const TRACED: &str = "agentperf";
const OFFCPUTIME: &str = "offcputime";

fn run(setting: &Setting) -> Result<Report> {
    let load = Load::build("ping_pong", TIMES)?;
    let contenders = [
        ("untraced", Nobody),
        (TRACED, Agentperf(Whom::Load, &["off_cpu"])),
        (OFFCPUTIME, Peer(Whom::Load, peer::offcputime)),
        ("bpftrace", Peer(Whom::Load, peer::bpftrace_off_cpu)),
        ("agentperf, bystander", Agentperf(Whom::Neighbour, &["off_cpu"])),
        ("offcputime, bystander", Peer(Whom::Neighbour, peer::offcputime)),
    ];
    let contenders = contenders.map(|(name, watch)| contender(name, watch, &load, &setting.agentperf));
    let series = contest::hold(contenders.into(), setting.rounds)?;
    let claims = vec![claim::at_most(&series, TRACED, OFFCPUTIME)];
    Ok(Report { name: BENCH.name, measure: "ns per round trip", series, has_baseline: true, claims })
}
