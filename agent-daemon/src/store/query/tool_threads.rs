//! What the threads of a tool call did: where the bill's time went. Threads side by side each count, so that the sum may
//! be more than the call took; its ledger divides the wall clock.

use std::collections::BTreeMap;

use super::descendants;
use crate::{
    model::{
        agent::Agent,
        off_cpu::WaitCause,
        operation::Operation,
        probe::Probe,
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError},
};

/// Thread-time of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolThreads {
    /// On a CPU, ns.
    pub cpu_ns: u64,
    /// Could run, but had no CPU, ns.
    pub run_queue_ns: u64,
    /// Blocked, by what was waited for, ns.
    pub blocked_ns: BTreeMap<WaitCause, u64>,
}

/// The wall clock of a tool call, each instant under one cause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolLedger {
    /// Each cause that has time, ns, in the order in which they are blamed. The sum is what the call took.
    pub causes: Vec<(&'static str, u64)>,
    /// Whether threads did something side by side, of which it is not known for how long at once: a later cause may have
    /// had more of the time, hidden under earlier ones.
    pub is_estimate: bool,
}

/// Waits that say what for, in the order in which they are blamed, as in the ledgers of agents.
const BLAMED: [(&str, &[WaitCause]); 6] = [
    ("page_fault", &[WaitCause::PageFault]),
    ("disk", &[WaitCause::Disk]),
    ("gpu", &[WaitCause::Gpu]),
    ("lock", &[WaitCause::Lock]),
    ("network", &[WaitCause::Network]),
    ("idle", &[WaitCause::Timer, WaitCause::Terminal]),
];
/// Waits for others of the same call or for anything: what nothing else explains.
const IDLE: [WaitCause; 5] =
    [WaitCause::Poll, WaitCause::Futex, WaitCause::Ipc, WaitCause::Child, WaitCause::Other];
/// What thread-time may exceed the wall clock by without there having been threads side by side: clocks that are read one
/// after the other, one part of so many.
const SLACK: u64 = 100;

impl ToolThreads {
    /// Divides the `wall_ns` that the call took. Thread-time is all that is known, so that threads side by side are taken
    /// for threads one after the other, up to the wall clock.
    #[must_use]
    pub fn ledger(&self, wall_ns: u64) -> ToolLedger {
        let blocked =
            |causes: &[WaitCause]| causes.iter().filter_map(|cause| self.blocked_ns.get(cause)).sum::<u64>();
        let on_cpu = [("cpu", self.cpu_ns), ("run_queue", self.run_queue_ns)];
        let blamed = on_cpu.into_iter().chain(BLAMED.map(|(name, causes)| (name, blocked(causes))));
        let (mut causes, mut left, mut busy) = (Vec::new(), wall_ns, 0u64);
        for (name, ns) in blamed {
            let taken = ns.min(left);
            (left, busy) = (left - taken, busy.saturating_add(ns));
            causes.push((name, taken));
        }
        let idle = blocked(&IDLE).min(left);
        if let Some((_, ns)) = causes.last_mut() {
            *ns += idle;
        }
        causes.push(("unknown", left - idle));
        causes.retain(|(_, ns)| *ns > 0);
        ToolLedger { causes, is_estimate: busy > wall_ns.saturating_add(wall_ns / SLACK) }
    }
}

/// What the threads of a call did, in the windows in which it ran; `None` where waits were not watched.
///
/// # Errors
/// The store cannot be read.
pub fn tool_threads(store: &dyn Store, call: &Operation) -> Result<Option<ToolThreads>, StoreError> {
    let (Some(id), Some(first), Some(tool)) = (&call.agent, call.process, &call.tool) else {
        return Ok(None);
    };
    let watched = |agent: &Agent| agent.probes.contains(Probe::OffCpu);
    if !store.agent(id).as_ref().is_some_and(watched) {
        return Ok(None);
    }
    let to = call.end().checked_add(std::time::Duration::from_nanos(1)).unwrap_or(Timestamp::MAX);
    let range = TimeRange { from: call.start, to };
    let processes = descendants(&store.processes(id, range)?, first);
    let mut threads = ToolThreads { cpu_ns: tool.bill.cpu_ns(), ..ToolThreads::default() };
    store.visit(id, range, &mut |window| {
        for wait in window.off_cpu.iter().filter(|wait| processes.contains(&wait.process)) {
            threads.run_queue_ns = threads.run_queue_ns.saturating_add(wait.run_queue_ns);
            if wait.blocked_ns > 0 {
                let sum = threads.blocked_ns.entry(wait.cause).or_default();
                *sum = sum.saturating_add(wait.blocked_ns);
            }
        }
    })?;
    Ok(Some(threads))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::{id::AgentId, process::Process},
        store::{
            Limits, Memory,
            fixture::{agent_at, at, off_cpu, process_at, process_id, tool_call_at, window_at},
        },
        telemetry::Telemetry,
    };

    #[test]
    fn the_wall_clock_is_divided_whole() {
        let waits = [(WaitCause::Disk, 30), (WaitCause::Timer, 20), (WaitCause::Child, 90)];
        let threads = ToolThreads { cpu_ns: 40, run_queue_ns: 5, blocked_ns: waits.into() };
        let ledger = threads.ledger(100);
        let causes = [("cpu", 40), ("run_queue", 5), ("disk", 30), ("idle", 25)];
        assert_eq!((ledger.causes, ledger.is_estimate), (causes.to_vec(), false), "its shell waited for it");
        let ledger = threads.ledger(60);
        let causes = [("cpu", 40), ("run_queue", 5), ("disk", 15)];
        assert_eq!((ledger.causes, ledger.is_estimate), (causes.to_vec(), true), "two threads at least");
        let ledger = ToolThreads { cpu_ns: 40, ..ToolThreads::default() }.ledger(100);
        assert_eq!(ledger.causes, [("cpu", 40), ("unknown", 60)]);
    }

    #[test]
    fn waits_of_its_own_processes_are_the_tools() {
        let store = Memory::new(Limits::default(), Arc::new(Telemetry::default()));
        let id = AgentId::new(100, 5);
        store.put_agent(Agent { id: id.clone(), ..agent_at(at(0)) });
        let tool = process_id(7);
        for (pid, parent) in [(7, process_id(1)), (8, tool), (9, process_id(1))] {
            store.put_process(&id, Process { parent: Some(parent), ..process_at(pid, at(0)) });
        }
        let mut window = window_at(&id, at(0), 0);
        window.off_cpu = [7, 8, 9].map(|pid| off_cpu(pid, WaitCause::Timer, &["sleep"], 10, 1)).to_vec();
        store.append(window);
        let call =
            Operation { agent: Some(id), process: Some(tool), duration_ns: 1_000, ..tool_call_at(at(1), 1) };
        let threads = tool_threads(&store, &call).unwrap().unwrap();
        assert_eq!(threads.blocked_ns, [(WaitCause::Timer, 20)].into());
        assert_eq!(threads.run_queue_ns, 2);
        assert_eq!(threads.cpu_ns, call.tool.unwrap().bill.cpu_ns());
    }
}
