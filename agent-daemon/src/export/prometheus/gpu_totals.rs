//! What each agent's processes did with GPUs since the daemon started.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::agent_totals::AgentTotals;
use crate::model::{
    host::{
        HostWindow,
        gpu::{GpuProcess, MAX_GPU_ROWS},
    },
    id::ProcessId,
};

/// What an agent did with one GPU.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GpuTotals {
    pub(super) busy_ns: u64,
    /// `None` where the GPU does not tell.
    pub(super) energy_mj: Option<u64>,
    /// Bytes, as of the last window.
    pub(super) memory: u64,
}

/// GPUs by uuid, [`MAX_GPU_ROWS`] at most.
pub(super) type Gpus = BTreeMap<String, GpuTotals>;

/// Adds what a window tells of processes to their agents.
pub(super) fn add<'a>(window: &HostWindow, agents: impl Iterator<Item = &'a mut AgentTotals>) {
    // By pid: few processes of the host are on GPUs, and of those fewer are an agent's.
    let mut users: FxHashMap<u32, Vec<(&str, &GpuProcess)>> = FxHashMap::default();
    for (uuid, process) in window.gpus.iter().flat_map(|gpu| gpu.processes.iter().map(|p| (&*gpu.uuid, p))) {
        if let Some(id) = process.process {
            users.entry(id.pid()).or_default().push((uuid, process));
        }
    }
    for agent in agents {
        agent.gpus.values_mut().for_each(|gpu| gpu.memory = 0);
        if !users.is_empty() {
            add_to(agent, &users);
        }
    }
}

fn add_to(agent: &mut AgentTotals, users: &FxHashMap<u32, Vec<(&str, &GpuProcess)>>) {
    let used: Vec<(&str, GpuProcess)> = agent
        .known_processes()
        .flat_map(|id: ProcessId| users.get(&id.pid()).into_iter().flatten().map(move |user| (id, user)))
        .filter(|(id, (_, process))| process.is(*id))
        .map(|(_, (uuid, process))| (*uuid, **process))
        .collect();
    for (uuid, process) in used {
        if !agent.gpus.contains_key(uuid) && agent.gpus.len() >= MAX_GPU_ROWS {
            continue;
        }
        let total = agent.gpus.entry(uuid.to_owned()).or_default();
        total.busy_ns = total.busy_ns.saturating_add(process.busy_ns.unwrap_or(0));
        if let Some(energy) = process.energy_mj {
            total.energy_mj = Some(total.energy_mj.unwrap_or(0).saturating_add(energy));
        }
        total.memory = total.memory.saturating_add(process.memory.unwrap_or(0));
    }
}
