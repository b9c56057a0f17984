//! What has been counted of signals, and of what the kernel killed because memory ran out.

use super::{agent_totals::AgentTotals, families::Family, series::Series};
use crate::model::{
    id::AgentId,
    operation::{OOM_KILL, SIGNAL, Source},
    record::Arrived,
    signal_names::{signal_name, signal_number},
};

/// Signals of an agent by number, and kills.
#[derive(Clone, Debug, Default)]
pub(super) struct SignalTotals {
    by_number: [u64; 32],
    oom_kills: u64,
}

/// How many of one kind and name.
#[derive(Clone, Copy)]
pub(super) struct Counted<'a> {
    kind: &'a str,
    name: &'a str,
    count: u64,
}

impl SignalTotals {
    pub(super) fn add(&mut self, Counted { kind, name, count }: Counted<'_>) {
        let number = || signal_number(name).map(usize::from);
        let sum = match kind {
            OOM_KILL => Some(&mut self.oom_kills),
            _ => number().and_then(|number| self.by_number.get_mut(number)),
        };
        if let Some(sum) = sum {
            *sum = sum.saturating_add(count);
        }
    }
}

/// The signals and kills among what arrived.
pub(super) fn arrived(arrived: &Arrived) -> impl Iterator<Item = (&AgentId, Counted<'_>)> {
    let is_one = |source, kind: &str| source == Source::Kernel && (kind == SIGNAL || kind == OOM_KILL);
    let single = arrived.operations.iter().filter(move |o| is_one(o.source, &o.kind));
    let single =
        single.filter_map(|o| Some((o.agent.as_ref()?, Counted { kind: &o.kind, name: &o.name, count: 1 })));
    let rows = arrived.sums.iter().flat_map(|sums| &sums.rows);
    let added_up = rows.filter(move |(key, _)| is_one(key.source, &key.kind)).filter_map(|(key, sum)| {
        Some((key.agent.as_ref()?, Counted { kind: &key.kind, name: &key.name, count: sum.count }))
    });
    single.chain(added_up)
}

/// The series of one agent's signals; `with` adds labels to the agent's.
pub(super) fn of(
    family: Family,
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
) -> Vec<Series> {
    let totals = &totals.signals;
    match family {
        Family::AgentSignals => {
            let some = (0u8..).zip(totals.by_number).filter(|(_, count)| *count > 0);
            some.filter_map(|(number, count)| Some((with(&[signal_name(number)?.to_owned()]), count as f64)))
                .collect()
        }
        // Also before the first, so that the first is an increase.
        Family::AgentOomKills => vec![(with(&[]), totals.oom_kills as f64)],
        _ => Vec::new(),
    }
}
