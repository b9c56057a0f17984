//! The store in memory: everything of the last `keep`, within hard caps. Lost at a restart.
//!
//! Invariants: never more rows, processes and agents than [`Limits`] allow, whatever is written; what a cap
//! drops is counted, what merely grew old is not. Readers copy handles under the lock and work outside it,
//! and whatever is dropped is freed outside it, so neither side holds the other up for long.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use rustc_hash::FxHashMap;

use super::{Store, StoreError};
use crate::{
    model::{
        agent::Agent,
        host::HostWindow,
        id::{AgentId, ProcessId},
        operation::{Kept as KeptOperation, Operation, Sums},
        process::Process,
        record::Arrived,
        time::{TimeRange, Timestamp},
        window::Window,
    },
    telemetry::{Loss, Telemetry},
};

/// How much a [`Memory`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long windows, ended processes and ended agents are kept.
    pub keep: Duration,
    /// Rows of all windows together; a window counts as one more than its rows.
    pub max_rows: usize,
    /// Processes of one agent, live and ended.
    pub max_processes: usize,
    /// Processes of all agents together, live and ended.
    pub max_processes_total: usize,
    /// Agents, live and ended.
    pub max_agents: usize,
    /// Operations one by one, and rows of sums; beyond, the oldest go.
    pub max_operations: usize,
    /// Rows of the host's windows: CPUs, file systems, disks and interfaces; beyond, the oldest windows go.
    pub max_host_rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(3600),
            max_rows: 300_000,
            max_processes: 20_000,
            max_processes_total: 100_000,
            max_agents: 2_000,
            max_operations: 20_000,
            max_host_rows: 100_000,
        }
    }
}

/// A bounded store in memory.
#[derive(Debug)]
pub struct Memory {
    limits: Limits,
    telemetry: Arc<Telemetry>,
    kept: RwLock<Kept>,
}

/// Everything kept, and how much that is.
#[derive(Debug, Default)]
struct Kept {
    /// In the order in which they came.
    operations: VecDeque<Arc<Operation>>,
    sums: VecDeque<Arc<Sums>>,
    host: VecDeque<Arc<HostWindow>>,
    host_rows: usize,
    agents: FxHashMap<AgentId, KeptAgent>,
    rows: usize,
    processes: usize,
}

#[derive(Debug)]
struct KeptAgent {
    agent: Agent,
    /// By start.
    windows: VecDeque<Arc<Window>>,
    processes: FxHashMap<ProcessId, Arc<Process>>,
    /// The processes that ended, by when: the order in which they are forgotten.
    ended: BTreeSet<(Timestamp, ProcessId)>,
}

/// What a window of the host counts for.
fn host_cost(window: &HostWindow) -> usize {
    let devices = window.file_systems.len() + window.disks.len() + window.interfaces.len();
    let gpus = window.gpus.iter().map(|gpu| 4 + gpu.processes.len());
    window.cpus.len() + devices + gpus.sum::<usize>() + 1
}

/// What a window counts for: an empty one takes memory too.
fn cost(window: &Window) -> usize {
    window.rows().saturating_add(1)
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new(limits: Limits, telemetry: Arc<Telemetry>) -> Self {
        Self { limits, telemetry, kept: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn put_agent(&self, agent: Agent) {
        let mut kept = self.write();
        if let Some(known) = kept.agents.get_mut(&agent.id) {
            known.replace(agent);
            return;
        }
        let room = kept.agents.len() < self.limits.max_agents;
        let forgotten = if room { None } else { kept.forget_agent() };
        if !room {
            self.telemetry.losses.count(Loss::AgentForgotten);
        }
        if kept.agents.len() < self.limits.max_agents {
            kept.agents.insert(agent.id.clone(), KeptAgent::new(agent));
        }
        drop(kept);
        drop(forgotten);
    }

    fn put_process(&self, agent: &AgentId, process: Process) {
        let mut kept = self.write();
        let lost = !kept.put_process(agent, Arc::new(process), &self.limits);
        drop(kept);
        if lost {
            self.telemetry.losses.count(Loss::ProcessForgotten);
        }
    }

    fn append(&self, window: Window) {
        let mut kept = self.write();
        let mut dropped = Vec::new();
        if let Err(window) = kept.append(Arc::new(window)) {
            dropped.push(window);
        }
        while kept.rows > self.limits.max_rows {
            dropped.extend(kept.pop_oldest_window());
        }
        drop(kept);
        self.telemetry.losses.add(Loss::WindowDropped, dropped.len() as u64);
    }

    fn put_operations(&self, arrived: Arrived) {
        let mut kept = self.write();
        kept.operations.extend(arrived.operations.into_iter().map(Arc::new));
        kept.sums.extend(arrived.sums.into_iter().map(Arc::new));
        let surplus = kept.operations.len().saturating_sub(self.limits.max_operations);
        kept.operations.drain(..surplus);
        let surplus_sums = kept.sums.len().saturating_sub(self.limits.max_operations);
        kept.sums.drain(..surplus_sums);
        drop(kept);
        self.telemetry.losses.add(Loss::OperationDropped, (surplus + surplus_sums) as u64);
    }

    fn put_host(&self, window: HostWindow) {
        let mut kept = self.write();
        kept.host_rows += host_cost(&window);
        kept.host.push_back(Arc::new(window));
        let mut dropped = Vec::new();
        while kept.host_rows > self.limits.max_host_rows {
            dropped.extend(kept.pop_oldest_host());
        }
        drop(kept);
        self.telemetry.losses.add(Loss::HostWindowDropped, dropped.len() as u64);
    }

    /// There is nothing to outlast this process.
    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn maintain(&self, now: Timestamp) {
        let Ok(cutoff) = now.checked_sub(self.limits.keep) else { return };
        let mut kept = self.write();
        let forgotten = kept.expire(cutoff);
        drop(kept);
        drop(forgotten);
    }

    fn agents(&self) -> Vec<Agent> {
        let mut agents: Vec<_> = self.read().agents.values().map(|a| a.agent.clone()).collect();
        agents.sort_by(|a, b| (a.attached, &a.id).cmp(&(b.attached, &b.id)));
        agents
    }

    fn agent(&self, id: &AgentId) -> Option<Agent> {
        self.read().agents.get(id).map(|a| a.agent.clone())
    }

    fn processes(&self, agent: &AgentId, range: TimeRange) -> Result<Vec<Process>, StoreError> {
        let lived = |p: &&Arc<Process>| p.started < range.to && p.ended.is_none_or(|end| end >= range.from);
        let handles: Vec<_> = match self.read().agents.get(agent) {
            Some(kept) => kept.processes.values().filter(lived).cloned().collect(),
            None => Vec::new(),
        };
        let mut processes: Vec<_> = handles.into_iter().map(Arc::unwrap_or_clone).collect();
        processes.sort_by_key(|p| (p.started, p.id));
        Ok(processes)
    }

    fn visit(
        &self,
        agent: &AgentId,
        range: TimeRange,
        visit: &mut dyn FnMut(&Window),
    ) -> Result<(), StoreError> {
        let windows: Vec<_> = match self.read().agents.get(agent) {
            Some(kept) => kept.windows.iter().filter(|w| range.overlaps(w.start, w.end)).cloned().collect(),
            None => Vec::new(),
        };
        windows.iter().for_each(|window| visit(window));
        Ok(())
    }

    fn visit_operations(
        &self,
        range: TimeRange,
        visit: &mut dyn FnMut(KeptOperation<'_>),
    ) -> Result<(), StoreError> {
        let kept = self.read();
        let single: Vec<_> = kept.operations.iter().filter(|o| o.is_in(range)).cloned().collect();
        let sums: Vec<_> = kept.sums.iter().filter(|s| range.overlaps(s.start, s.end)).cloned().collect();
        drop(kept);
        single.iter().for_each(|operation| visit(KeptOperation::One(operation)));
        sums.iter().for_each(|sums| visit(KeptOperation::Sums(sums)));
        Ok(())
    }

    fn visit_host(&self, range: TimeRange, visit: &mut dyn FnMut(&HostWindow)) -> Result<(), StoreError> {
        let kept = self.read();
        let windows: Vec<_> = kept.host.iter().filter(|w| range.overlaps(w.start, w.end)).cloned().collect();
        drop(kept);
        windows.iter().for_each(|window| visit(window));
        Ok(())
    }
}

impl Kept {
    /// Gives the window back where its agent is unknown.
    fn append(&mut self, window: Arc<Window>) -> Result<(), Arc<Window>> {
        let Some(kept) = self.agents.get_mut(&window.agent) else { return Err(window) };
        self.rows += cost(&window);
        // Windows come in order but for those of an agent that is attached a second time.
        let at = kept.windows.partition_point(|w| w.start <= window.start);
        kept.windows.insert(at, window);
        Ok(())
    }

    /// Takes out the oldest window of the host.
    fn pop_oldest_host(&mut self) -> Option<Arc<HostWindow>> {
        let window = self.host.pop_front()?;
        self.host_rows -= host_cost(&window);
        Some(window)
    }

    /// Takes out the oldest window of all agents.
    fn pop_oldest_window(&mut self) -> Option<Arc<Window>> {
        let start = |kept: &KeptAgent| kept.windows.front().map(|w| w.start);
        let oldest = self.agents.values_mut().filter(|a| !a.windows.is_empty()).min_by_key(|a| start(a))?;
        let window = oldest.windows.pop_front()?;
        self.rows -= cost(&window);
        Some(window)
    }

    /// Whether nothing was lost by it: a new process may push out an old one, or find no room at all.
    fn put_process(&mut self, agent: &AgentId, process: Arc<Process>, limits: &Limits) -> bool {
        let Some(kept) = self.agents.get(agent) else { return false };
        let new = !kept.processes.contains_key(&process.id);
        let full = new && kept.processes.len() >= limits.max_processes;
        let all_full = new && self.processes >= limits.max_processes_total;
        let room = match (full, all_full) {
            (true, _) => self.forget_process_of(agent),
            (false, true) => self.forget_process_of_any(),
            (false, false) => true,
        };
        if room && let Some(kept) = self.agents.get_mut(agent) {
            kept.put_process(process);
            self.processes += usize::from(new);
        }
        !full && !all_full
    }

    /// Forgets the process of this agent that ended first; whether there was one.
    fn forget_process_of(&mut self, agent: &AgentId) -> bool {
        let forgot = self.agents.get_mut(agent).is_some_and(KeptAgent::forget_process);
        self.processes -= usize::from(forgot);
        forgot
    }

    /// Forgets the process that ended first of all agents'; whether there was one.
    fn forget_process_of_any(&mut self) -> bool {
        let ended = self.agents.values_mut().filter(|a| !a.ended.is_empty());
        let forgot = ended.min_by_key(|a| a.ended.first().copied()).is_some_and(KeptAgent::forget_process);
        self.processes -= usize::from(forgot);
        forgot
    }

    /// Takes out the agent that ended first.
    fn forget_agent(&mut self) -> Option<KeptAgent> {
        let ended = self.agents.values().filter_map(|a| a.agent.ended.map(|(at, _)| (at, &a.agent.id)));
        let id = ended.min()?.1.clone();
        self.remove_agent(&id)
    }

    fn remove_agent(&mut self, id: &AgentId) -> Option<KeptAgent> {
        let kept = self.agents.remove(id)?;
        self.processes -= kept.processes.len();
        self.rows -= kept.windows.iter().map(|w| cost(w)).sum::<usize>();
        Some(kept)
    }

    /// Takes out everything that ended before or at `cutoff`, to be freed outside the lock.
    fn expire(&mut self, cutoff: Timestamp) -> (Vec<KeptAgent>, Vec<Arc<Window>>, Vec<Arc<Process>>) {
        let over = |a: &KeptAgent| a.agent.ended.is_some_and(|(at, _)| at <= cutoff);
        let ids: Vec<_> = self.agents.values().filter(|a| over(a)).map(|a| a.agent.id.clone()).collect();
        self.operations.retain(|o| o.start > cutoff);
        self.sums.retain(|s| s.end > cutoff);
        while self.host.front().is_some_and(|w| w.end <= cutoff) {
            self.pop_oldest_host();
        }
        let agents = ids.iter().filter_map(|id| self.remove_agent(id)).collect();
        let (mut windows, mut processes) = (Vec::new(), Vec::new());
        for kept in self.agents.values_mut() {
            while let Some(window) = kept.windows.pop_front_if(|w| w.end <= cutoff) {
                self.rows -= cost(&window);
                windows.push(window);
            }
            while let Some(process) = kept.pop_ended_before(cutoff) {
                self.processes -= 1;
                processes.push(process);
            }
        }
        (agents, windows, processes)
    }
}

impl KeptAgent {
    fn new(agent: Agent) -> Self {
        Self { agent, windows: VecDeque::new(), processes: FxHashMap::default(), ended: BTreeSet::new() }
    }

    /// Takes a newer version of the agent. One that is watched anew begins without processes: those that
    /// still live are told again, the others are known up to the end of the watch before.
    fn replace(&mut self, agent: Agent) {
        let before = std::mem::replace(&mut self.agent, agent);
        let Some((end, _)) = before.ended.filter(|_| before.attached != self.agent.attached) else { return };
        for (id, process) in self.processes.iter_mut().filter(|(_, p)| p.ended.is_none()) {
            Arc::make_mut(process).ended = Some(end);
            self.ended.insert((end, *id));
        }
    }

    fn put_process(&mut self, process: Arc<Process>) {
        let (id, ended) = (process.id, process.ended);
        if let Some(end) = self.processes.insert(id, process).and_then(|old| old.ended) {
            self.ended.remove(&(end, id));
        }
        self.ended.extend(ended.map(|end| (end, id)));
    }

    /// Forgets the process that ended first; whether there was one.
    fn forget_process(&mut self) -> bool {
        self.ended.pop_first().is_some_and(|(_, id)| self.processes.remove(&id).is_some())
    }

    fn pop_ended_before(&mut self, cutoff: Timestamp) -> Option<Arc<Process>> {
        let (_, id) = self.ended.first().copied().filter(|(end, _)| *end <= cutoff)?;
        self.ended.pop_first();
        self.processes.remove(&id)
    }
}

#[cfg(test)]
mod tests;
