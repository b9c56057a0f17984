//! Compares what was derived with what the clients saw.

use serde_json::{Value, json};

use crate::model::wire::{LlmCall, McpCall, WireRecord};

/// Each truth is found once, and nothing else is told.
pub(super) fn check(name: &str, truths: &[Value], records: &[WireRecord]) {
    let mut told: Vec<Value> = records.iter().filter_map(as_json).collect();
    for truth in truths {
        let fits = |told: &Value| truth.as_object().unwrap().iter().all(|(key, value)| told[key] == *value);
        let Some(at) = told.iter().position(fits) else {
            panic!("{name}: nothing is as\n{truth}\nbut there are\n{}", lines(&told));
        };
        told.remove(at);
    }
    // Of MCP, clients say more than their users ask for.
    told.retain(|told| told["mcp"].is_null());
    assert!(told.is_empty(), "{name}: also told are\n{}", lines(&told));
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

/// A call in the words of the recordings' truths.
pub(super) fn as_json(record: &WireRecord) -> Option<Value> {
    match record {
        WireRecord::Llm(call) => Some(llm(call)),
        WireRecord::Mcp(call) => Some(mcp(call)),
        WireRecord::Http(_) => None,
    }
}

fn llm(call: &LlmCall) -> Value {
    json!({
        "provider": call.provider, "operation": call.operation.name(), "request_model": call.request_model,
        "response_model": call.response_model, "status": call.status, "stream": call.stream,
        "error": call.error_type, "input": call.tokens.input, "output": call.tokens.output,
        "cache_read": call.tokens.cache_read, "cache_write": call.tokens.cache_write,
        "reasoning": call.tokens.reasoning, "finish": call.finish_reason, "tools": call.tools,
        "chunks": call.chunks, "retries": call.retries,
        "partial": call.partial.reasons().next().map(|reason| reason.name()),
    })
}

fn mcp(call: &McpCall) -> Value {
    json!({
        "mcp": call.method, "tool": call.tool, "error": call.error_type, "server": call.server,
        "transport": call.transport.name(),
    })
}
