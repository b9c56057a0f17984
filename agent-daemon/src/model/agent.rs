//! Agents: process trees that a rule matched or a person attached.

use super::{
    id::{AgentId, ProcessId},
    probe::ProbeSet,
    time::Timestamp,
};

/// Why we watch an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentSource {
    /// The rule of this name matched its root.
    Rule(String),
    /// Somebody attached it by pid.
    Attach,
}

/// Why an agent is no longer watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentEnd {
    /// Its last process exited.
    Exited,
    /// Somebody detached it.
    Detached,
    /// The time it was attached for is over.
    Expired,
    /// The daemon ended without letting it go: it crashed, or was killed.
    Interrupted,
}

/// A process tree under watch, rooted at one process. Watched a second time it is the same agent, with
/// another `attached`.
#[derive(Clone, Debug)]
pub struct Agent {
    /// Public identity.
    pub id: AgentId,
    /// What a person calls it.
    pub name: String,
    /// The root process.
    pub root: ProcessId,
    /// When the root process was created.
    pub created: Timestamp,
    /// Since when we watch; nothing is known of the time before.
    pub attached: Timestamp,
    /// When watching ends by itself.
    pub expires: Option<Timestamp>,
    /// When watching ended, and why.
    pub ended: Option<(Timestamp, AgentEnd)>,
    /// Why we watch.
    pub source: AgentSource,
    /// What it is watched by.
    pub probes: ProbeSet,
    /// The kernel's boot id.
    pub boot_id: String,
}
