//! What one agent did since the daemon started: its records, added up.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{
    capped::{Capped, Rooms},
    devices::DeviceTotals,
    gen_ai::GenAiTotals,
    gpu_totals::Gpus,
    http::HttpTotals,
    llm::{LlmTotals, ModelKey},
    series::OTHER,
    signals::SignalTotals,
    throttled::Throttled,
    tools::ToolTotals,
};
use crate::{
    model::{
        agent::Agent,
        cgroup::Cgroups,
        cuda::CudaCall,
        file::FileStat,
        http::Endpoint,
        id::ProcessId,
        ledger::Cause,
        off_cpu::WaitCause,
        process::{Exit, Process, Resources},
        syscall::SyscallStat,
        time::Timestamp,
        window::Window,
    },
    store::summary::Cuda,
};

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
    pub(super) cuda: [Cuda; CudaCall::ALL.len()],
    /// Files, over all paths.
    pub(super) files: FileStat,
    /// Traffic and block I/O.
    pub(super) devices: DeviceTotals,
    pub(super) syscalls: Capped<u32, SyscallTotals>,
    /// By syscall and errno.
    pub(super) syscall_errors: Capped<(u32, u32), u64>,
    pub(super) processes: Capped<ProcessId, ProcessTotals>,
    /// Tool calls, by name.
    pub(super) tools: Capped<Arc<str>, ToolTotals>,
    /// Calls of models, by model.
    pub(super) llm: Capped<ModelKey, LlmTotals>,
    /// Exchanges over HTTP, by endpoint.
    pub(super) http: Capped<Endpoint, HttpTotals>,
    /// Calls of models and of MCP servers, as histograms.
    pub(super) gen_ai: GenAiTotals,
    pub(super) signals: SignalTotals,
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

impl AgentTotals {
    pub(super) fn new(agent: Option<Arc<Agent>>) -> Self {
        Self {
            agent,
            cpu_ns: 0,
            cpu_samples: 0,
            processes_started: 0,
            exits: [0; RESULTS.len()],
            waits: [WaitTotals::default(); WaitCause::ALL.len()],
            ledger: [0; Cause::ALL.len()],
            cuda: [Cuda::default(); CudaCall::ALL.len()],
            files: FileStat::new(ProcessId(0), Arc::default()),
            devices: DeviceTotals::default(),
            syscalls: Capped::default(),
            syscall_errors: Capped::default(),
            processes: Capped::default(),
            tools: Capped::default(),
            llm: Capped::default(),
            http: Capped::default(),
            gen_ai: GenAiTotals::default(),
            signals: SignalTotals::default(),
            gpus: Gpus::new(),
            throttled: Throttled::default(),
            live: FxHashMap::default(),
        }
    }

    /// Its name and id.
    pub(super) fn labels(&self) -> [String; 2] {
        match self.agent.as_deref() {
            Some(agent) => [agent.name.clone(), agent.id.to_string()],
            None => [OTHER, OTHER].map(str::to_owned),
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
    /// `None` before any was read: nothing grew from 0 then.
    pub(super) fn resources(&self) -> Option<Resources> {
        let mut read = self.live().filter_map(|live| live.resources).peekable();
        let all_ended = self.processes_started > 0 && self.live().next().is_none();
        (read.peek().is_some() || all_ended).then(|| Resources::sum(read))
    }

    /// What their control groups come to.
    pub(super) fn cgroups(&self) -> Cgroups {
        self.live().filter_map(|live| live.resources?.cgroup).collect()
    }

    pub(super) fn process(&mut self, process: &Process, rooms: &mut Rooms) {
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

    pub(super) fn window(&mut self, window: &Window, rooms: &mut Rooms) {
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
                totals.add(stat.into());
            }
        }
        window.files.iter().for_each(|stat| self.files.merge(stat));
        self.devices.add(window);
        for stat in &window.http {
            self.http.entry(stat.endpoint.clone(), &mut rooms.http).add(stat);
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

    pub(super) fn expire_processes(&mut self, cutoff: Timestamp, rooms: &mut Rooms) {
        let ended = |(id, total): (Option<ProcessId>, &ProcessTotals)| {
            id.filter(|_| total.ended.is_some_and(|at| at <= cutoff))
        };
        let gone: Vec<ProcessId> = self.processes.iter().filter_map(ended).collect();
        for id in gone {
            self.processes.remove(&id, &mut rooms.processes);
        }
    }

    /// Forgets a process, whether it ended or is only no longer watched.
    pub(super) fn forget(&mut self, id: &ProcessId, rooms: &mut Rooms) {
        self.live.remove(id);
        self.processes.remove(id, &mut rooms.processes);
    }

    pub(super) fn give_back(&self, rooms: &mut Rooms) {
        rooms.syscalls.give_back(self.syscalls.len());
        rooms.syscall_errors.give_back(self.syscall_errors.len());
        rooms.processes.give_back(self.processes.len());
        rooms.tools.give_back(self.tools.len());
        rooms.llm.give_back(self.llm.len());
        rooms.http.give_back(self.http.len());
        rooms.gen_ai.give_back(self.gen_ai.len());
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
