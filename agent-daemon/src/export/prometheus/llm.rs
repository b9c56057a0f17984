//! What has been counted of calls of models that were read off the wire, by model and provider. Models are bounded by the
//! room for series.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    agent_totals::AgentTotals,
    families::Family,
    series::{OTHER, Series, seconds},
};
use crate::model::{
    operation::{LLM, LlmSum, Source, Sum, SumKey},
    record::Arrived,
};

/// Calls of one model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LlmTotals {
    calls: u64,
    failures: u64,
    ns: u64,
    used: LlmSum,
}

impl LlmTotals {
    /// Adds calls.
    pub(super) fn add(&mut self, sum: &Sum) {
        self.calls = self.calls.saturating_add(sum.count);
        self.failures = self.failures.saturating_add(sum.errors);
        self.ns = self.ns.saturating_add(sum.total_ns);
        self.used.merge(&sum.llm);
    }
}

/// The calls of models among what arrived, added up by agent, name and model.
pub(super) fn llm_calls(arrived: &Arrived) -> BTreeMap<SumKey, Sum> {
    let is_call = |source, kind: &str| source == Source::Wire && kind == LLM;
    let mut calls = BTreeMap::<SumKey, Sum>::new();
    for operation in arrived.operations.iter().filter(|o| is_call(o.source, &o.kind)) {
        let sum = calls.entry(SumKey::of(operation)).or_default();
        sum.add(operation);
        // Whoever gives up an answer that comes has not been failed by the model.
        if matches!(operation.error_type.as_deref(), Some("cancelled" | "cut_off")) {
            sum.errors = sum.errors.saturating_sub(1);
        }
    }
    let rows = arrived.sums.iter().flat_map(|sums| &sums.rows);
    for (key, sum) in rows.filter(|(key, _)| is_call(key.source, &key.kind)) {
        calls.entry(key.clone()).or_default().merge(sum);
    }
    calls
}

/// The model that such calls are counted under.
pub(super) fn model_of(key: &SumKey) -> Arc<str> {
    key.model.as_deref().unwrap_or(OTHER).into()
}

/// The series of one agent's calls of models; `with` adds labels to the agent's.
pub(super) fn of(
    family: Family,
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
) -> Vec<Series> {
    let by_model = |value: fn(&LlmTotals) -> f64, kind: &[&str]| {
        let of_model = |(model, total): (Option<Arc<str>>, &LlmTotals)| {
            let model = model.map_or_else(|| OTHER.to_owned(), |model| model.to_string());
            let more: Vec<String> = [model].into_iter().chain(kind.iter().map(|k| (*k).to_owned())).collect();
            (with(&more), value(total))
        };
        totals.llm.iter().map(of_model).collect::<Vec<Series>>()
    };
    match family {
        Family::AgentLlmCalls => by_model(|llm| llm.calls as f64, &[]),
        Family::AgentLlmFailures => by_model(|llm| llm.failures as f64, &[]),
        Family::AgentLlmSeconds => by_model(|llm| seconds(llm.ns), &[]),
        Family::AgentLlmFirstTokenSeconds => by_model(|llm| seconds(llm.used.first_content_ns), &[]),
        Family::AgentLlmStreams => by_model(|llm| llm.used.streams as f64, &[]),
        Family::AgentLlmCost => by_model(|llm| llm.used.cost.usd(), &[]),
        Family::AgentLlmPartial => by_model(|llm| llm.used.partial as f64, &[]),
        Family::AgentLlmTokens => [
            by_model(|llm| llm.used.input as f64, &["input"]),
            by_model(|llm| llm.used.output as f64, &["output"]),
            by_model(|llm| llm.used.cache_read as f64, &["cache_read"]),
            by_model(|llm| llm.used.cache_write as f64, &["cache_write"]),
            by_model(|llm| llm.used.reasoning as f64, &["reasoning"]),
        ]
        .concat(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::operation::Sums,
        store::fixture::{at, llm_call_at, operation_at, tool_call_at},
    };

    #[test]
    fn calls_of_models_are_added_up_by_model() {
        let mut operations: Vec<_> = (1..=10).map(|n| llm_call_at(at(0), n)).collect();
        operations.extend([operation_at(at(0), 3), tool_call_at(at(0), 3)]);
        let mut sums = Sums::new(at(0), at(60));
        sums.add(&llm_call_at(at(0), 7));
        let calls = llm_calls(&Arrived { operations, sums: vec![sums], place: None });
        let [(key, sum)] = &calls.iter().collect::<Vec<_>>()[..] else { panic!("one model: {calls:?}") };
        assert_eq!((&*model_of(key), sum.count, sum.errors), ("gpt", 11, 1));
        let mut totals = LlmTotals::default();
        totals.add(sum);
        // What the fifth and the tenth used was not told.
        assert_eq!((totals.used.input, totals.used.counted), (55 - 15 + 7, 9));
    }
}
