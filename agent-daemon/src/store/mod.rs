//! What agentperf knows, kept: append, query, retention. Readers and the one writer meet only here.

#[cfg(test)]
pub(crate) mod fixture;
mod memory;
pub mod query;
pub mod writer;

pub use memory::{Limits, Memory};

use std::sync::Arc;

use crate::model::{
    agent::Agent,
    id::AgentId,
    process::Process,
    record::Record,
    time::{TimeRange, Timestamp},
    window::Window,
};

/// A store. Windows and ended processes are immutable; agents and live processes are replaced by newer
/// versions of themselves. Every implementation bounds what it keeps.
///
/// An agent is put before its processes and windows: what belongs to nobody is a counted loss.
pub trait Store: Send + Sync {
    /// Adds or replaces an agent.
    fn put_agent(&self, agent: Agent);
    /// Adds or replaces a process of an agent.
    fn put_process(&self, agent: &AgentId, process: Process);
    /// Appends a window.
    fn append(&self, window: Window);
    /// Forgets what is older at `now` than the store keeps. Called by the writer, so that the store needs no
    /// clock of its own.
    fn expire(&self, now: Timestamp);
    /// Every agent, live and ended, oldest first.
    fn agents(&self) -> Vec<Agent>;
    /// One agent.
    fn agent(&self, id: &AgentId) -> Option<Agent>;
    /// An agent's processes that lived in the range, oldest first.
    fn processes(&self, agent: &AgentId, range: TimeRange) -> Vec<Process>;
    /// An agent's windows that overlap the range, oldest first.
    fn windows(&self, agent: &AgentId, range: TimeRange) -> Vec<Arc<Window>>;
}

/// Sees every record on its way into the store, in order: for what is counted without being asked for. Must not block.
pub trait Follower: Send + Sync {
    /// Sees a record.
    fn follow(&self, record: &Record);
}
