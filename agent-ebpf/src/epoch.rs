//! Two generations of every counting map. Programs count in the one that the epoch names; the daemon flips
//! the epoch, waits for an RCU grace period, and then drains the other one with no writer left in it, so
//! that no count falls between a read and a delete.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{Array, PerCpuHashMap},
};

use crate::losses;

#[map]
static EPOCH: Array<u32> = Array::with_max_entries(1, 0);

/// The present epoch.
#[inline(always)]
pub(crate) fn current() -> u32 {
    EPOCH.get(0).copied().unwrap_or(0)
}

/// Whether the odd generation counts now.
#[inline(always)]
pub(crate) fn is_odd() -> bool {
    current() & 1 != 0
}

/// The value of `key`, made from `zero` where it is absent; counts `loss` and returns `None` where the map
/// is full.
#[inline(always)]
pub(crate) fn entry<K, V>(map: &PerCpuHashMap<K, V>, key: &K, zero: &'static V, loss: u32) -> Option<*mut V> {
    let value = find(map, key, zero);
    if value.is_none() {
        losses::count(loss);
    }
    value
}

/// The value of `key`, made from `zero` where it is absent; `None` where the map is full.
#[inline(always)]
pub(crate) fn find<K, V>(map: &PerCpuHashMap<K, V>, key: &K, zero: &'static V) -> Option<*mut V> {
    if let Some(value) = map.get_ptr_mut(key) {
        return Some(value);
    }
    // Never over an entry that is there by now: the iterators can be preempted between the two steps, by a
    // switch on the same CPU that counts under the same key.
    let _ = map.insert(key, zero, u64::from(BPF_NOEXIST));
    map.get_ptr_mut(key)
}
