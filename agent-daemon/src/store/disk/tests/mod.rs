//! The store on disk as a whole: against the store in memory, through crashes, while it seals, as it forgets, and
//! without room.

mod crash;
mod full;
mod golden;
mod host;
mod killed;
mod memory;
mod operations;
mod reading;
mod retention;

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use super::{Disk, Options, verify};
use crate::{
    model::time::TimeRange,
    store::{
        ProcessCounts, Store,
        fixture::{answers, at, sums},
        query::{AgentAmounts, Buckets, DashboardFold},
        summary::Function,
    },
    telemetry::Telemetry,
};

/// Seals at every other housekeeping.
const QUICK: Options = Options {
    keep: Duration::from_secs(7 * 86_400),
    max_bytes: 2 << 30,
    raw: Duration::from_secs(86_400),
    minutes: Duration::from_secs(3 * 86_400),
    seal_after: Duration::ZERO,
    max_agents: 100,
    max_processes: 1_000,
};

fn open(folder: &Path, options: Options) -> (Disk, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::default());
    (Disk::open(folder, options, telemetry.clone()).unwrap(), telemetry)
}

/// What the summaries of all agents say: totals of each, and their processes. As integers, since they are added up in
/// another order in each store.
fn overview(store: &dyn Store, range: TimeRange) -> String {
    let mut fold = DashboardFold::new(Buckets { range: at_all(), seconds: 1 << 20 });
    store.summarize(at_all(), &mut |agent, summary| fold.add(agent, summary)).unwrap();
    let all = fold.finish(100);
    let round = |ns: f64| ns.round() as u64;
    let total = |a: &AgentAmounts| {
        let causes: Vec<_> = a
            .causes
            .iter()
            .map(|(c, w)| (*c, round(w.blocked_ns), round(w.run_queue_ns), round(w.count)))
            .collect();
        (
            round(a.total.cpu_ns),
            round(a.total.blocked_ns),
            round(a.total.run_queue_ns),
            round(a.total.syscalls),
            causes,
        )
    };
    let agents: Vec<_> = all.agents.iter().map(|(id, a)| (id.clone(), total(a))).collect();
    let functions = |rows: &[(Function, f64)]| {
        rows.iter().map(|(f, ns)| (f.name().to_owned(), round(*ns))).collect::<BTreeSet<_>>()
    };
    let functions = (functions(&all.cpu), functions(&all.off_cpu));
    let processes: BTreeSet<_> = all.processes.iter().map(|(id, ns)| (id.clone(), round(*ns))).collect();
    let calls: BTreeSet<_> = all.calls.iter().map(|(n, c)| (*n, round(c.count), round(c.errors))).collect();
    let mut counts = store.count_processes(range).unwrap();
    counts.retain(|(_, counts)| *counts != ProcessCounts::default());
    counts.sort_by(|a, b| a.0.cmp(&b.0));
    format!("{agents:#?}\n{functions:#?}\n{processes:#?}\n{calls:?}\n{counts:?}")
}

/// More than any test writes.
fn at_all() -> TimeRange {
    TimeRange { from: at(-7200), to: at(1 << 20) }
}

/// Closes the store, and sees that it is whole.
fn close(store: Disk) {
    let folder = store.folder.clone();
    drop(store);
    let verified = verify(&folder).unwrap();
    assert!(verified.is_whole(), "{verified:?}");
}
