//! What has been counted since the daemon started, by agent: the records that go into the store, added up.

use std::{sync::Arc, time::Duration};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    capped::{Capped, Rooms},
    gpu_totals::{self, Gpus},
    operations::OperationTotals,
    throttled::Throttled,
    tools::{ToolTotals, tool_calls},
};
use crate::model::{
    agent::Agent,
    cgroup::Cgroups,
    cuda::CudaCall,
    host::HostWindow,
    id::{AgentId, ProcessId},
    ledger::Cause,
    off_cpu::WaitCause,
    process::{Exit, Process, Resources},
    record::{Arrived, Record},
    syscall::SyscallStat,
    time::Timestamp,
    window::Window,
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

/// What one agent did, or those together that found no room.
#[derive(Clone, Debug)]
pub(super) struct AgentTotals {
    /// Nothing of those that are counted together.
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) cpu_ns: u64,
    pub(super) cpu_samples: u64,
    pub(super) processes_started: u64,
    pub(super) exits: [u64; RESULTS.len()],
    pub(super) waits: [WaitTotals; WaitCause::ALL.len()],
    /// Wall clock by cause, ns.
    pub(super) ledger: [u64; Cause::ALL.len()],
    /// Calls of CUDA by kind.
    pub(super) cuda: [CudaTotals; CudaCall::ALL.len()],
    pub(super) syscalls: Capped<u32, SyscallTotals>,
    /// By syscall and errno.
    pub(super) syscall_errors: Capped<(u32, u32), u64>,
    pub(super) processes: Capped<ProcessId, ProcessTotals>,
    /// Tool calls, by name.
    pub(super) tools: Capped<Arc<str>, ToolTotals>,
    pub(super) gpus: Gpus,
    /// CPU time that was withheld from it.
    pub(super) throttled: Throttled,
    /// The live processes.
    live: FxHashMap<ProcessId, Live>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Live {
    /// CPU time that has been counted, ns.
    cpu_ns: u64,
    resources: Option<Resources>,
}

/// How a process can end, as the label `result` has it.
pub(super) const RESULTS: [&str; 4] = ["success", "failure", "signal", "unknown"];

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WaitTotals {
    pub(super) blocked_ns: u64,
    pub(super) run_queue_ns: u64,
    pub(super) count: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CudaTotals {
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) bytes: u64,
    pub(super) wait_ns: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SyscallTotals {
    pub(super) count: u64,
    pub(super) ns: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ProcessTotals {
    pub(super) comm: Arc<str>,
    pub(super) cpu_ns: u64,
    pub(super) peak_bytes: u64,
    ended: Option<Timestamp>,
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

    /// Adds operations, and tool calls to those of their agents.
    pub(super) fn arrived(&mut self, arrived: &Arrived) {
        self.operations.add(arrived);
        for (key, sum) in tool_calls(arrived) {
            if let Some((totals, rooms)) = key.agent.as_ref().and_then(|agent| self.of(agent)) {
                totals.tools.entry(key.name.into(), &mut rooms.tools).add(&sum);
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

impl AgentTotals {
    fn new(agent: Option<Arc<Agent>>) -> Self {
        Self {
            agent,
            cpu_ns: 0,
            cpu_samples: 0,
            processes_started: 0,
            exits: [0; RESULTS.len()],
            waits: [WaitTotals::default(); WaitCause::ALL.len()],
            ledger: [0; Cause::ALL.len()],
            cuda: [CudaTotals::default(); CudaCall::ALL.len()],
            syscalls: Capped::default(),
            syscall_errors: Capped::default(),
            processes: Capped::default(),
            tools: Capped::default(),
            gpus: Gpus::new(),
            throttled: Throttled::default(),
            live: FxHashMap::default(),
        }
    }

    /// Its processes that live, as far as is known: nobody looks after those of an agent that is no longer watched.
    fn live(&self) -> impl Iterator<Item = &Live> {
        let is_watched = self.agent.as_ref().is_none_or(|agent| agent.ended.is_none());
        self.live.values().filter(move |_| is_watched)
    }

    /// Processes that live.
    pub(super) fn live_processes(&self) -> usize {
        self.live().count()
    }

    /// Those that live, and those with room of their own that ended not long ago.
    pub(super) fn known_processes(&self) -> impl Iterator<Item = ProcessId> {
        let ended = |(id, total): (Option<ProcessId>, &ProcessTotals)| id.filter(|_| total.ended.is_some());
        self.live.keys().copied().chain(self.processes.iter().filter_map(ended))
    }

    /// What they have together.
    pub(super) fn resources(&self) -> Resources {
        Resources::sum(self.live().filter_map(|live| live.resources))
    }

    /// What their control groups come to.
    pub(super) fn cgroups(&self) -> Cgroups {
        self.live().filter_map(|live| live.resources?.cgroup).collect()
    }

    fn process(&mut self, process: &Process, rooms: &mut Rooms) {
        let used = process.cpu_ns.saturating_sub(process.cpu_before_ns);
        let before = self.live.get(&process.id).map(|live| live.cpu_ns);
        // Told once more after its end, as when the agent is watched anew: it is counted already.
        if self.processes.get(&process.id).is_some_and(|total| total.ended.is_some()) {
            return;
        }
        let total = self.processes.entry(process.id, &mut rooms.processes);
        let new = used.saturating_sub(before.unwrap_or(0));
        self.cpu_ns += new;
        self.processes_started += u64::from(before.is_none());
        total.cpu_ns += new;
        total.peak_bytes = total.peak_bytes.max(process.peak_rss_bytes);
        if let Some(cgroup) = process.resources.and_then(|resources| resources.cgroup) {
            self.throttled.see(cgroup);
        }
        if *total.comm != *process.comm {
            total.comm = process.comm.as_str().into();
        }
        match process.ended {
            None => {
                let cpu_ns = used.max(before.unwrap_or(0));
                self.live.insert(process.id, Live { cpu_ns, resources: process.resources });
            }
            Some(_) => {
                total.ended = process.ended;
                self.live.remove(&process.id);
                let result = result_of(process.exit);
                if let Some(count) =
                    RESULTS.iter().position(|r| *r == result).and_then(|i| self.exits.get_mut(i))
                {
                    *count += 1;
                }
            }
        }
    }

    fn window(&mut self, window: &Window, rooms: &mut Rooms) {
        self.cpu_samples += window.cpu.iter().map(|stat| stat.samples).sum::<u64>();
        for stat in &window.off_cpu {
            if let Some(totals) = self.waits.get_mut(stat.cause as usize) {
                totals.blocked_ns += stat.blocked_ns;
                totals.run_queue_ns += stat.run_queue_ns;
                totals.count += stat.count;
            }
        }
        for (cause, ns) in window.ledger.causes() {
            if let Some(sum) = self.ledger.get_mut(cause as usize) {
                *sum = sum.saturating_add(ns);
            }
        }
        for stat in &window.cuda {
            if let Some(totals) = self.cuda.get_mut(usize::from(stat.call.number())) {
                totals.calls = totals.calls.saturating_add(stat.calls);
                totals.errors = totals.errors.saturating_add(stat.errors);
                totals.bytes = totals.bytes.saturating_add(stat.bytes);
                totals.wait_ns = totals.wait_ns.saturating_add(stat.wait_ns());
            }
        }
        for stat in &window.syscalls {
            self.syscall(stat, rooms);
        }
    }

    fn syscall(&mut self, stat: &SyscallStat, rooms: &mut Rooms) {
        let totals = self.syscalls.entry(stat.number, &mut rooms.syscalls);
        totals.count += stat.count;
        totals.ns += stat.total_ns;
        for (errno, count) in &stat.errors {
            *self.syscall_errors.entry((stat.number, *errno), &mut rooms.syscall_errors) += count;
        }
    }

    fn expire_processes(&mut self, cutoff: Timestamp, rooms: &mut Rooms) {
        let ended = |(id, total): (Option<ProcessId>, &ProcessTotals)| {
            id.filter(|_| total.ended.is_some_and(|at| at <= cutoff))
        };
        let gone: Vec<ProcessId> = self.processes.iter().filter_map(ended).collect();
        for id in gone {
            self.processes.remove(&id, &mut rooms.processes);
        }
    }

    /// Forgets a process, whether it ended or is only no longer watched.
    fn forget(&mut self, id: &ProcessId, rooms: &mut Rooms) {
        self.live.remove(id);
        self.processes.remove(id, &mut rooms.processes);
    }

    fn give_back(&self, rooms: &mut Rooms) {
        rooms.syscalls.give_back(self.syscalls.len());
        rooms.syscall_errors.give_back(self.syscall_errors.len());
        rooms.processes.give_back(self.processes.len());
        rooms.tools.give_back(self.tools.len());
    }
}

fn result_of(exit: Option<Exit>) -> &'static str {
    match exit {
        Some(Exit::Code(0)) => "success",
        Some(Exit::Code(_)) => "failure",
        Some(Exit::Signal { .. }) => "signal",
        None => "unknown",
    }
}
