//! Samples, series, and what a function over a range sees of one.

use std::borrow::Cow;

use crate::alert::labels::Labels;

/// A time: milliseconds since 1970, UTC.
pub type Millis = i64;

/// The value that ends a series: a NaN of the bits that Prometheus uses for it.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub at: Millis,
    /// What.
    pub value: f64,
}

impl Sample {
    /// Whether it only says that the series ended.
    #[must_use]
    pub fn is_stale(self) -> bool {
        self.value.to_bits() == STALE.to_bits()
    }
}

/// A series, or what was asked of it: samples in the order of their times.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    /// Its name and labels.
    pub labels: Cow<'a, Labels>,
    /// Its samples.
    pub samples: Cow<'a, [Sample]>,
}

/// The samples of one series within a range.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The samples, in the order of their times, no stale markers, at least one.
    pub samples: &'a [Sample],
    /// The range begins after this instant.
    pub from: Millis,
    /// The range ends with this instant.
    pub to: Millis,
    /// The evaluation's instant; differs from `to` by the offset.
    pub now: Millis,
}

impl Window<'_> {
    /// The values.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.samples.iter().map(|sample| sample.value)
    }

    /// Each sample with the one after it.
    pub fn pairs(&self) -> impl Iterator<Item = (Sample, Sample)> {
        self.samples.iter().copied().zip(self.samples.iter().skip(1).copied())
    }
}

/// Seconds between two instants, even where a clock jumped.
#[must_use]
pub fn seconds_between(from: Millis, to: Millis) -> f64 {
    to.saturating_sub(from) as f64 / 1000.0
}
