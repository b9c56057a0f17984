//! What has been counted of operations since the daemon started: those that applications told of, and of those that the kernel
//! told, checkpoints and what the operator defined, under no project. Projects and definitions are configured, and the doors
//! bound the kinds of each, so there are no more series than that. Tool calls are counted by agent and name (`tools`), calls of
//! models too (`llm`).

use std::{collections::BTreeMap, sync::Arc};

use super::series::Series;
use crate::model::{
    operation::{OOM_KILL, Operation, SERVER, SIGNAL, Source, Sum, SumKey, TOOL},
    record::Arrived,
};

/// Totals by project and kind.
#[derive(Clone, Debug, Default)]
pub(super) struct OperationTotals(BTreeMap<(Arc<str>, String), Totals>);

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    successes: u64,
    errors: u64,
    ns: u64,
}

impl OperationTotals {
    /// Adds operations. Those that senders added up themselves stand apart: the same may have come as spans.
    pub(super) fn add(&mut self, arrived: &Arrived) {
        for operation in arrived.operations.iter().filter(|operation| is_counted(operation)) {
            let mut sum = Sum::default();
            sum.add(operation);
            self.add_sum(&SumKey::of(operation), &sum);
        }
    }

    fn add_sum(&mut self, key: &SumKey, sum: &Sum) {
        let totals = self.0.entry((Arc::clone(&key.project), key.kind.clone())).or_default();
        totals.errors += sum.errors;
        totals.successes += sum.count.saturating_sub(sum.errors);
        totals.ns = totals.ns.saturating_add(sum.total_ns);
    }

    /// How many, by outcome.
    pub(super) fn counts(&self) -> Vec<Series> {
        let outcomes = |t: &Totals| [("success", t.successes), ("error", t.errors)];
        let one = |((project, kind), totals): (&(Arc<str>, String), &Totals)| {
            let labels = [project.to_string(), kind.clone()];
            outcomes(totals).map(|(outcome, n)| ([&labels[..], &[outcome.to_owned()]].concat(), n as f64))
        };
        self.0.iter().flat_map(one).collect()
    }

    /// How long all took together, s.
    pub(super) fn seconds(&self) -> Vec<Series> {
        let one = |((project, kind), totals): (&(Arc<str>, String), &Totals)| {
            (vec![project.to_string(), kind.clone()], totals.ns as f64 / 1e9)
        };
        self.0.iter().map(one).collect()
    }
}

fn is_counted(operation: &Operation) -> bool {
    // These have metrics of their own.
    let apart = [TOOL, SERVER, SIGNAL, OOM_KILL].contains(&operation.kind.as_str());
    let is_noted = operation.source == Source::Kernel && !apart;
    operation.source.is_told() || is_noted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{at, operation_at};

    #[test]
    fn operations_are_counted_by_outcome() {
        let mut totals = OperationTotals::default();
        let operations = (1..=20).map(|n| operation_at(at(0), n)).collect();
        totals.add(&Arrived { operations, sums: Vec::new(), place: None });
        let labels = |outcome: &str| ["shop", "http_server", outcome].map(str::to_owned).to_vec();
        assert_eq!(totals.counts(), [(labels("success"), 18.0), (labels("error"), 2.0)]);
        assert_eq!(totals.seconds()[0].1, 0.21);
    }
}
