//! How many different things there were, of whom only so many hashes are kept: exact below 256, then an estimate.
//!
//! The smallest 256 of evenly spread hashes are kept. Where the 256th lies in the range of all hashes tells how many
//! there are: about 6 % off (standard error). Merging two keeps the smallest of both: nothing is lost by it.

use std::collections::BTreeSet;

use crate::model::hash;

/// Hashes that are kept.
const KEPT: usize = 256;

/// The different things that were seen, by their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distinct(BTreeSet<u64>);

impl Distinct {
    /// Takes a thing in, by a hash that is spread evenly.
    pub fn add_hash(&mut self, hash: u64) {
        self.0.insert(hash);
        if self.0.len() > KEPT {
            self.0.pop_last();
        }
    }

    /// Takes a text in.
    pub fn add(&mut self, text: &str) {
        self.add_hash(spread(text));
    }

    /// Takes in what another has seen.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|hash| self.add_hash(*hash));
    }

    /// The hashes that are kept, in order.
    pub fn hashes(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.0.iter().copied()
    }

    /// How many there were: exact below 256.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self.0.last() {
            Some(last) if self.0.len() == KEPT => {
                let share = (*last as f64 + 1.0) / (u64::MAX as f64);
                ((KEPT as f64 - 1.0) / share).round() as u64
            }
            _ => self.0.len() as u64,
        }
    }
}

/// A hash of a text, spread evenly.
fn spread(text: &str) -> u64 {
    hash::spread(hash::fnv1a(hash::FNV_START, text.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_exactly_and_many_nearly() {
        let mut seen = Distinct::default();
        for n in 0..100 {
            seen.add(&format!("user {n}"));
            seen.add(&format!("user {n}"));
        }
        assert_eq!(seen.count(), 100);
        for total in [1_000u64, 20_000, 300_000] {
            (0..total).for_each(|n| seen.add(&format!("user {n}")));
            let off = seen.count().abs_diff(total) as f64 / total as f64;
            assert!(off < 0.2, "{} of {total}", seen.count());
            assert_eq!(seen.hashes().len(), KEPT);
        }
    }

    #[test]
    fn merging_is_seeing_together() {
        let of = |range: std::ops::Range<u32>| {
            let mut seen = Distinct::default();
            range.for_each(|n| seen.add(&n.to_string()));
            seen
        };
        let mut merged = of(0..700);
        merged.merge(&of(300..1000));
        assert_eq!(merged, of(0..1000));
    }
}
