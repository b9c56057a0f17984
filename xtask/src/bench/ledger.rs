//! What the ledger costs a switch: a byte sent back and forth between two threads on one CPU, with off-CPU accounting
//! alone, with the ledger beside it, and with the ledger alone.

use anyhow::Result;

use super::{
    Bench, Setting, contest,
    load::Load,
    report::Report,
    watch::{
        Watch::{Agentperf, Nobody},
        Whom, contender,
    },
};

pub(super) const BENCH: Bench = Bench {
    name: "ledger",
    about: "ns per pipe round trip (two switches), untraced, with the ledger on and off, and bystander",
    run,
};

/// Some tenths of a second untraced.
const TIMES: u64 = 100_000;

fn run(setting: &Setting) -> Result<Report> {
    let load = Load::build("ping_pong", TIMES)?;
    let contenders = [
        ("untraced", Nobody),
        ("off_cpu", Agentperf(Whom::Load, &["off_cpu"])),
        ("off_cpu and ledger", Agentperf(Whom::Load, &["off_cpu", "ledger"])),
        ("ledger", Agentperf(Whom::Load, &["ledger"])),
        ("off_cpu, bystander", Agentperf(Whom::Neighbour, &["off_cpu"])),
        ("off_cpu and ledger, bystander", Agentperf(Whom::Neighbour, &["off_cpu", "ledger"])),
    ];
    let contenders = contenders.map(|(name, watch)| contender(name, watch, &load, &setting.agentperf));
    let series = contest::hold(contenders.into(), setting.rounds)?;
    Ok(Report {
        name: BENCH.name,
        measure: "ns per round trip",
        series,
        has_baseline: true,
        claims: Vec::new(),
    })
}
