//! What the capture tells beside the records: whose they are, and how much of what a process said was seen.

use std::time::Duration;

use super::WireRecord;
use crate::model::{
    attachment::Attachment,
    content::Content,
    id::{ProcessId, Slot},
    time::Timestamp,
};

/// How long the plaintext of a request may take to be seen.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long a request that was not seen says something of its process.
const LATELY: Duration = Duration::from_secs(600);

/// A record with whose it is.
#[derive(Clone, Debug, PartialEq)]
pub struct WireObserved {
    /// The agent.
    pub slot: Slot,
    /// The process.
    pub process: ProcessId,
    /// When it began.
    pub started: Timestamp,
    /// What it was.
    pub record: WireRecord,
    /// What was said, where that is kept.
    pub content: Option<Box<Content>>,
}

/// How much of what a process said was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Bytes that it sent, as plaintext; also those that were not handed up.
    pub sent_bytes: u64,
    /// Bytes that it received likewise.
    pub received_bytes: u64,
    /// Connections.
    pub connections: u64,
    /// Those of them that were sockets without TLS.
    pub plain_connections: u64,
    /// Calls of models.
    pub llm_calls: u64,
    /// Calls of MCP servers.
    pub mcp_calls: u64,
    /// When plaintext was seen last.
    pub last_seen: Option<Timestamp>,
    /// Requests that it sent on sockets that lead to models; of a tool, connections on which it sent any.
    pub model_requests: u64,
    /// When the last of them went.
    pub last_model_request: Option<Timestamp>,
    /// The first of those that no plaintext was seen of since.
    pub unseen_since: Option<Timestamp>,
    /// Whether plaintext was seen that tells how it asks models: by TLS, or on a socket of interest.
    pub is_told: bool,
    /// Whether it was seen to begin a request of HTTP: what it says is read from its beginning on.
    pub is_read: bool,
}

/// A process that ended, of which requests to models were not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The process.
    pub process: ProcessId,
    /// When it ended.
    pub ended: Timestamp,
    /// What was seen of it.
    pub seen: Seen,
    /// How probes stood on its TLS libraries.
    pub tls: Vec<Attachment>,
}

impl Seen {
    /// Whether a process that ends now has asked models unseen.
    #[must_use]
    pub fn ends_unread(&self, now: Timestamp) -> bool {
        let is_seen = self.is_read || self.llm_calls > 0;
        self.model_requests > 0 && (!is_seen || self.is_blind(now))
    }

    /// Whether it asks a model, or did not long ago, and what it says is not seen.
    #[must_use]
    pub fn is_blind(&self, now: Timestamp) -> bool {
        let is_over = |at: Timestamp, after: Duration| at.checked_add(after).is_ok_and(|until| until < now);
        let asks = self.last_model_request.is_some_and(|at| !is_over(at, LATELY));
        asks && self.unseen_since.is_some_and(|since| is_over(since, PATIENCE))
    }
}
