//! Histograms, of which each is many series: up to which values they count, and what they counted.

/// Bounds of a histogram: all of OpenTelemetry's conventions that are followed here have as many.
pub(in crate::export) const BOUNDS: usize = 14;

/// Up to which values is counted, in the metric's unit; what is larger is counted in one more bucket.
pub(in crate::export) type Bounds = [f64; BOUNDS];

/// One histogram: its labels, in the order of its row, and what it counts.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::export) struct Histogram {
    pub(in crate::export) labels: Vec<String>,
    pub(in crate::export) counted: Counted,
}

/// Values, counted one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::export) struct Counted {
    /// The sum of what was counted.
    pub(in crate::export) sum: f64,
    /// How many of each bucket, that beyond the bounds the last.
    pub(in crate::export) counts: [u64; BOUNDS + 1],
}

impl Counted {
    /// Counts a value.
    pub(super) fn add(&mut self, value: f64, bounds: &Bounds) {
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(BOUNDS);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.sum += value;
        }
    }

    /// How many values.
    pub(in crate::export) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_is_a_bound_is_within_it() {
        let bounds: Bounds = std::array::from_fn(|n| n as f64);
        let mut counted = Counted::default();
        [0.0, 1.0, 1.5, 2.0, 13.0, 13.5, 1e9].iter().for_each(|value| counted.add(*value, &bounds));
        let mut counts = [0; BOUNDS + 1];
        (counts[0], counts[1], counts[2], counts[13], counts[14]) = (1, 1, 2, 1, 2);
        assert_eq!((counted.counts, counted.count(), counted.sum), (counts, 7, 1e9 + 31.0));
    }
}
