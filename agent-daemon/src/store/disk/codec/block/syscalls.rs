//! The columns of syscalls. The calls are told by the latencies counted, the longest by the sum.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    columns::{Places, at, beside, column, from_beside, next, next_u32, read_column, read_columns},
};
use crate::model::{
    id::ProcessId,
    syscall::{Histogram, SyscallStat},
};

/// The buckets of a histogram between the first and the last that count anything.
fn counted(histogram: &Histogram) -> (usize, &[u64]) {
    let first = histogram.0.iter().position(|n| *n > 0).unwrap_or(0);
    let end = histogram.0.iter().rposition(|n| *n > 0).map_or(first, |last| last + 1);
    (first, histogram.0.get(first..end).unwrap_or_default())
}

fn timed(histogram: &Histogram) -> u64 {
    histogram.0.iter().fold(0, |sum, n| sum.wrapping_add(*n))
}

/// The rows' columns.
pub(super) fn encode(to: &mut Encoder, rows: &[&SyscallStat], processes: &Places) {
    column(to, rows, |r| processes.place(r.process.0));
    column(to, rows, |r| u64::from(r.number));
    column(to, rows, |r| beside(r.count, timed(&r.histogram)));
    column(to, rows, |r| r.total_ns);
    column(to, rows, |r| beside(r.total_ns, r.max_ns));
    column(to, rows, |r| r.errors.len() as u64);
    for (errno, count) in rows.iter().flat_map(|r| &r.errors) {
        to.varint(u64::from(*errno));
        to.varint(*count);
    }
    column(to, rows, |r| counted(&r.histogram).0 as u64);
    column(to, rows, |r| counted(&r.histogram).1.len() as u64);
    for count in rows.iter().flat_map(|r| counted(&r.histogram).1) {
        to.varint(*count);
    }
}

/// So many rows.
pub(super) fn decode(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
) -> Result<Vec<SyscallStat>, CodecError> {
    let [mut process, mut number, mut count, mut total, mut max, mut errors] = read_columns(from, rows)?;
    let mut stats = Vec::with_capacity(rows);
    for _ in 0..rows {
        let (total_ns, errors) = (next(&mut total)?, next(&mut errors)?);
        stats.push(SyscallStat {
            process: ProcessId(at(processes, next(&mut process)?)?),
            number: next_u32(&mut number)?,
            count: next(&mut count)?,
            errors: decode_errors(from, errors)?,
            total_ns,
            max_ns: total_ns.wrapping_sub(from_beside(next(&mut max)?, 0)),
            histogram: Histogram::default(),
        });
    }
    let (mut first, mut length) = (read_column(from, rows)?, read_column(from, rows)?);
    for stat in &mut stats {
        let (first, length) = (next(&mut first)?, next(&mut length)?);
        let end = first.checked_add(length).and_then(|end| usize::try_from(end).ok());
        let buckets = usize::try_from(first)
            .ok()
            .zip(end)
            .and_then(|(first, end)| stat.histogram.0.get_mut(first..end));
        for bucket in buckets.ok_or(CodecError::Range("a bucket"))? {
            *bucket = from.varint()?;
        }
        stat.count = from_beside(stat.count, timed(&stat.histogram));
    }
    Ok(stats)
}

fn decode_errors(from: &mut Decoder<'_>, count: u64) -> Result<Vec<(u32, u64)>, CodecError> {
    (0..count).map(|_| Ok((from.u32()?, from.varint()?))).collect()
}
