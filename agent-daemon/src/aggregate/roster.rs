//! Who is who: agents by slot, and the processes that live in them. Processes that ended are handed on and
//! forgotten, but for the few about whom something may still be said.

use std::{collections::VecDeque, num::NonZeroUsize};

use lru::LruCache;
use rustc_hash::{FxHashMap, FxHashSet};

use super::windows::Agents;
use crate::model::{
    agent::{Agent, AgentEnd},
    control::DetachError,
    id::{AgentId, ProcessId, Slot},
    observation::Observation,
    process::{Exit, Process, Resources},
    signal::{Killer, Outcome, Sender, Signal},
    time::Timestamp,
};

/// Ended processes that are remembered, for facts that come late.
const RECENT: NonZeroUsize = NonZeroUsize::new(1024).expect("not zero");

struct Member {
    agent: Agent,
    processes: FxHashMap<ProcessId, Process>,
    changed: FxHashSet<ProcessId>,
    /// Of live processes, the last signal that may end each, and who sent it.
    killers: FxHashMap<ProcessId, (u8, Killer)>,
    ending: bool,
}

/// What an observation led to.
#[derive(Default)]
pub(super) struct Change {
    /// A process to be stored now.
    pub(super) process: Option<(AgentId, Process)>,
    /// An agent whose last process ended.
    pub(super) emptied: Option<Slot>,
}

/// Agents and their live processes.
pub(super) struct Roster {
    free: VecDeque<Slot>,
    capacity: usize,
    members: FxHashMap<Slot, Member>,
    slots: FxHashMap<ProcessId, Slot>,
    pids: FxHashMap<u32, ProcessId>,
    recent: LruCache<ProcessId, (AgentId, Process)>,
    ended: LruCache<AgentId, ()>,
}

impl Roster {
    pub(super) fn new(max_agents: usize) -> Self {
        let slots = (1..).take(max_agents).map(Slot);
        Self {
            free: slots.collect(),
            capacity: max_agents,
            members: FxHashMap::default(),
            slots: FxHashMap::default(),
            pids: FxHashMap::default(),
            recent: LruCache::new(RECENT),
            ended: LruCache::new(RECENT),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The slot that was free for longest.
    pub(super) fn free_slot(&self) -> Option<Slot> {
        self.free.front().copied()
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        self.members.keys().copied().collect()
    }

    /// Every agent and since when it is watched.
    pub(super) fn by_slot(&self) -> Agents {
        let watched = |member: &Member| (member.agent.id.clone(), member.agent.attached);
        self.members.iter().map(|(slot, member)| (*slot, watched(member))).collect()
    }

    pub(super) fn find(&self, id: &AgentId) -> Option<Slot> {
        self.members.iter().find(|(_, member)| member.agent.id == *id).map(|(slot, _)| *slot)
    }

    /// The agent in `slot` as it is watched.
    pub(super) fn watched(&self, slot: Slot) -> Option<&Agent> {
        Some(&self.members.get(&slot)?.agent)
    }

    /// Why `id` names no live agent.
    pub(super) fn why_not(&self, id: AgentId) -> DetachError {
        if self.ended.contains(&id) { DetachError::Ended(id) } else { DetachError::NoSuchAgent(id) }
    }

    /// The agent that the live process `pid` belongs to.
    pub(super) fn agent_of_pid(&self, pid: u32) -> Option<AgentId> {
        let slot = self.slots.get(self.pids.get(&pid)?)?;
        Some(self.members.get(slot)?.agent.id.clone())
    }

    /// Where the live process's agent is.
    pub(super) fn slot_of(&self, process: ProcessId) -> Option<Slot> {
        self.slots.get(&process).copied()
    }

    /// The live process of an agent that has this pid.
    pub(super) fn process_of_pid(&self, pid: u32) -> Option<ProcessId> {
        self.pids.get(&pid).copied()
    }

    /// A process of an agent, live or recently ended.
    pub(super) fn process(&self, id: ProcessId) -> Option<&Process> {
        match self.slots.get(&id) {
            Some(slot) => self.members.get(slot)?.processes.get(&id),
            None => self.recent.peek(&id).map(|(_, process)| process),
        }
    }

    /// The agent in `slot`.
    pub(super) fn agent_in(&self, slot: Slot) -> Option<AgentId> {
        Some(self.members.get(&slot)?.agent.id.clone())
    }

    pub(super) fn enter(&mut self, slot: Slot, agent: Agent) {
        self.free.retain(|free| *free != slot);
        let (processes, changed, killers) = Default::default();
        // Known at once, so that a second attach is refused before the first observations arrive.
        self.pids.insert(agent.root.pid(), agent.root);
        self.slots.insert(agent.root, slot);
        self.members.insert(slot, Member { agent, processes, changed, killers, ending: false });
    }

    /// Marks the agent as being let go; whether it was not before.
    pub(super) fn begin_end(&mut self, slot: Slot) -> bool {
        self.members.get_mut(&slot).is_some_and(|member| !std::mem::replace(&mut member.ending, true))
    }

    /// Removes the agent; returns it and the processes that outlive it.
    pub(super) fn leave(
        &mut self,
        slot: Slot,
        end: AgentEnd,
        at: Timestamp,
    ) -> Option<(Agent, Vec<Process>)> {
        let mut member = self.members.remove(&slot)?;
        self.free.push_back(slot);
        self.slots.retain(|_, s| *s != slot);
        let slots = &self.slots;
        self.pids.retain(|_, process| slots.contains_key(process));
        member.agent.ended = Some((at, end));
        self.ended.put(member.agent.id.clone(), ());
        Some((member.agent, member.processes.into_values().collect()))
    }

    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        self.members.values().filter(|member| !member.ending).filter_map(|member| member.agent.expires).min()
    }

    pub(super) fn expired(&self, now: Timestamp) -> Vec<Slot> {
        let over = |member: &Member| !member.ending && member.agent.expires.is_some_and(|at| at <= now);
        self.members.iter().filter(|(_, member)| over(member)).map(|(slot, _)| *slot).collect()
    }

    /// The processes that changed since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<(AgentId, Process)> {
        let mut changed = Vec::new();
        for member in self.members.values_mut() {
            for id in std::mem::take(&mut member.changed) {
                changed.extend(member.processes.get(&id).map(|p| (member.agent.id.clone(), p.clone())));
            }
        }
        changed
    }

    /// Enters a fact about a process.
    pub(super) fn observe(&mut self, observation: Observation) -> Change {
        match observation {
            Observation::ProcessStarted {
                slot,
                process: id,
                parent,
                parent_pid,
                comm,
                started,
                cpu_before_ns,
                peak_rss_bytes,
            } => {
                let process = Process {
                    id,
                    parent,
                    parent_pid,
                    executable: None,
                    comm,
                    args: Vec::new(),
                    started,
                    ended: None,
                    exit: None,
                    killer: None,
                    cpu_ns: cpu_before_ns,
                    cpu_before_ns,
                    peak_rss_bytes,
                    resources: None,
                };
                self.started(slot, process);
                Change::default()
            }
            Observation::ProcessExecuted { process, executable, comm, args, .. } => {
                self.update(process, |p| {
                    p.executable = (!executable.is_empty()).then_some(executable);
                    p.comm = comm;
                    p.args = args;
                })
            }
            Observation::ProcessUsage { process, cpu_ns, peak_rss_bytes, resources } => {
                self.update(process, |p| used(p, cpu_ns, peak_rss_bytes, resources))
            }
            Observation::ProcessExited { process, at, exit, account, peak_rss_bytes, out_of_memory } => {
                let killer = self.killer(process, exit);
                let killer = if out_of_memory { Some(Killer::OutOfMemory) } else { killer };
                let used = (account.cpu_ns, peak_rss_bytes);
                self.finished(process, |p| exited(p, (at, exit), killer, used))
            }
            Observation::ProcessAccounted { process, account, peak_rss_bytes } => {
                self.update(process, |p| used(p, account.cpu_ns, peak_rss_bytes, None))
            }
            Observation::Signalled(signal) => self.signalled(&signal),
            Observation::ProcessVanished { process, at } => self.finished(process, |p| p.ended = Some(at)),
            Observation::ForeignExec { .. }
            | Observation::Mapped { .. }
            | Observation::Wire(_)
            | Observation::Counted(_) => Change::default(),
        }
    }

    /// Remembers who sent a signal that may end its process. One that a process sends to itself when it has handled it says
    /// nothing new.
    fn signalled(&mut self, signal: &Signal) -> Change {
        let (process, number) = (signal.target.process, signal.number);
        if matches!(signal.outcome, Outcome::Ignored | Outcome::Stops | Outcome::Continues) {
            return Change::default();
        }
        let is_own = matches!(&signal.sender, Sender::Process(party) if party.process == process);
        let member = self.slots.get(&process).and_then(|slot| self.members.get_mut(slot));
        let Some((member, killer)) = member.zip(signal.killer()) else { return Change::default() };
        let is_known = member.killers.get(&process).is_some_and(|(known, _)| *known == number);
        if !(is_own && is_known) {
            member.killers.insert(process, (number, killer));
        }
        Change::default()
    }

    /// Who sent the signal by which a live process ends.
    fn killer(&mut self, process: ProcessId, exit: Exit) -> Option<Killer> {
        let member = self.members.get_mut(self.slots.get(&process)?)?;
        let (number, killer) = member.killers.remove(&process)?;
        (exit.signal() == Some(number)).then_some(killer)
    }

    fn started(&mut self, slot: Slot, mut process: Process) {
        let (id, pid) = (process.id, process.parent_pid);
        let known = || self.pids.get(&pid).copied();
        process.parent = process.parent.filter(|p| p.pid() == pid).or_else(known);
        let Some(member) = self.members.get_mut(&slot) else { return };
        // Until it executes something, a process is what its parent is.
        if let Some(image) = process.parent.and_then(|p| member.processes.get(&p)) {
            process.executable.clone_from(&image.executable);
            process.args.clone_from(&image.args);
        }
        member.processes.insert(id, process);
        member.changed.insert(id);
        self.slots.insert(id, slot);
        self.pids.insert(id.pid(), id);
    }

    /// Changes a process, live or recently ended.
    fn update(&mut self, id: ProcessId, change: impl FnOnce(&mut Process)) -> Change {
        let member = self.slots.get(&id).and_then(|slot| self.members.get_mut(slot));
        if let Some(member) = member
            && let Some(process) = member.processes.get_mut(&id)
        {
            change(process);
            member.changed.insert(id);
            return Change::default();
        }
        let Some((agent, process)) = self.recent.get_mut(&id) else { return Change::default() };
        change(process);
        Change { process: Some((agent.clone(), process.clone())), emptied: None }
    }

    fn finished(&mut self, id: ProcessId, change: impl FnOnce(&mut Process)) -> Change {
        let Some(slot) = self.slots.remove(&id) else { return self.update(id, change) };
        if self.pids.get(&id.pid()) == Some(&id) {
            self.pids.remove(&id.pid());
        }
        let Some(member) = self.members.get_mut(&slot) else { return Change::default() };
        member.changed.remove(&id);
        member.killers.remove(&id);
        let Some(mut process) = member.processes.remove(&id) else { return Change::default() };
        change(&mut process);
        let agent = member.agent.id.clone();
        self.recent.put(id, (agent.clone(), process.clone()));
        let emptied = (member.processes.is_empty() && !member.ending).then_some(slot);
        Change { process: Some((agent, process)), emptied }
    }
}

/// The process has ended, and used this much, which is exact where readings from /proc come in clock ticks.
fn exited(
    process: &mut Process,
    (at, exit): (Timestamp, Exit),
    killer: Option<Killer>,
    (cpu_ns, peak_rss_bytes): (u64, u64),
) {
    process.ended = Some(at);
    process.exit = Some(exit);
    process.killer = killer;
    process.cpu_ns = cpu_ns;
    process.peak_rss_bytes = process.peak_rss_bytes.max(peak_rss_bytes);
}

/// The process has used this much so far, as one reading says.
fn used(process: &mut Process, cpu_ns: u64, peak_rss_bytes: u64, resources: Option<Resources>) {
    process.cpu_ns = process.cpu_ns.max(cpu_ns);
    process.resources = resources.map(|now| now.after(process.resources)).or(process.resources);
    process.peak_rss_bytes = process.peak_rss_bytes.max(peak_rss_bytes);
}
