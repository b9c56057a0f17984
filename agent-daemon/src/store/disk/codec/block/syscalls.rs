//! The columns of syscalls. The calls are told by the latencies counted, the longest by the sum.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    columns::{Places, at, beside, column, from_beside, next, next_u32, read_columns},
    latencies,
};
use crate::model::{
    id::ProcessId,
    syscall::{Histogram, SyscallStat},
};

/// The rows' columns.
pub(super) fn encode(to: &mut Encoder, rows: &[&SyscallStat], processes: &Places) {
    column(to, rows, |r| processes.place(r.process.0));
    column(to, rows, |r| u64::from(r.number));
    column(to, rows, |r| beside(r.count, latencies::timed(&r.histogram)));
    column(to, rows, |r| r.total_ns);
    column(to, rows, |r| beside(r.total_ns, r.max_ns));
    column(to, rows, |r| r.errors.len() as u64);
    for (errno, count) in rows.iter().flat_map(|r| &r.errors) {
        to.varint(u64::from(*errno));
        to.varint(*count);
    }
    latencies::encode(to, rows.iter().map(|r| &r.histogram));
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
    latencies::decode(from, rows, stats.iter_mut().map(|stat| &mut stat.histogram))?;
    for stat in &mut stats {
        stat.count = from_beside(stat.count, latencies::timed(&stat.histogram));
    }
    Ok(stats)
}

/// Errors by errno.
pub(super) fn decode_errors(from: &mut Decoder<'_>, count: u64) -> Result<Vec<(u32, u64)>, CodecError> {
    (0..count).map(|_| Ok((from.u32()?, from.varint()?))).collect()
}
