//! Named counters of what the programs lost.

use agent_common::loss::COUNT;
use aya_ebpf::{macros::map, maps::PerCpuArray};

#[map]
static LOSSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNT, 0);

/// Counts one loss; `id` is a constant of `agent_common::loss`.
#[inline(always)]
pub(crate) fn count(id: u32) {
    if let Some(counter) = LOSSES.get_ptr_mut(id) {
        // SAFETY: a per-CPU value; an interrupting program may make us miss one, which is as good.
        unsafe { *counter += 1 }
    }
}
