//! What has been counted since the daemon started, by agent: the records that go into the store, added up.

use std::time::Duration;

use rustc_hash::FxHashMap;

use super::{
    capped::{Capped, Room},
    operations::OperationTotals,
};
use crate::model::{
    agent::Agent,
    id::{AgentId, ProcessId},
    off_cpu::WaitCause,
    process::{Exit, Process},
    record::Record,
    syscall::SyscallStat,
    time::Timestamp,
    window::Window,
};

/// How long the series of what has ended stay: several scrapes see the last value.
const AFTER_END: Duration = Duration::from_secs(600);
/// Agents that are told of, live and ended.
const MAX_AGENTS: usize = 1024;

/// The totals of every agent.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) agents: FxHashMap<AgentId, AgentTotals>,
    pub(super) rooms: Rooms,
    pub(super) operations: OperationTotals,
}

/// Room for the series that are many.
#[derive(Debug)]
pub(super) struct Rooms {
    pub(super) syscalls: Room,
    pub(super) syscall_errors: Room,
    pub(super) processes: Room,
}

/// What one agent did.
#[derive(Debug)]
pub(super) struct AgentTotals {
    pub(super) agent: Agent,
    pub(super) cpu_ns: u64,
    pub(super) cpu_samples: u64,
    pub(super) processes_started: u64,
    pub(super) exits: [u64; RESULTS.len()],
    pub(super) waits: [WaitTotals; WaitCause::ALL.len()],
    pub(super) syscalls: Capped<u32, SyscallTotals>,
    /// By syscall and errno.
    pub(super) syscall_errors: Capped<(u32, u32), u64>,
    pub(super) processes: Capped<ProcessId, ProcessTotals>,
    /// CPU time of the live processes that has been counted, ns.
    counted: FxHashMap<ProcessId, u64>,
}

/// How a process can end, as the label `result` has it.
pub(super) const RESULTS: [&str; 4] = ["success", "failure", "signal", "unknown"];

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WaitTotals {
    pub(super) blocked_ns: u64,
    pub(super) run_queue_ns: u64,
    pub(super) count: u64,
}

#[derive(Debug, Default)]
pub(super) struct SyscallTotals {
    pub(super) count: u64,
    pub(super) ns: u64,
}

#[derive(Debug, Default)]
pub(super) struct ProcessTotals {
    pub(super) comm: String,
    pub(super) cpu_ns: u64,
    pub(super) peak_bytes: u64,
    ended: Option<Timestamp>,
}

impl Totals {
    /// Nothing counted yet; room for `max_series` of each kind.
    pub(super) fn new(max_series: usize) -> Self {
        let room = || Room::new(max_series);
        Self {
            agents: FxHashMap::default(),
            operations: OperationTotals::default(),
            rooms: Rooms { syscalls: room(), syscall_errors: room(), processes: room() },
        }
    }

    /// Adds a record.
    pub(super) fn add(&mut self, record: &Record) {
        match record {
            Record::Agent(agent) => self.agent(agent),
            Record::Process(id, process) => {
                if let Some(totals) = self.agents.get_mut(id) {
                    totals.process(process, &mut self.rooms);
                }
            }
            Record::Window(window) => {
                if let Some(totals) = self.agents.get_mut(&window.agent) {
                    totals.window(window, &mut self.rooms);
                }
            }
            Record::Operations(arrived) => self.operations.add(arrived),
            Record::Barrier(_) => {}
        }
    }

    fn agent(&mut self, agent: &Agent) {
        if let Some(totals) = self.agents.get_mut(&agent.id) {
            totals.agent = agent.clone();
        } else if self.agents.len() < MAX_AGENTS {
            self.agents.insert(agent.id.clone(), AgentTotals::new(agent.clone()));
        }
    }

    /// Forgets what ended long ago.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let Ok(cutoff) = now.checked_sub(AFTER_END) else { return };
        let rooms = &mut self.rooms;
        self.agents.retain(|_, totals| {
            let keep = totals.agent.ended.is_none_or(|(at, _)| at > cutoff);
            if keep {
                totals.expire_processes(cutoff, rooms);
            } else {
                totals.give_back(rooms);
            }
            keep
        });
    }
}

impl AgentTotals {
    fn new(agent: Agent) -> Self {
        Self {
            agent,
            cpu_ns: 0,
            cpu_samples: 0,
            processes_started: 0,
            exits: [0; RESULTS.len()],
            waits: [WaitTotals::default(); WaitCause::ALL.len()],
            syscalls: Capped::default(),
            syscall_errors: Capped::default(),
            processes: Capped::default(),
            counted: FxHashMap::default(),
        }
    }

    /// Processes that live.
    pub(super) fn live_processes(&self) -> usize {
        self.counted.len()
    }

    fn process(&mut self, process: &Process, rooms: &mut Rooms) {
        let used = process.cpu_ns.saturating_sub(process.cpu_before_ns);
        let before = self.counted.get(&process.id).copied();
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
        total.comm.clone_from(&process.comm);
        match process.ended {
            None => {
                self.counted.insert(process.id, used.max(before.unwrap_or(0)));
            }
            Some(_) => {
                total.ended = process.ended;
                self.counted.remove(&process.id);
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

    fn give_back(&self, rooms: &mut Rooms) {
        rooms.syscalls.give_back(self.syscalls.len());
        rooms.syscall_errors.give_back(self.syscall_errors.len());
        rooms.processes.give_back(self.processes.len());
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
