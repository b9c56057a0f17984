//! The metrics of calls of models and of MCP servers, by the names of OpenTelemetry's conventions.

use prometheus_client::registry::Unit::Seconds;

use super::{Family as F, Kind::Histogram, Row, row};
use crate::export::prometheus::gen_ai::{MCP_SECONDS, SECONDS, TOKENS};

/// Labels of calls of models, by how they ended; those of what went well have no `error_type`.
const CALLS: &[&str] = &[
    "agent",
    "agent_id",
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "error_type",
];
/// The same, however they ended.
const STREAMS: &[&str] = &[
    "agent",
    "agent_id",
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
];
/// By `gen_ai_token_type`: `input` and `output`.
const USAGE: &[&str] = &[
    "agent",
    "agent_id",
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
    "gen_ai_response_model",
    "gen_ai_token_type",
];
/// Labels of calls of MCP servers; `gen_ai_tool_name` is empty of other methods than `tools/call`.
const MCP: &[&str] =
    &["agent", "agent_id", "mcp_method_name", "gen_ai_tool_name", "network_transport", "error_type"];

/// What labels are called by OTLP.
const ATTRIBUTES: [&str; 9] = [
    "error.type",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.token.type",
    "gen_ai.tool.name",
    "mcp.method.name",
    "network.transport",
];

/// What this label of a metric that the conventions name is called by OTLP.
pub(in crate::export::prometheus) fn attribute(label: &'static str) -> &'static str {
    let named = |attribute: &&&str| attribute.replace('.', "_") == label;
    ATTRIBUTES.iter().find(named).copied().unwrap_or(label)
}

pub(super) static ROWS: [Row; 5] = [
    row(
        F::GenAiDuration,
        "gen_ai.client.operation.duration",
        Some(Seconds),
        Histogram(&SECONDS),
        CALLS,
        "How long calls of models took",
    ),
    row(
        F::GenAiFirstChunk,
        "gen_ai.client.operation.time_to_first_chunk",
        Some(Seconds),
        Histogram(&SECONDS),
        STREAMS,
        "From the start of calls whose answers are streams to their first content",
    ),
    row(
        F::GenAiTokens,
        "gen_ai.client.token.usage",
        None,
        Histogram(&TOKENS),
        USAGE,
        "Tokens of each call whose provider told them",
    ),
    row(
        F::McpClientDuration,
        "mcp.client.operation.duration",
        Some(Seconds),
        Histogram(&MCP_SECONDS),
        MCP,
        "How long requests to MCP servers took",
    ),
    row(
        F::McpServerDuration,
        "mcp.server.operation.duration",
        Some(Seconds),
        Histogram(&MCP_SECONDS),
        MCP,
        "How long an agent took to answer requests, as an MCP server",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_of_otlp_gets_the_names_of_the_conventions() {
        for row in &ROWS {
            assert!(row.is_convention() && row.otlp_name().replace('.', "_") == row.base_name());
            let attributes: Vec<_> = row.labels.iter().map(|label| attribute(label)).collect();
            assert_eq!(attributes[..2], ["agent", "agent_id"]);
            assert!(attributes[2..].iter().all(|name| name.contains('.')), "{attributes:?}");
        }
    }
}
