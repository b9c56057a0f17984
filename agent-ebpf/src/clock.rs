//! Instants, and how durations are sorted into histograms.

use agent_common::syscalls::BUCKETS;
use aya_ebpf::helpers::bpf_ktime_get_ns;

/// Nanoseconds of the monotonic clock.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_ns() }
}

/// The histogram bucket of `ns`: its log2, at most the last one.
#[inline(always)]
pub(crate) fn bucket(ns: u64) -> usize {
    let log2 = 63 - (ns | 1).leading_zeros() as usize;
    if log2 < BUCKETS { log2 } else { BUCKETS - 1 }
}
