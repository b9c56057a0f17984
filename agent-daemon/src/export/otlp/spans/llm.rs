//! What was read of a call of a language model, as attributes of its span: in OpenTelemetry's words (`gen_ai.*`) where it has
//! any. No prompt, no completion.

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::wire;
use crate::model::{operation::Llm, wire::Reason};

pub(super) fn attributes(llm: &Llm) -> Vec<KeyValue> {
    let partial = llm.partial.reasons().map(Reason::name).collect::<Vec<_>>().join(" ");
    let tools = llm.tools.join(" ");
    let some = |text: &'static str, is: bool| is.then_some(text);
    let texts = [
        ("gen_ai.provider.name", Some(llm.provider.as_str())),
        ("gen_ai.operation.name", Some(llm.asked.name())),
        ("gen_ai.response.model", llm.response_model.as_deref()),
        ("server.address", llm.server.as_deref()),
        ("agentperf.llm.evidence", Some(llm.evidence.name())),
        ("agentperf.llm.usage", Some(llm.usage.name())),
        ("agentperf.llm.role", some("server", llm.serves).or(Some("client"))),
        ("agentperf.llm.tools", Some(tools.as_str()).filter(|tools| !tools.is_empty())),
        ("agentperf.partial", Some(partial.as_str()).filter(|partial| !partial.is_empty())),
    ];
    let numbers = [
        ("gen_ai.usage.input_tokens", llm.tokens.input),
        ("gen_ai.usage.output_tokens", llm.tokens.output),
        ("gen_ai.usage.cache_read.input_tokens", llm.tokens.cache_read),
        ("gen_ai.usage.cache_creation.input_tokens", llm.tokens.cache_write),
        ("gen_ai.usage.reasoning.output_tokens", llm.tokens.reasoning),
        ("agentperf.llm.connect_ns", llm.connect_ns),
        ("agentperf.llm.first_byte_ns", llm.first_byte_ns),
        ("agentperf.llm.cost_picodollars", llm.cost.map(|cost| cost.0)),
        ("agentperf.llm.chunks", Some(llm.chunks).filter(|_| llm.stream)),
        ("agentperf.llm.retries", Some(u64::from(llm.retries)).filter(|retries| *retries > 0)),
    ];
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let texts = texts.iter().filter_map(|(key, value)| value.map(|value| wire::text(key, value)));
    let finish = llm.finish_reason.as_slice();
    let first_chunk = llm.first_content_ns.filter(|_| llm.stream);
    let others = [
        (!finish.is_empty()).then(|| wire::texts("gen_ai.response.finish_reasons", finish)),
        Some(wire::truth("gen_ai.request.stream", llm.stream)),
        first_chunk.map(|ns| wire::real("gen_ai.response.time_to_first_chunk", ns as f64 / 1e9)),
    ];
    texts
        .chain(others.into_iter().flatten())
        .chain(numbers.iter().filter_map(|(key, value)| Some(wire::number(key, number((*value)?)))))
        .collect()
}
