//! What agents say on the wire, as facts: calls of language models, calls of MCP servers, HTTP exchanges.
//!
//! Only metadata, but for `said`, which is empty unless the operator has content of the agent kept, and is taken out and
//! masked before anything goes on. Names that come from outside
//! are identifiers of bounded length. Times are monotonic nanoseconds as the capture gave them.

mod http;
mod llm;
mod mcp;
mod observed;
mod partial;

pub use http::{Carried, HttpExchange, METHODS};
pub use llm::{Evidence, LlmCall, Operation, PROVIDERS, Tokens, Usage};
pub use mcp::{McpCall, McpTransport};
pub use observed::{Seen, Unread, WireObserved};
pub use partial::{Partial, Reason};

/// Which end of a connection the observed process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It asks.
    Client,
    /// It answers.
    Server,
}

impl Role {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// Whose traffic a record was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The owner of the connection, by the number that the capture gave: calls are linked only within one.
    pub owner: u64,
    /// The connection, by the number that the capture gave.
    pub connection: u64,
    /// The exchange on it, counted over all connections; records of one exchange share it.
    pub exchange: u64,
}

/// One derived fact.
#[derive(Clone, Debug, PartialEq)]
pub enum WireRecord {
    /// A call of a language model.
    Llm(Box<LlmCall>),
    /// A call of an MCP server.
    Mcp(McpCall),
    /// A request over HTTP and its answer; one that carried an LLM or MCP call is told beside it.
    Http(HttpExchange),
}
