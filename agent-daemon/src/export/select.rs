//! What of a store is exported, whatever it is exported as.

use crate::{
    model::{agent::Agent, id::AgentId, operation::Sums, time::TimeRange},
    store::Store,
};

/// What of a store is exported.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Agents; all where none is named.
    pub agents: Vec<AgentId>,
    /// Windows that overlap this, processes that lived in it, operations that began in it. The host is nobody's.
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

    /// Whether what is this agent's is chosen, or what is nobody's.
    pub(super) fn takes(&self, agent: Option<&AgentId>) -> bool {
        self.agents.is_empty() || agent.is_some_and(|agent| self.agents.contains(agent))
    }

    /// The rows that are chosen.
    pub(super) fn sums(&self, sums: &Sums) -> Sums {
        let mut chosen = sums.clone();
        chosen.rows.retain(|key, _| self.takes(key.agent.as_ref()));
        chosen
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
    /// Operations, one by one.
    pub operations: u64,
    /// Sums of operations.
    pub operation_sums: u64,
    /// Windows of the host.
    pub host_windows: u64,
}
