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

/// Whether the agent in `slot` is watched at all.
#[inline(always)]
pub(crate) fn is_live(slot: u32) -> bool {
    AGENTS.get(slot).is_some_and(|agent| agent.live != 0)
}
