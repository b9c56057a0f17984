//! A call of an MCP server.

use super::{Origin, Partial, Role};
use crate::model::content::{Content, Unmasked};

/// How messages of MCP go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum McpTransport {
    /// Lines on a pipe.
    Stdio,
    /// Streamable HTTP: the answer comes in the request's own exchange.
    Http,
    /// Server-sent events of a stream beside the requests.
    Sse,
}

impl McpTransport {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

/// One request of JSON-RPC and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpCall {
    /// Where the request was read.
    pub origin: Origin,
    /// Whether the observed process asked.
    pub role: Role,
    /// How it went.
    pub transport: McpTransport,
    /// The server's own name, as it said when the session began; `None` if that was not seen.
    pub server: Option<String>,
    /// The method: `tools/call`, `initialize` and so on.
    pub method: String,
    /// The tool that was called.
    pub tool: Option<String>,
    /// When the request came by.
    pub started_ns: u64,
    /// From there to the answer, ns; to when it was given up or is waited for no more, where none came.
    pub duration_ns: u64,
    /// `tool_error` for a tool that failed, `cancelled` where the asker gave it up, else the code of JSON-RPC's error, the
    /// status of HTTP, or `cut_off`.
    pub error_type: Option<String>,
    /// What is missing.
    pub partial: Partial,
    /// What the tool was called with, where that is kept.
    pub said: Option<Box<Unmasked>>,
    /// The same, where it was masked while the call went on.
    pub content: Option<Box<Content>>,
}
