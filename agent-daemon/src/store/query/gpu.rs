//! What an agent's processes did with GPUs over a range.

use std::{cmp::Reverse, collections::BTreeMap};

use super::Covered;
use crate::{
    model::{
        host::gpu::{Gpu, GpuProcess},
        id::AgentId,
        time::{TimeRange, Timestamp},
    },
    store::{Store, StoreError},
};

/// What an agent did with GPUs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentGpus {
    /// The host's time that is told of; `None` where nothing was recorded.
    pub covered: Option<Covered>,
    /// By uuid.
    pub gpus: Vec<AgentGpu>,
}

/// What an agent did with one GPU.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentGpu {
    /// Which.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// Its processes there, most time first.
    pub processes: Vec<GpuProcess>,
}

impl AgentGpu {
    /// Time in which their work ran, ns; `None` where nobody tells.
    #[must_use]
    pub fn busy_ns(&self) -> Option<u64> {
        sum(self.processes.iter().map(|process| process.busy_ns))
    }

    /// Their energy, mJ.
    #[must_use]
    pub fn energy_mj(&self) -> Option<u64> {
        sum(self.processes.iter().map(|process| process.energy_mj))
    }

    /// Their memory at the end, bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        sum(self.processes.iter().map(|process| process.memory)).unwrap_or(0)
    }
}

fn sum(amounts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    amounts.flatten().reduce(u64::saturating_add)
}

/// What the agent did with GPUs. Old windows are merged: their rows count whole where they overlap the range.
///
/// # Errors
/// The store cannot be read.
pub fn agent_gpus(store: &dyn Store, agent: &AgentId, range: TimeRange) -> Result<AgentGpus, StoreError> {
    let mut own: BTreeMap<u32, Vec<_>> = BTreeMap::new();
    for process in store.processes(agent, range)? {
        own.entry(process.id.pid()).or_default().push(process.id);
    }
    let is_own = |process: &GpuProcess| {
        let same_pid = process.process.and_then(|id| own.get(&id.pid()));
        same_pid.is_some_and(|own| own.iter().any(|id| process.is(*id)))
    };
    let mut covered = None;
    let mut gpus: BTreeMap<String, (Timestamp, Gpu)> = BTreeMap::new();
    store.visit_host(range, &mut |window| {
        cover(&mut covered, TimeRange { from: window.start, to: window.end });
        for gpu in &window.gpus {
            let processes: Vec<_> = gpu.processes.iter().filter(|process| is_own(process)).copied().collect();
            let known = gpus.contains_key(&gpu.uuid);
            if processes.is_empty() && !known {
                continue;
            }
            let (uuid, name) = (gpu.uuid.clone(), gpu.name.clone());
            let part = Gpu { uuid, name, processes, ..Gpu::default() };
            match gpus.get_mut(&gpu.uuid) {
                Some((end, sum)) => {
                    sum.absorb(&part, window.end >= *end);
                    *end = (*end).max(window.end);
                }
                None => drop(gpus.insert(gpu.uuid.clone(), (window.end, part))),
            }
        }
    })?;
    let gpus = gpus.into_values().map(|(_, gpu)| {
        let mut processes = gpu.processes;
        processes.sort_by_key(|process| (Reverse(process.busy_ns), process.host_pid));
        AgentGpu { uuid: gpu.uuid, name: gpu.name, processes }
    });
    Ok(AgentGpus { covered, gpus: gpus.collect() })
}

fn cover(covered: &mut Option<Covered>, window: TimeRange) {
    let told = covered.get_or_insert(Covered { range: window, windows: 0 });
    told.range = TimeRange { from: told.range.from.min(window.from), to: told.range.to.max(window.to) };
    told.windows += 1;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::host::HostWindow,
        store::{
            Limits, Memory,
            fixture::{at, gpu_at, numbered_agent, process_at},
        },
    };

    fn window(n: u32) -> HostWindow {
        let start = at(5 * i64::from(n));
        let end = start + std::time::Duration::from_secs(5);
        HostWindow { start, end, gpus: vec![gpu_at(n)], ..HostWindow::default() }
    }

    #[test]
    fn an_agent_has_what_its_own_processes_did() {
        let store = Memory::new(Limits::default(), Arc::default());
        let agents = [numbered_agent(100, at(0)), numbered_agent(7, at(0))];
        agents.iter().for_each(|agent| store.put_agent(agent.clone()));
        store.put_process(&agents[0].id, process_at(100, at(0)));
        // Another process, by whose pid NVML told something that it could not tie to a process.
        store.put_process(&agents[1].id, process_at(4711, at(0)));
        (1..4).for_each(|n| store.put_host(window(n)));
        let told = agent_gpus(&store, &agents[0].id, TimeRange::ALL).unwrap();
        let [gpu] = told.gpus.as_slice() else { panic!("{told:?}") };
        assert_eq!((gpu.busy_ns(), gpu.energy_mj(), gpu.memory()), (Some(6_000_000), Some(60), 1 << 30));
        assert_eq!((gpu.processes.len(), told.covered.unwrap().windows), (1, 3));
        let other = agent_gpus(&store, &agents[1].id, TimeRange::ALL).unwrap();
        assert_eq!((other.gpus.len(), other.covered.unwrap().windows), (0, 3));
    }
}
