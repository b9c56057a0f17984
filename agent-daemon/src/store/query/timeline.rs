//! Ledgers in the order of time: segments of a chosen length, fit to draw, whose sums are those of the ledger.
//!
//! Windows are not divided: one belongs to the segment in which it begins. Where windows are longer than segments, as old
//! ones are, a segment is one window. Segments are made longer, by doubling, where there would be too many.

use std::{collections::BTreeMap, time::Duration};

use super::Fold;
use crate::model::{
    ledger::Ledger,
    time::{TimeRange, Timestamp},
    window::Window,
};

/// Segments of an answer.
const MAX_SEGMENTS: usize = 1000;

/// Some windows one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// From the first window's start to the last one's end.
    pub range: TimeRange,
    /// Where the time went.
    pub ledger: Ledger,
}

/// A timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// How long segments are, unless windows are longer.
    pub resolution: Duration,
    /// In the order of time. Stretches without a segment were not watched.
    pub segments: Vec<Segment>,
}

/// Sorts windows into segments.
#[derive(Debug)]
pub struct TimelineFold {
    /// ns.
    resolution: i128,
    /// By the segment's number since 1970.
    segments: BTreeMap<i128, Segment>,
}

impl TimelineFold {
    /// Segments of this length, or longer; at least 1 ms.
    #[must_use]
    pub fn new(resolution: Duration) -> Self {
        let ns = i128::try_from(resolution.as_nanos()).unwrap_or(i128::MAX);
        Self { resolution: ns.max(1_000_000), segments: BTreeMap::new() }
    }

    fn put(segments: &mut BTreeMap<i128, Segment>, number: i128, new: Segment) {
        match segments.get_mut(&number) {
            None => drop(segments.insert(number, new)),
            Some(segment) => {
                segment.range.from = segment.range.from.min(new.range.from);
                segment.range.to = segment.range.to.max(new.range.to);
                segment.ledger.merge(&new.ledger);
            }
        }
    }

    /// Makes segments twice as long.
    fn double(&mut self) {
        self.resolution = self.resolution.saturating_mul(2);
        let mut longer = BTreeMap::new();
        for (number, segment) in std::mem::take(&mut self.segments) {
            Self::put(&mut longer, number.div_euclid(2), segment);
        }
        self.segments = longer;
    }

    fn number(&self, start: Timestamp) -> i128 {
        start.as_nanosecond().div_euclid(self.resolution)
    }
}

impl Fold for TimelineFold {
    type Output = Timeline;

    fn add(&mut self, window: &Window) {
        if window.ledger.is_empty() {
            return;
        }
        let range = TimeRange { from: window.start, to: window.end };
        let (number, ledger) = (self.number(window.start), window.ledger.clone());
        Self::put(&mut self.segments, number, Segment { range, ledger });
        while self.segments.len() > MAX_SEGMENTS {
            self.double();
        }
    }

    fn finish(self) -> Timeline {
        let resolution = Duration::from_nanos(u64::try_from(self.resolution).unwrap_or(u64::MAX));
        Timeline { resolution, segments: self.segments.into_values().collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, ledger, window_at},
        query::{LedgerFold, of},
    };

    fn window(second: i64, n: u64) -> Arc<Window> {
        let mut window = window_at(&agent_at(at(0)).id, at(second), 0);
        window.ledger = ledger(n);
        Arc::new(window)
    }

    fn timeline(windows: &[Arc<Window>], seconds: u64) -> Timeline {
        of(windows, TimelineFold::new(Duration::from_secs(seconds)))
    }

    #[test]
    fn windows_are_never_divided() {
        let windows: Vec<_> = (0..6).map(|n| window(5 * n, n as u64)).collect();
        let fine = timeline(&windows, 1);
        assert_eq!(fine.segments.len(), 6);
        assert_eq!(fine.segments[1].range, TimeRange { from: at(5), to: at(10) });
        let coarse = timeline(&windows, 10);
        assert_eq!(coarse.segments.len(), 3);
        assert_eq!(coarse.segments[0].ledger.wall_ns(), 10_000_000_000);
        assert!(timeline(&[], 1).segments.is_empty());
    }

    #[test]
    fn too_many_segments_become_longer_ones() {
        let windows: Vec<_> = (0..3 * MAX_SEGMENTS as i64).map(|n| window(5 * n, 1)).collect();
        let all = timeline(&windows, 5);
        assert!(all.segments.len() <= MAX_SEGMENTS && all.segments.len() > MAX_SEGMENTS / 2);
        assert_eq!(all.resolution, Duration::from_secs(20));
    }

    proptest! {
        #[test]
        fn segments_sum_up_to_the_ledger_in_any_order(
            (seconds, order) in (1..100u64, proptest::collection::vec((0..2000i64, 0..5000u64), 1..50))
                .prop_flat_map(|(s, w)| (Just(s), Just(w).prop_shuffle()))
        ) {
            let windows: Vec<_> = order.iter().map(|(at, n)| window(5 * at, *n)).collect();
            let found = timeline(&windows, seconds);
            let mut sum = Ledger::default();
            found.segments.iter().for_each(|segment| sum.merge(&segment.ledger));
            prop_assert_eq!(sum, of(&windows, LedgerFold::default()));
            let mut sorted = windows.clone();
            sorted.sort_by_key(|window| window.start);
            prop_assert_eq!(&found, &timeline(&sorted, seconds));
            prop_assert!(found.segments.is_sorted_by_key(|segment| segment.range.from));
        }
    }
}
