//! What a new file has to tell again, so that it stands alone: the agents that live, and their live processes.

use std::collections::{BTreeSet, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{data::Entry, encode::Encoder, line::Line};
use crate::model::{
    agent::Agent,
    id::{AgentId, ProcessId},
    process::Process,
    time::Timestamp,
};

/// Agents that are remembered after their end: windows may come late.
const ENDED: usize = 256;
/// Processes that are remembered, of all agents. Of more, a later file may lack some that lived on.
const PROCESSES: usize = 50_000;

/// The agents that may still be told of.
#[derive(Debug, Default)]
pub(super) struct Known {
    agents: FxHashMap<AgentId, (Agent, FxHashMap<ProcessId, Process>)>,
    processes: usize,
    /// Those that ended, the first first.
    ended: VecDeque<AgentId>,
    /// Those that this section has told of.
    told: FxHashSet<AgentId>,
}

impl Known {
    /// A section begins, which has told of nobody.
    pub(super) fn begin(&mut self) {
        self.told.clear();
    }

    /// Writes a record, and before it what the section has not told yet of its agent.
    pub(super) fn write(&mut self, entry: Entry, encoder: &mut Encoder, to: &mut Vec<Line>) {
        match entry {
            Entry::Agent(agent) => self.agent(agent, encoder, to),
            Entry::Process { agent, process, .. } => {
                let watch = self.introduce(&agent, encoder, to).unwrap_or(process.started);
                encoder.process(&agent, watch, &process, to);
                self.keep(&agent, process);
            }
            Entry::Window(window) => {
                self.introduce(&window.agent, encoder, to);
                encoder.window(window, to);
            }
            Entry::Operation(operation) => {
                if let Some(agent) = &operation.agent {
                    self.introduce(agent, encoder, to);
                }
                encoder.operation(&operation, to);
            }
            Entry::Host(window) => encoder.host(&window, to),
            Entry::Sums(sums) => {
                let agents: BTreeSet<_> = sums.rows.keys().filter_map(|key| key.agent.as_ref()).collect();
                for agent in agents {
                    self.introduce(agent, encoder, to);
                }
                encoder.sums(&sums, to);
            }
        }
    }

    fn agent(&mut self, agent: Agent, encoder: &mut Encoder, to: &mut Vec<Line>) {
        // Told anew, it begins without processes, as in the store: those that live are told again.
        let again = self.agents.get(&agent.id).is_some_and(|(known, _)| known.attached != agent.attached);
        if again && let Some((_, processes)) = self.agents.get_mut(&agent.id) {
            self.processes -= processes.len();
            processes.clear();
        }
        if self.agents.contains_key(&agent.id) {
            self.introduce(&agent.id, encoder, to);
        }
        encoder.agent(&agent, to);
        self.told.insert(agent.id.clone());
        self.ended.retain(|id| *id != agent.id);
        if agent.ended.is_some() {
            self.ended.push_back(agent.id.clone());
        }
        match self.agents.get_mut(&agent.id) {
            Some((known, _)) => *known = agent,
            None => drop(self.agents.insert(agent.id.clone(), (agent, FxHashMap::default()))),
        }
        if self.ended.len() > ENDED
            && let Some((_, processes)) = self.ended.pop_front().and_then(|id| self.agents.remove(&id))
        {
            self.processes -= processes.len();
        }
    }

    /// Since when the agent is watched, if it is known.
    fn introduce(&mut self, id: &AgentId, encoder: &mut Encoder, to: &mut Vec<Line>) -> Option<Timestamp> {
        let (agent, processes) = self.agents.get(id)?;
        if self.told.insert(id.clone()) {
            encoder.agent(agent, to);
            processes.values().for_each(|process| encoder.process(id, agent.attached, process, to));
        }
        Some(agent.attached)
    }

    fn keep(&mut self, agent: &AgentId, process: Process) {
        let Some((_, processes)) = self.agents.get_mut(agent) else { return };
        if process.ended.is_some() {
            self.processes -= usize::from(processes.remove(&process.id).is_some());
        } else if self.processes < PROCESSES || processes.contains_key(&process.id) {
            self.processes += usize::from(processes.insert(process.id, process).is_none());
        }
    }
}
