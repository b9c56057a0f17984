//! What has been counted of the tool calls of agents, by name. Names are bounded by the room for series.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    agent_totals::AgentTotals,
    families::Family,
    series::{OTHER, Series, seconds},
};
use crate::model::{
    operation::{Bill, Operation, Source, Sum, SumKey, TOOL, TOOL_REPEATS},
    record::Arrived,
};

/// Tool calls of one name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ToolTotals {
    pub(super) calls: u64,
    pub(super) failures: u64,
    pub(super) repeats: u64,
    pub(super) ns: u64,
    pub(super) bill: Bill,
}

impl ToolTotals {
    /// Adds calls.
    pub(super) fn add(&mut self, sum: &Sum, repeats: u64) {
        self.repeats = self.repeats.saturating_add(repeats);
        self.calls = self.calls.saturating_add(sum.count);
        self.failures = self.failures.saturating_add(sum.errors);
        self.ns = self.ns.saturating_add(sum.total_ns);
        self.bill.merge(&sum.bill);
    }
}

/// The tool calls among what arrived, added up by agent and name, and how many of each did what one before had done. Servers
/// are none: they serve many calls. Of calls that come added up, no repeats are known.
pub(super) fn tool_calls(arrived: &Arrived) -> BTreeMap<SumKey, (Sum, u64)> {
    let is_tool = |source, kind: &str| source == Source::Kernel && kind == TOOL;
    let repeats = |operation: &Operation| operation.label(TOOL_REPEATS).is_some();
    let mut calls = BTreeMap::<SumKey, (Sum, u64)>::new();
    for operation in arrived.operations.iter().filter(|o| is_tool(o.source, &o.kind)) {
        let (sum, repeated) = calls.entry(SumKey::of(operation)).or_default();
        sum.add(operation);
        *repeated += u64::from(repeats(operation));
    }
    let rows = arrived.sums.iter().flat_map(|sums| &sums.rows);
    for (key, sum) in rows.filter(|(key, _)| is_tool(key.source, &key.kind)) {
        calls.entry(key.clone()).or_default().0.merge(sum);
    }
    calls
}

/// The series of one agent's tool calls; `with` adds labels to the agent's.
pub(super) fn of(
    family: Family,
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
) -> Vec<Series> {
    let by_name = |value: fn(&ToolTotals) -> f64, direction: &[&str]| {
        let of_name = |(name, total): (Option<Arc<str>>, &ToolTotals)| {
            let name = name.map_or_else(|| OTHER.to_owned(), |name| name.to_string());
            let more: Vec<String> =
                [name].into_iter().chain(direction.iter().map(|d| (*d).to_owned())).collect();
            (with(&more), value(total))
        };
        totals.tools.iter().map(of_name).collect::<Vec<Series>>()
    };
    match family {
        Family::AgentToolCalls => by_name(|tool| tool.calls as f64, &[]),
        Family::AgentToolFailures => by_name(|tool| tool.failures as f64, &[]),
        Family::AgentToolRepeats => by_name(|tool| tool.repeats as f64, &[]),
        Family::AgentToolSeconds => by_name(|tool| seconds(tool.ns), &[]),
        Family::AgentToolCpuSeconds => by_name(|tool| seconds(tool.bill.cpu_ns()), &[]),
        Family::AgentToolBytes => [
            by_name(|tool| tool.bill.read_bytes as f64, &["read"]),
            by_name(|tool| tool.bill.written_bytes as f64, &["written"]),
        ]
        .concat(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        export::prometheus::operations::OperationTotals,
        model::operation::{Operation, SERVER, Sums},
        store::fixture::{at, tool_call_at},
    };

    #[test]
    fn tool_calls_are_no_operations_of_applications() {
        let mut operations: Vec<_> = (1..=20).map(|n| tool_call_at(at(0), n)).collect();
        let again = operations.iter_mut().find(|call| call.name == "cargo test");
        again.unwrap().labels.push((TOOL_REPEATS.to_owned(), "3".to_owned()));
        let mut sums = Sums::new(at(0), at(60));
        sums.add(&tool_call_at(at(0), 2));
        let server = Operation { kind: SERVER.to_owned(), ..tool_call_at(at(0), 4) };
        sums.add(&server);
        let arrived = Arrived { operations, sums: vec![sums], place: None };
        let mut totals = OperationTotals::default();
        totals.add(&arrived);
        assert!(totals.counts().is_empty());
        let calls = tool_calls(&arrived).into_iter();
        let calls: Vec<_> =
            calls.map(|(key, (sum, repeats))| (key.name, sum.count, sum.errors, repeats)).collect();
        assert_eq!(calls, [("cargo build".to_owned(), 10, 0, 0), ("cargo test".to_owned(), 11, 2, 1)]);
    }
}
