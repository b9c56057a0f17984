//! What has been counted of calls of models that were read off the wire, by provider and model. Models are bounded by the
//! room for series.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    agent_totals::AgentTotals,
    families::Family,
    series::{OTHER, Series, seconds},
};
use crate::model::{
    id::AgentId,
    operation::{LLM, LlmSum, Operation, Source, Sum, provider_of},
    record::Arrived,
};

/// What calls of models are counted under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ModelKey {
    /// As `gen_ai.provider.name` has it.
    provider: Arc<str>,
    model: Arc<str>,
}

impl ModelKey {
    /// Of an operation, or a sum of some, with this name and model.
    fn new(name: &str, model: Option<&str>) -> Self {
        Self { provider: provider_of(name).into(), model: model.unwrap_or(OTHER).into() }
    }
}

/// Calls of one model.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LlmTotals {
    calls: u64,
    failures: u64,
    /// Of the failures: those that are the provider's doing.
    provider_failures: u64,
    /// Of the failures: those whose answer did not come to its end.
    unfinished: u64,
    ns: u64,
    used: LlmSum,
}

impl LlmTotals {
    /// What they used.
    pub(super) fn used(&self) -> &LlmSum {
        &self.used
    }

    fn add_one(&mut self, operation: &Operation) {
        let mut sum = Sum::default();
        sum.add(operation);
        self.unfinished += u64::from(is_unfinished(operation));
        self.provider_failures += u64::from(is_providers(operation));
        self.add_sum(&sum);
    }

    fn add_sum(&mut self, sum: &Sum) {
        self.merge(&Self {
            calls: sum.count,
            failures: sum.errors,
            provider_failures: 0,
            unfinished: 0,
            ns: sum.total_ns,
            used: sum.llm,
        });
    }

    /// Adds others.
    pub(super) fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.provider_failures = self.provider_failures.saturating_add(other.provider_failures);
        self.unfinished = self.unfinished.saturating_add(other.unfinished);
        self.ns = self.ns.saturating_add(other.ns);
        self.used.merge(&other.used);
    }
}

/// Whether a call's answer did not come to its end. Whoever gives one up ends the connection over HTTP/1.1, as does a
/// provider that breaks down: which of the two it was is not seen.
fn is_unfinished(call: &Operation) -> bool {
    matches!(call.error_type.as_deref(), Some("cancelled" | "cut_off"))
}

/// Whether a call failed by the provider's doing: too many requests, its own errors, and those that it tells of in the middle
/// of an answer that began well. The others are for what was asked, or by whom.
fn is_providers(call: &Operation) -> bool {
    let is_callers = |status: u16| status != 429 && (400..500).contains(&status);
    !call.success && !is_unfinished(call) && !call.status.is_some_and(is_callers)
}

/// The calls of models among what arrived.
pub(super) fn llm_calls(arrived: &Arrived) -> BTreeMap<(AgentId, ModelKey), LlmTotals> {
    let is_call = |source, kind: &str| source == Source::Wire && kind == LLM;
    let mut calls = BTreeMap::<_, LlmTotals>::new();
    for one in arrived.operations.iter().filter(|one| is_call(one.source, &one.kind)) {
        let Some(agent) = one.agent.clone() else { continue };
        let model = ModelKey::new(&one.name, one.model.as_deref());
        calls.entry((agent, model)).or_default().add_one(one);
    }
    let rows = arrived.sums.iter().flat_map(|sums| &sums.rows);
    for (key, sum) in rows.filter(|(key, _)| is_call(key.source, &key.kind)) {
        let Some(agent) = key.agent.clone() else { continue };
        let model = ModelKey::new(&key.name, key.model.as_deref());
        calls.entry((agent, model)).or_default().add_sum(sum);
    }
    calls
}

/// The series of one agent's calls of models; `with` adds labels to the agent's.
pub(super) fn of(
    family: Family,
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
) -> Vec<Series> {
    let by_model = |value: fn(&LlmTotals) -> f64, kind: &[&str]| {
        let of_model = |(key, total): (Option<ModelKey>, &LlmTotals)| {
            let labels = key.as_ref().map_or([OTHER; 2], |key| [&*key.provider, &*key.model]);
            let more: Vec<String> = labels.iter().chain(kind).map(|&label| label.to_owned()).collect();
            (with(&more), value(total))
        };
        totals.llm.iter().map(of_model).collect::<Vec<Series>>()
    };
    match family {
        Family::AgentLlmCalls => by_model(|llm| llm.calls as f64, &[]),
        Family::AgentLlmFailures => by_model(|llm| llm.failures as f64, &[]),
        Family::AgentLlmProviderFailures => by_model(|llm| llm.provider_failures as f64, &[]),
        Family::AgentLlmUnfinished => by_model(|llm| llm.unfinished as f64, &[]),
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
    fn calls_of_models_are_added_up_by_provider_and_model() {
        let mut operations: Vec<_> = (1..=10).map(|n| llm_call_at(at(0), n)).collect();
        operations.extend([operation_at(at(0), 3), tool_call_at(at(0), 3)]);
        let mut sums = Sums::new(at(0), at(60));
        sums.add(&llm_call_at(at(0), 7));
        let calls = llm_calls(&Arrived { operations, sums: vec![sums], place: None });
        let [((_, key), totals)] = &calls.iter().collect::<Vec<_>>()[..] else {
            panic!("one model: {calls:?}")
        };
        assert_eq!((&*key.provider, &*key.model), ("openai", "gpt"));
        assert_eq!((totals.calls, totals.failures), (11, 1));
        // What the fifth and the tenth used was not told.
        assert_eq!((totals.used.input, totals.used.counted), (55 - 15 + 7, 9));
    }

    #[test]
    fn what_the_caller_did_wrong_is_no_failure_of_the_provider() {
        let failed = |error: &str, status| Operation {
            success: false,
            error_type: Some(error.to_owned()),
            status,
            ..llm_call_at(at(0), 1)
        };
        let operations = vec![
            failed("rate_limit_error", Some(429)),
            failed("overloaded_error", Some(200)),
            failed("500", Some(500)),
            failed("invalid_api_key", Some(401)),
            failed("cancelled", Some(200)),
            failed("cut_off", None),
            failed("cut_off", Some(200)),
            llm_call_at(at(0), 1),
        ];
        let calls = llm_calls(&Arrived { operations, sums: Vec::new(), place: None });
        let totals = calls.values().next().unwrap();
        assert_eq!((totals.calls, totals.failures), (8, 7));
        assert_eq!((totals.provider_failures, totals.unfinished), (3, 3));
    }
}
