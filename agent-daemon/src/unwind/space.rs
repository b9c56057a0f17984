//! Places in a map of the kernel, handed out as ranges. What is given back rests for a while before it is handed
//! out again, since a walk that began before may still read it.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    time::{Duration, Instant},
};

/// How long a range rests: walks take microseconds.
pub(super) const REST: Duration = Duration::from_millis(500);

/// The free places.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// Start and end of each free range; no two touch.
    free: BTreeMap<u32, u32>,
    resting: VecDeque<(Instant, Range<u32>)>,
    used: u32,
}

impl Space {
    /// All places below `end` are free.
    pub(super) fn new(end: u32) -> Self {
        Self { free: BTreeMap::from([(0, end)]), resting: VecDeque::new(), used: 0 }
    }

    /// Places that are handed out, or rest.
    pub(super) fn used(&self) -> u32 {
        self.used
    }

    /// The first free range of this length.
    pub(super) fn take(&mut self, length: u32, now: Instant) -> Option<Range<u32>> {
        self.wake(now);
        let (&start, &end) = self.free.iter().find(|(start, end)| **end - **start >= length)?;
        self.free.remove(&start);
        if start + length < end {
            self.free.insert(start + length, end);
        }
        self.used += length;
        Some(start..start + length)
    }

    /// Whether there will be a free range of this length, once all that was given back has rested.
    pub(super) fn will_have(&self, length: u32) -> bool {
        let free = self.free.iter().map(|(start, end)| *start..*end);
        let mut ranges: Vec<_> = free.chain(self.resting.iter().map(|(_, range)| range.clone())).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut joined = 0..0;
        ranges.into_iter().any(|range| {
            joined = if joined.end == range.start { joined.start..range.end } else { range };
            joined.end - joined.start >= length
        })
    }

    /// Gives a range back.
    pub(super) fn give_back(&mut self, range: Range<u32>, now: Instant) {
        if !range.is_empty() {
            self.resting.push_back((now + REST, range));
        }
    }

    fn wake(&mut self, now: Instant) {
        while let Some((_, range)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.used -= range.end - range.start;
            self.release(range);
        }
    }

    fn release(&mut self, range: Range<u32>) {
        let Range { mut start, mut end } = range;
        if let Some((&before, &touches)) = self.free.range(..start).next_back()
            && touches == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(after) = self.free.remove(&end) {
            end = after;
        }
        self.free.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn what_is_given_back_rests_and_joins_its_neighbours() {
        let now = Instant::now();
        let mut space = Space::new(100);
        let ranges: Vec<_> = (0..10).map(|_| space.take(10, now).unwrap()).collect();
        assert_eq!((space.take(1, now), space.used()), (None, 100));
        for range in [&ranges[3], &ranges[5], &ranges[4]] {
            space.give_back(range.clone(), now);
        }
        assert_eq!(space.take(1, now + REST / 2), None, "it rests");
        assert_eq!((space.will_have(30), space.will_have(31)), (true, false));
        assert_eq!(space.take(30, now + REST), Some(30..60));
    }

    proptest! {
        #[test]
        fn ranges_never_overlap_and_nothing_is_lost(
            steps in prop::collection::vec((1u32..40, any::<bool>()), 0..200)
        ) {
            let (mut space, mut now) = (Space::new(256), Instant::now());
            let mut held: Vec<Range<u32>> = Vec::new();
            for (length, gives_back) in steps {
                now += REST / 3;
                if gives_back && !held.is_empty() {
                    space.give_back(held.swap_remove(length as usize % held.len()), now);
                    let later = |length| space.clone().take(length, now + REST).is_some();
                    prop_assert_eq!(space.will_have(length), later(length));
                } else if let Some(range) = space.take(length, now) {
                    prop_assert!(range.end <= 256 && range.len() == length as usize);
                    prop_assert!(held.iter().all(|h| h.end <= range.start || range.end <= h.start));
                    held.push(range);
                }
            }
            for range in held {
                space.give_back(range, now);
            }
            prop_assert_eq!(space.take(256, now + REST), Some(0..256));
        }
    }
}
