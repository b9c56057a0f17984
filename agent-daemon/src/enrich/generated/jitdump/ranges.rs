//! Where generated code is, and which record of a jitdump tells of it. Newer code takes the place of older code where
//! they overlap. At most [`MAX`] pieces are kept, some 5 MB: beyond, the older half is forgotten, since code that was
//! made first and never replaced is mostly code that is not run any more.

use std::{collections::BTreeMap, num::NonZeroU64};

/// Pieces of code kept.
pub(super) const MAX: usize = 64 << 10;

/// One piece of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    /// First address after.
    pub(super) end: u64,
    /// The runtime's number for it.
    pub(super) index: u64,
    /// Offset of the record that loaded it: the larger, the newer.
    pub(super) load: u64,
    /// Offset of the record that tells its lines.
    pub(super) debug: Option<NonZeroU64>,
    /// How far it was moved since it was loaded, wrapping.
    pub(super) moved: u64,
}

/// The code of a process, by address; no two pieces overlap.
#[derive(Default)]
pub(super) struct Ranges(BTreeMap<u64, Code>);

impl Ranges {
    /// Puts code in its place. An empty one, or one that ends before it begins, is none.
    pub(super) fn insert(&mut self, start: u64, code: Code) {
        if start >= code.end {
            return;
        }
        self.clear(start, code.end);
        self.0.insert(start, code);
        if self.0.len() > MAX {
            self.forget_older();
        }
    }

    /// Takes the code away that has this number and begins here.
    pub(super) fn take(&mut self, start: u64, index: u64) -> Option<Code> {
        self.0.get(&start).filter(|c| c.index == index)?;
        self.0.remove(&start)
    }

    /// The code at an address.
    pub(super) fn find(&self, address: u64) -> Option<&Code> {
        let (_, code) = self.0.range(..=address).next_back()?;
        (address < code.end).then_some(code)
    }

    /// Makes room: what overlaps is cut.
    pub(super) fn clear(&mut self, start: u64, end: u64) {
        if let Some((_, before)) = self.0.range_mut(..start).next_back() {
            let old = *before;
            before.end = old.end.min(start);
            if old.end > end {
                self.0.insert(end, old);
                return;
            }
        }
        while let Some((&at, &old)) = self.0.range(start..end).next() {
            self.0.remove(&at);
            if old.end > end {
                self.0.insert(end, old);
            }
        }
    }

    fn forget_older(&mut self) {
        let mut loads: Vec<u64> = self.0.values().map(|c| c.load).collect();
        let half = loads.len() / 2;
        let (_, &mut middle, _) = loads.select_nth_unstable(half);
        self.0.retain(|_, c| c.load > middle);
        tracing::debug!(kept = self.0.len(), "a jitdump tells of too much code: the older half is forgotten");
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn code(end: u64, load: u64) -> Code {
        Code { end, index: load, load, debug: None, moved: 0 }
    }

    #[test]
    fn the_older_half_goes_when_there_is_too_much() {
        let mut ranges = Ranges::default();
        for i in 0..=MAX as u64 {
            ranges.insert(i * 16, code(i * 16 + 8, i));
        }
        assert_eq!(ranges.len(), MAX / 2);
        assert_eq!([0, MAX as u64].map(|i| ranges.find(i * 16).is_some()), [false, true]);
    }

    #[test]
    fn code_is_taken_by_its_place_and_number() {
        let mut ranges = Ranges::default();
        ranges.insert(10, code(20, 1));
        ranges.insert(30, code(30, 2));
        assert_eq!((ranges.take(10, 2), ranges.take(11, 1), ranges.take(30, 2)), (None, None, None));
        assert_eq!(ranges.take(10, 1), Some(code(20, 1)));
        assert_eq!(ranges.find(10), None);
    }

    proptest! {
        #[test]
        fn the_newest_code_covers_an_address(
            inserted in prop::collection::vec((0u64..64, 0u64..32), 0..60),
            huge in any::<bool>(),
        ) {
            let base = if huge { u64::MAX - 64 } else { 0 };
            let mut ranges = Ranges::default();
            let mut expected = [None; 64];
            for (load, &(start, size)) in (0u64..).zip(&inserted) {
                let end = (start + size).min(64);
                ranges.insert(base + start, code(base + end, load));
                for i in start..end {
                    expected[i as usize] = Some(load);
                }
            }
            for (i, expected) in (0u64..).zip(expected) {
                prop_assert_eq!(ranges.find(base + i).map(|c| c.load), expected);
            }
            prop_assert!(ranges.len() <= 64);
        }
    }
}
