//! Totals by key, of which only so many have a place of their own.

use std::hash::Hash;

use rustc_hash::{FxHashMap, FxHashSet};

/// How many series of one kind there may be, over all agents.
#[derive(Clone, Debug)]
pub(super) struct Room {
    max: usize,
    used: usize,
    /// Keys that found no room.
    pub(super) overflowed: u64,
}

impl Room {
    pub(super) fn new(max: usize) -> Self {
        Self { max, used: 0, overflowed: 0 }
    }

    fn take(&mut self) -> bool {
        let free = self.used < self.max;
        self.used += usize::from(free);
        free
    }

    /// Takes `n` places back.
    pub(super) fn give_back(&mut self, n: usize) {
        self.used = self.used.saturating_sub(n);
    }
}

/// Room for each kind of series that are many.
#[derive(Clone, Debug)]
pub(super) struct Rooms {
    pub(super) syscalls: Room,
    pub(super) syscall_errors: Room,
    pub(super) processes: Room,
    pub(super) tools: Room,
    pub(super) llm: Room,
    pub(super) http: Room,
    pub(super) gen_ai: Room,
}

impl Rooms {
    /// Room for `max` of each kind.
    pub(super) fn new(max: usize) -> Self {
        let room = || Room::new(max);
        let (syscalls, syscall_errors, processes) = (room(), room(), room());
        // Each is many series.
        let histograms = || Room::new(max / 16);
        let (http, gen_ai) = (histograms(), histograms());
        Self { syscalls, syscall_errors, processes, tools: room(), llm: room(), http, gen_ai }
    }
}

/// Totals by key. A key that came when there was no room stays among the others: what was counted there cannot be
/// taken out again without a counter going back.
#[derive(Clone, Debug)]
pub(super) struct Capped<K, V> {
    known: FxHashMap<K, V>,
    /// The keys that found no room, so that each is counted once; at most as many as are known.
    refused: FxHashSet<K>,
    other: Option<V>,
}

impl<K, V> Default for Capped<K, V> {
    fn default() -> Self {
        Self { known: FxHashMap::default(), refused: FxHashSet::default(), other: None }
    }
}

impl<K: Hash + Eq + Clone, V: Default> Capped<K, V> {
    /// The total to add to for `key`.
    pub(super) fn entry(&mut self, key: K, room: &mut Room) -> &mut V {
        if self.known.contains_key(&key) || !self.refused.contains(&key) && room.take() {
            return self.known.entry(key).or_default();
        }
        if self.refused.len() < room.max && self.refused.insert(key) {
            room.overflowed += 1;
        }
        self.other.get_or_insert_default()
    }

    /// The total of `key`, if it has a place of its own.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key)
    }

    /// Forgets `key`, if it had a place of its own.
    pub(super) fn remove(&mut self, key: &K, room: &mut Room) {
        self.refused.remove(key);
        if self.known.remove(key).is_some() {
            room.give_back(1);
        }
    }

    /// Every total; the key of those without a place is `None`.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Option<K>, &V)> {
        self.known
            .iter()
            .map(|(key, total)| (Some(key.clone()), total))
            .chain(self.other.iter().map(|total| (None, total)))
    }

    /// Places taken.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        /// Whatever comes: never more places than there is room for, nothing uncounted, no total that shrinks.
        #[test]
        fn sums_are_kept_within_the_room(adds in prop::collection::vec((0u8..40, any::<u16>()), 0..200), max in 0usize..30) {
            let mut room = Room::new(max);
            let mut totals: Capped<u8, u64> = Capped::default();
            let mut sum = 0u64;
            for (key, n) in adds {
                *totals.entry(key, &mut room) += u64::from(n);
                sum += u64::from(n);
                prop_assert!(totals.len() <= max);
                prop_assert_eq!(totals.iter().map(|(_, n)| *n).sum::<u64>(), sum);
            }
        }
    }

    #[test]
    fn who_came_late_stays_among_the_others() {
        let mut room = Room::new(1);
        let mut totals: Capped<u8, u64> = Capped::default();
        *totals.entry(1, &mut room) += 1;
        *totals.entry(2, &mut room) += 1;
        *totals.entry(2, &mut room) += 1;
        assert_eq!(room.overflowed, 1);
        totals.remove(&1, &mut room);
        *totals.entry(2, &mut room) += 1;
        *totals.entry(3, &mut room) += 1;
        let mut all: Vec<_> = totals.iter().map(|(key, n)| (key, *n)).collect();
        all.sort_unstable();
        assert_eq!(all, [(None, 3), (Some(3), 1)]);
    }
}
