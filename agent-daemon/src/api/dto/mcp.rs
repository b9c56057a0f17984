//! Calls of MCP servers on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{operation::MAX_GROUPS, seconds, tool::AskedByDto};
use crate::{
    model::{
        operation::{MCP, Operation, Sum},
        time::Timestamp,
    },
    store::query::{AskedBy, Group, OperationPage, OperationSummary},
};

/// A page of calls of MCP servers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = McpCallList)]
pub struct McpCallListDto {
    /// Start of the range; null where it has none.
    pub from: Option<Timestamp>,
    /// End of the range; null where it has none.
    pub to: Option<Timestamp>,
    /// All calls that match and are kept one by one.
    pub total: u64,
    /// Calls that match and are left only as sums: `names` has them.
    pub added_up: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// The calls, in the order that was asked for.
    pub calls: Vec<McpCallDto>,
    /// The calls of the range added up by method and tool, most time first; the 100 first.
    pub names: Vec<McpNameDto>,
}

impl McpCallListDto {
    /// A page that begins at `offset`, with what asked for each call of a tool.
    #[must_use]
    pub fn new(
        (page, asked): (&OperationPage, impl Fn(&Operation, &str) -> Option<AskedBy>),
        summary: &OperationSummary,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        offset: usize,
    ) -> Self {
        Self {
            from,
            to,
            total: page.total,
            added_up: page.added_up,
            next_offset: page.next_offset(offset),
            calls: page.operations.iter().filter_map(|operation| McpCallDto::of(operation, &asked)).collect(),
            names: summary.groups.iter().take(MAX_GROUPS).map(McpNameDto::from).collect(),
        }
    }
}

/// A request to an MCP server and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = McpCall)]
pub struct McpCallDto {
    /// Unique in this store.
    pub id: String,
    /// The agent whose process said or heard it.
    pub agent: Option<String>,
    /// That process.
    pub pid: Option<u32>,
    /// When the request went.
    pub start: Timestamp,
    /// The server's own name; null if the beginning of its session was not seen.
    pub server: Option<String>,
    /// The method.
    #[schema(example = "tools/call")]
    pub method: String,
    /// The tool that was called.
    pub tool: Option<String>,
    /// Whether the process asked, `client`, or answered, `server`.
    pub role: String,
    /// `stdio`, `http` or `sse`.
    pub transport: String,
    /// From the request to the answer.
    pub duration_seconds: f64,
    /// Whether it went well.
    pub success: bool,
    /// `tool_error` for a tool that failed, else the code of the error.
    pub error_type: Option<String>,
    /// Why something of it was not seen; empty for what was seen whole.
    pub partial: Vec<String>,
    /// The call of a model whose answer asked for this tool by its name; null where the last answer before did not.
    pub asked_by: Option<AskedByDto>,
}

impl McpCallDto {
    /// The call; `None` for an operation that is none.
    #[must_use]
    pub fn of(operation: &Operation, asked: impl Fn(&Operation, &str) -> Option<AskedBy>) -> Option<Self> {
        let label = |key: &str| operation.label(key).map(str::to_owned);
        let partial = label("agentperf.partial").unwrap_or_default();
        let tool = label("gen_ai.tool.name");
        (operation.kind == MCP).then(|| Self {
            id: format!("{:016x}", operation.id),
            agent: operation.agent.as_ref().map(ToString::to_string),
            pid: operation.process.map(|process| process.pid()),
            start: operation.start,
            server: label("agentperf.mcp.server"),
            method: label("mcp.method.name").unwrap_or_default(),
            role: label("agentperf.mcp.role").unwrap_or_default(),
            transport: label("agentperf.mcp.transport").unwrap_or_default(),
            duration_seconds: seconds(operation.duration_ns),
            success: operation.success,
            error_type: operation.error_type.clone(),
            partial: partial.split_whitespace().map(str::to_owned).collect(),
            asked_by: tool.as_deref().and_then(|tool| asked(operation, tool)).map(AskedByDto::from),
            tool,
        })
    }
}

/// Calls of one method and tool, added up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = McpName)]
pub struct McpNameDto {
    /// The method, and the tool where one was called; `other` for what came when an agent had too many.
    #[schema(example = "tools/call search")]
    pub name: String,
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// How long all took together.
    pub total_seconds: f64,
    /// The longest.
    pub max_seconds: f64,
    /// Half took no longer. To within 3.2 %.
    pub p50_seconds: Option<f64>,
    /// 99 % took no longer.
    pub p99_seconds: Option<f64>,
}

impl From<&(Group, Sum)> for McpNameDto {
    fn from((group, sum): &(Group, Sum)) -> Self {
        let quantile = |q| sum.durations.quantile(q, sum.max_ns).map(seconds);
        Self {
            name: group.name.clone().unwrap_or_else(|| "other".to_owned()),
            calls: sum.count,
            failures: sum.errors,
            total_seconds: seconds(sum.total_ns),
            max_seconds: seconds(sum.max_ns),
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
        }
    }
}
