//! A request over HTTP and its answer, without what was in them.

use super::{Origin, Partial, Reason, Role};

/// Every method, as it is told: `_OTHER` is none of HTTP's.
pub const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "_OTHER"];

/// What an exchange was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carried {
    /// Neither of the others.
    Other,
    /// A call of a language model.
    Llm,
    /// Messages of MCP.
    Mcp,
}

impl Carried {
    /// Each, in order.
    pub const ALL: [Self; 3] = [Self::Other, Self::Llm, Self::Mcp];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Other => "http",
            Self::Llm => "llm",
            Self::Mcp => "mcp",
        }
    }
}

/// One HTTP exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpExchange {
    /// Where it was read.
    pub origin: Origin,
    /// Whether the process asked or answered.
    pub role: Role,
    /// `1.0`, `1.1` or `2`, as `network.protocol.version` has it.
    pub version: &'static str,
    /// The method; `None` if the request was not seen, `_OTHER` if it is none of HTTP's.
    pub method: Option<&'static str>,
    /// The server that was asked, from `Host` or `:authority`, without port; `None` if not seen.
    pub server: Option<String>,
    /// The port that was asked, as far as it is known.
    pub port: Option<u16>,
    /// The path without query, its ids replaced by `{id}`.
    pub route: Option<String>,
    /// The answer's status; `None` if no answer was seen.
    pub status: Option<u16>,
    /// The status of gRPC in the answer's trailers.
    pub grpc_status: Option<u8>,
    /// Bytes of the request's body, as on the wire.
    pub request_bytes: u64,
    /// Bytes of the answer's body, as on the wire.
    pub response_bytes: u64,
    /// When the first byte of the request, or of the answer if only that was seen, came by.
    pub started_ns: u64,
    /// From there to the answer's first byte, ns.
    pub first_byte_ns: Option<u64>,
    /// From there to its last, ns.
    pub duration_ns: u64,
    /// What it was used for.
    pub carried: Carried,
    /// What is missing.
    pub partial: Partial,
}

impl HttpExchange {
    /// Whether it failed: the answer says so, or there was none.
    #[must_use]
    pub fn is_error(&self) -> bool {
        let refused = self.status.is_some_and(|status| status >= 400);
        let unanswered = self.status.is_none() && self.partial.has(Reason::CutOff);
        refused || unanswered || self.grpc_status.is_some_and(|status| status != 0)
    }

    /// Who names a server without a port means the usual one.
    pub fn assume_port(&mut self, is_plain: bool) {
        if self.server.is_some() {
            self.port.get_or_insert(if is_plain { 80 } else { 443 });
        }
    }
}
