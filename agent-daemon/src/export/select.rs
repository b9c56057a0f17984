//! What of a store is exported, whatever it is exported as.

use crate::{
    model::{agent::Agent, id::AgentId, time::TimeRange},
    store::Store,
};

/// What of a store is exported.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Agents; all where none is named.
    pub agents: Vec<AgentId>,
    /// Windows that overlap this, and processes that lived in it.
    pub range: TimeRange,
}

impl Selection {
    /// Everything.
    pub const ALL: Self = Self { agents: Vec::new(), range: TimeRange::ALL };

    /// The agents that are chosen, oldest first.
    pub(super) fn agents(&self, store: &dyn Store) -> Vec<Agent> {
        let chosen = |agent: &Agent| self.agents.is_empty() || self.agents.contains(&agent.id);
        store.agents().into_iter().filter(chosen).collect()
    }
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Agents.
    pub agents: u64,
    /// Processes.
    pub processes: u64,
    /// Windows.
    pub windows: u64,
}
