//! The agents, by slot.

use agent_common::agent::{Agent, SLOTS};
use aya_ebpf::{macros::map, maps::Array};

#[map]
static AGENTS: Array<Agent> = Array::with_max_entries(SLOTS, 0);

/// Whether the agent in `slot` is watched by `probe`.
#[inline(always)]
pub(crate) fn wants(slot: u32, probe: u32) -> bool {
    AGENTS.get(slot).is_some_and(|agent| agent.probes & probe != 0)
}

/// Which of its agents the slot has now; 0 if none.
#[inline(always)]
pub(crate) fn generation(slot: u32) -> u64 {
    AGENTS.get(slot).map_or(0, |agent| agent.generation)
}

/// Pid of the root process of the agent in `slot`.
#[inline(always)]
pub(crate) fn root(slot: u32) -> u32 {
    AGENTS.get(slot).map_or(0, |agent| agent.root)
}

/// One of the agent's processes executes a program: what was to begin then begins.
#[inline(always)]
pub(crate) fn executes(slot: u32) {
    let Some(agent) = AGENTS.get_ptr_mut(slot) else { return };
    // SAFETY: an element of an array map, whose words are written one by one.
    unsafe {
        if (*agent).at_exec != 0 {
            (*agent).probes = (*agent).at_exec;
            (*agent).at_exec = 0;
        }
    }
}

/// Whether the agent in `slot` is watched at all.
#[inline(always)]
pub(crate) fn is_live(slot: u32) -> bool {
    AGENTS.get(slot).is_some_and(|agent| agent.live != 0)
}
