//! Histograms of latencies in the journal.

use super::DataError;
use crate::model::syscall::Histogram;

/// log2 of the latency in ns, and the count; those that count nothing are left out.
pub(super) type Latencies = Vec<(usize, u64)>;

/// The histogram as it is told.
pub(super) fn told(histogram: &Histogram) -> Latencies {
    histogram.0.iter().copied().enumerate().filter(|(_, n)| *n > 0).collect()
}

/// The histogram that was told.
pub(super) fn histogram(told: Latencies) -> Result<Histogram, DataError> {
    let mut histogram = Histogram::default();
    for (bucket, count) in told {
        *histogram.0.get_mut(bucket).ok_or(DataError::Value("a latency"))? = count;
    }
    Ok(histogram)
}
