//! What has been counted since the daemon started, by agent: the records that go into the store, added up.

use std::{sync::Arc, time::Duration};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    agent_totals::AgentTotals, capped::Rooms, gpu_totals, llm, operations::OperationTotals, signals,
    tools::tool_calls,
};
use crate::model::{
    agent::Agent,
    host::HostWindow,
    id::{AgentId, ProcessId},
    operation::{LlmSum, Source},
    process::Process,
    record::{Arrived, Record},
    time::Timestamp,
};

/// How long the series of what has ended stay: several scrapes see the last value.
const AFTER_END: Duration = Duration::from_secs(600);
/// How often what ended is looked for where nobody scrapes.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);
/// Agents that have series of their own, live and ended.
const MAX_AGENTS: usize = 1024;
/// Agents that are counted together; what comes beyond is told by the overflow alone.
const MAX_LATE: usize = 16 * MAX_AGENTS;

/// The totals of every agent. A copy is what is formatted, so that nobody who counts waits for that.
#[derive(Clone, Debug)]
pub(super) struct Totals {
    agents: FxHashMap<AgentId, AgentTotals>,
    /// Agents that found no room, and what they did together. They stay here: no counter goes back.
    late: FxHashMap<AgentId, Late>,
    other: Option<AgentTotals>,
    /// How many found no room.
    pub(super) agents_overflowed: u64,
    /// When it was last looked for what ended, by the records' time.
    expired: Timestamp,
    pub(super) rooms: Rooms,
    pub(super) operations: OperationTotals,
    /// What calls of models used, of all agents.
    pub(super) llm: LlmSum,
    /// The host's windows, merged.
    pub(super) host: Option<Box<HostWindow>>,
}

/// An agent without room of its own.
#[derive(Clone, Debug, Default)]
struct Late {
    ended: Option<Timestamp>,
    /// Those that live.
    processes: FxHashSet<ProcessId>,
}

impl Late {
    fn process(&mut self, process: &Process) {
        if process.ended.is_none() {
            self.processes.insert(process.id);
        } else {
            self.processes.remove(&process.id);
        }
    }
}

impl Totals {
    /// Nothing counted yet; room for `max_series` of each kind.
    pub(super) fn new(max_series: usize) -> Self {
        Self {
            agents: FxHashMap::default(),
            late: FxHashMap::default(),
            other: None,
            agents_overflowed: 0,
            expired: Timestamp::UNIX_EPOCH,
            operations: OperationTotals::default(),
            llm: LlmSum::default(),
            host: None,
            rooms: Rooms::new(max_series),
        }
    }

    /// Adds a record.
    pub(super) fn add(&mut self, record: &Record) {
        self.expire_at_times(record);
        match record {
            Record::Agent(agent) => self.agent(agent),
            Record::Process(id, process) => {
                if let Some(late) = self.late.get_mut(id) {
                    late.process(process);
                }
                if let Some((totals, rooms)) = self.of(id) {
                    totals.process(process, rooms);
                }
            }
            Record::Window(window) => {
                if let Some((totals, rooms)) = self.of(&window.agent) {
                    totals.window(window, rooms);
                }
            }
            Record::Operations(arrived) => self.arrived(arrived),
            Record::Host(window) => self.host(window),
            Record::Barrier(_) => {}
        }
    }

    /// Adds operations, and calls of tools and models to those of their agents.
    pub(super) fn arrived(&mut self, arrived: &Arrived) {
        self.operations.add(arrived);
        for (key, (sum, repeats)) in tool_calls(arrived) {
            if let Some((totals, rooms)) = key.agent.as_ref().and_then(|agent| self.of(agent)) {
                totals.tools.entry(key.name.into(), &mut rooms.tools).add(&sum, repeats);
            }
        }
        for ((agent, model), calls) in llm::llm_calls(arrived) {
            self.llm.merge(calls.used());
            if let Some((totals, rooms)) = self.of(&agent) {
                totals.llm.entry(model, &mut rooms.llm).merge(&calls);
            }
        }
        for operation in arrived.operations.iter().filter(|one| one.source == Source::Wire) {
            if let Some((totals, rooms)) = operation.agent.as_ref().and_then(|agent| self.of(agent)) {
                totals.gen_ai.add(operation, &mut rooms.gen_ai);
            }
        }
        for (agent, counted) in signals::arrived(arrived) {
            if let Some((totals, _)) = self.of(agent) {
                totals.signals.add(counted);
            }
        }
    }

    fn host(&mut self, window: &HostWindow) {
        match &mut self.host {
            Some(sum) => sum.absorb(window),
            None => self.host = Some(Box::new(window.clone())),
        }
        gpu_totals::add(window, self.agents.values_mut().chain(&mut self.other));
    }

    /// The totals of every agent, and of those together that found no room.
    pub(super) fn agents(&self) -> impl Iterator<Item = &AgentTotals> {
        self.agents.values().chain(&self.other)
    }

    /// Agents that are watched, with and without room.
    pub(super) fn live_agents(&self) -> usize {
        let live = |totals: &&AgentTotals| totals.agent.as_ref().is_some_and(|agent| agent.ended.is_none());
        self.agents.values().filter(live).count()
            + self.late.values().filter(|late| late.ended.is_none()).count()
    }

    /// Where this agent is counted; nowhere, where nothing was told of it.
    pub(super) fn of(&mut self, id: &AgentId) -> Option<(&mut AgentTotals, &mut Rooms)> {
        let totals = match self.agents.get_mut(id) {
            Some(totals) => totals,
            None if self.late.contains_key(id) => self.other.get_or_insert_with(|| AgentTotals::new(None)),
            None => return None,
        };
        Some((totals, &mut self.rooms))
    }

    fn agent(&mut self, agent: &Agent) {
        let ended = agent.ended.map(|(at, _)| at);
        if let Some(totals) = self.agents.get_mut(&agent.id) {
            totals.agent = Some(Arc::new(agent.clone()));
        } else if let Some(late) = self.late.get_mut(&agent.id) {
            late.ended = ended;
        } else if self.agents.len() < MAX_AGENTS {
            self.agents.insert(agent.id.clone(), AgentTotals::new(Some(Arc::new(agent.clone()))));
        } else {
            self.agents_overflowed += 1;
            if self.late.len() < MAX_LATE {
                self.late.insert(agent.id.clone(), Late { ended, ..Late::default() });
            }
        }
    }

    /// Forgets what ended long ago, now and then by the time of the records: whether anybody scrapes or not, what ended
    /// makes room.
    fn expire_at_times(&mut self, record: &Record) {
        let at = match record {
            Record::Agent(agent) => agent.ended.map_or(agent.attached, |(at, _)| at),
            Record::Window(window) => window.end,
            Record::Process(..) | Record::Operations(_) | Record::Host(_) | Record::Barrier(_) => return,
        };
        // Either way: a clock that was set back must not end it.
        if at.duration_since(self.expired).unsigned_abs() >= EXPIRE_EVERY {
            self.expire(at);
        }
    }

    /// Forgets what ended long ago.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.expired = now;
        let Ok(cutoff) = now.checked_sub(AFTER_END) else { return };
        self.expire_late(cutoff);
        let rooms = &mut self.rooms;
        self.agents.retain(|_, totals| {
            let ended = totals.agent.as_ref().and_then(|agent| agent.ended);
            let keep = ended.is_none_or(|(at, _)| at > cutoff);
            if keep {
                totals.expire_processes(cutoff, rooms);
            } else {
                totals.give_back(rooms);
            }
            keep
        });
    }

    fn expire_late(&mut self, cutoff: Timestamp) {
        let (Some(other), rooms) = (&mut self.other, &mut self.rooms) else {
            self.late.retain(|_, late| late.ended.is_none_or(|at| at > cutoff));
            return;
        };
        other.expire_processes(cutoff, rooms);
        self.late.retain(|_, late| {
            let keep = late.ended.is_none_or(|at| at > cutoff);
            if !keep {
                late.processes.iter().for_each(|id| other.forget(id, rooms));
            }
            keep
        });
    }
}
