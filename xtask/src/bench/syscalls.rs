//! What a system call costs: untraced, counted by agentperf with latency histogram and errors, by
//! `syscount -L` and by bpftrace; and what it costs a process that nobody asked about.

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
    name: "syscalls",
    about: "ns per getppid, untraced, traced and bystander; peers syscount, bpftrace",
    run,
};

/// Some tenths of a second untraced.
const TIMES: u64 = 2_000_000;

const AGAIN: &str = "untraced, again";
const TRACED: &str = "agentperf";
const SYSCOUNT: &str = "syscount -L";
const UNASKED: &str = "agentperf, agent without syscalls";
const UNASKED_BYSTANDER: &str = "agentperf, bystander, no agent with syscalls";

fn run(setting: &Setting) -> Result<Report> {
    let load = Load::build("getppid", TIMES)?;
    let contenders = [
        ("untraced", Nobody),
        (AGAIN, Nobody),
        (TRACED, Agentperf(Whom::Load, &["syscalls"])),
        (SYSCOUNT, Peer(Whom::Load, peer::syscount)),
        ("bpftrace, histogram", Peer(Whom::Load, peer::bpftrace_syscalls)),
        ("agentperf, bystander", Agentperf(Whom::Neighbour, &["syscalls"])),
        ("agentperf, files", Agentperf(Whom::Load, &["files"])),
        ("agentperf, files, bystander", Agentperf(Whom::Neighbour, &["files"])),
        ("syscount -L, bystander", Peer(Whom::Neighbour, peer::syscount)),
        (UNASKED, Agentperf(Whom::Load, &["cpu", "off_cpu"])),
        (UNASKED_BYSTANDER, Agentperf(Whom::Neighbour, &["cpu", "off_cpu"])),
    ];
    let contenders = contenders.map(|(name, watch)| contender(name, watch, &load, &setting.agentperf));
    let series = contest::hold(contenders.into(), setting.rounds)?;
    let claims = vec![
        claim::at_most(&series, TRACED, SYSCOUNT),
        claim::nothing_measurable(&series, UNASKED, AGAIN),
        claim::nothing_measurable(&series, UNASKED_BYSTANDER, AGAIN),
    ];
    Ok(Report { name: BENCH.name, measure: "ns per getppid", series, has_baseline: true, claims })
}
