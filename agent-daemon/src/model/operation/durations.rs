//! A histogram of durations whose buckets grow with the duration, so that percentiles are known to within a few per
//! cent whatever their size. Merging two is adding counts: nothing is lost by it.
//!
//! Values below 32 have a bucket each. Above, each power of two is divided into 16 buckets of equal width, and a value
//! is told as the middle of its bucket: at most 1/32, 3.2 %, off.

use std::collections::BTreeMap;

/// log2 of the buckets of each power of two.
const BITS: u32 = 4;

/// The largest number of a bucket: that of `u64::MAX`.
const LAST: u16 = (((64 - BITS) as u16) << BITS) + (1 << BITS) - 1;

/// Counts of durations (ns) by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations(BTreeMap<u16, u64>);

impl Durations {
    /// Counts one duration.
    pub fn add(&mut self, ns: u64) {
        self.add_many(ns, 1);
    }

    /// Counts `n` durations of this length.
    pub fn add_many(&mut self, ns: u64, n: u64) {
        self.add_to_bucket(bucket_of(ns), n);
    }

    /// Counts `n` durations in a bucket by its number; what is no number of a bucket is counted in the last.
    pub fn add_to_bucket(&mut self, bucket: u16, n: u64) {
        if n > 0 {
            let count = self.0.entry(bucket.min(LAST)).or_default();
            *count = count.saturating_add(n);
        }
    }

    /// Adds another histogram's counts.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(bucket, n)| self.add_to_bucket(*bucket, *n));
    }

    /// Number and count of each bucket that has a count, the shortest durations first.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = (u16, u64)> + '_ {
        self.0.iter().map(|(bucket, n)| (*bucket, *n))
    }

    /// The longest duration (ns) that is counted in this bucket.
    #[must_use]
    pub fn upper(bucket: u16) -> u64 {
        upper(bucket.min(LAST))
    }

    /// All counts together.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Counts of durations in buckets that end at `ns` or before.
    #[must_use]
    pub fn count_up_to(&self, ns: u64) -> u64 {
        let within = self.0.iter().filter(|(bucket, _)| upper(**bucket) <= ns);
        within.fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// The duration (ns) that a share `q` in `[0, 1]` of the counts does not exceed, to within 3.2 %, and never above
    /// `max`. `None` where nothing was counted.
    #[must_use]
    pub fn quantile(&self, q: f64, max: u64) -> Option<u64> {
        let count = self.count();
        let rank = (q.clamp(0.0, 1.0) * count as f64).ceil().max(1.0);
        let mut below = 0.0;
        for (bucket, n) in &self.0 {
            below += *n as f64;
            if below >= rank {
                return Some(middle(*bucket).min(max));
            }
        }
        (count > 0).then_some(max)
    }
}

/// The bucket of a value.
fn bucket_of(value: u64) -> u16 {
    let power = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    // At most 32 << 4.
    ((power << BITS) as u64 + (value >> power)) as u16
}

/// The lowest value of a bucket, and how many values it holds.
fn span(bucket: u16) -> (u64, u64) {
    let power = u32::from(bucket >> BITS).saturating_sub(1);
    let low = u64::from(bucket) - (u64::from(power) << BITS);
    (low << power, 1 << power)
}

fn middle(bucket: u16) -> u64 {
    let (low, width) = span(bucket);
    low.saturating_add(width / 2)
}

fn upper(bucket: u16) -> u64 {
    let (low, width) = span(bucket);
    low.saturating_add(width - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_told_to_within_a_thirty_second(value in any::<u64>(), shift in 0..64u32) {
            let value = value >> shift;
            let bucket = bucket_of(value);
            let (low, width) = span(bucket);
            prop_assert!(bucket <= LAST && low <= value && value - low < width, "{bucket} {low} {width}");
            let off = middle(bucket).abs_diff(value) as f64;
            prop_assert!(off <= value as f64 / 32.0, "{value} is told as {}", middle(bucket));
        }

        #[test]
        fn buckets_are_in_the_order_of_their_values(a in any::<u64>(), b in any::<u64>()) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(bucket_of(low) <= bucket_of(high));
        }

        #[test]
        fn merging_is_counting_together(a in proptest::collection::vec(any::<u64>(), 0..50), b in proptest::collection::vec(any::<u64>(), 0..50)) {
            let of = |values: &[u64]| values.iter().fold(Durations::default(), |mut h, v| { h.add(*v); h });
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(&merged, &of(&[a.clone(), b.clone()].concat()));
            let mut all = [a, b].concat();
            all.sort_unstable();
            if let (Some(max), Some(told)) = (all.last(), merged.quantile(0.5, u64::MAX)) {
                let truth = all[(all.len().div_ceil(2)) - 1];
                prop_assert!(told.abs_diff(truth) as f64 <= truth as f64 / 32.0);
                prop_assert!(merged.quantile(1.0, *max).unwrap() <= *max);
            }
        }
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(Durations::default().quantile(0.5, 9), None);
    }
}
