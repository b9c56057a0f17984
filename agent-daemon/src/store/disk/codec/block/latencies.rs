//! The columns of latencies: of each histogram the buckets between the first and the last that count anything.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    columns::{column, next, read_column},
};
use crate::model::syscall::Histogram;

/// The buckets of a histogram between the first and the last that count anything.
fn counted(histogram: &Histogram) -> (usize, &[u64]) {
    let first = histogram.0.iter().position(|n| *n > 0).unwrap_or(0);
    let end = histogram.0.iter().rposition(|n| *n > 0).map_or(first, |last| last + 1);
    (first, histogram.0.get(first..end).unwrap_or_default())
}

/// How many latencies a histogram has.
pub(super) fn timed(histogram: &Histogram) -> u64 {
    histogram.0.iter().fold(0, |sum, n| sum.wrapping_add(*n))
}

/// The histograms' columns.
pub(super) fn encode<'a>(to: &mut Encoder, histograms: impl Iterator<Item = &'a Histogram>) {
    let histograms: Vec<&Histogram> = histograms.collect();
    column(to, &histograms, |histogram| counted(histogram).0 as u64);
    column(to, &histograms, |histogram| counted(histogram).1.len() as u64);
    for count in histograms.iter().flat_map(|histogram| counted(histogram).1) {
        to.varint(*count);
    }
}

/// Reads as many histograms.
pub(super) fn decode<'a>(
    from: &mut Decoder<'_>,
    rows: usize,
    histograms: impl Iterator<Item = &'a mut Histogram>,
) -> Result<(), CodecError> {
    let (mut first, mut length) = (read_column(from, rows)?, read_column(from, rows)?);
    for histogram in histograms {
        let (first, length) = (next(&mut first)?, next(&mut length)?);
        let end = first.checked_add(length).and_then(|end| usize::try_from(end).ok());
        let buckets =
            usize::try_from(first).ok().zip(end).and_then(|(first, end)| histogram.0.get_mut(first..end));
        for bucket in buckets.ok_or(CodecError::Range("a bucket"))? {
            *bucket = from.varint()?;
        }
    }
    Ok(())
}
