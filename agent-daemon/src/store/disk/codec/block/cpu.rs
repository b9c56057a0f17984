//! The columns of CPU samples. The time is told by the samples.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    columns::{Places, at, beside, column, from_beside, next, read_columns},
};
use crate::model::{id::ProcessId, window::CpuStat};

/// The CPU time of one sample, as the first row has it, ns. Mostly all rows have the same.
fn period(rows: &[&CpuStat<u64>]) -> u64 {
    rows.iter().find_map(|r| r.cpu_ns.checked_div(r.samples)).unwrap_or(0)
}

/// The rows' columns.
pub(super) fn encode(to: &mut Encoder, rows: &[&CpuStat<u64>], processes: &Places, stacks: &Places) {
    let period = period(rows);
    to.varint(period);
    column(to, rows, |r| processes.place(r.process.0));
    column(to, rows, |r| stacks.place(r.stack));
    column(to, rows, |r| r.samples);
    column(to, rows, |r| beside(r.cpu_ns, r.samples.wrapping_mul(period)));
}

/// So many rows.
pub(super) fn decode(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
    stacks: &[u64],
) -> Result<Vec<CpuStat<u64>>, CodecError> {
    let period = from.varint()?;
    let mut columns: [_; 4] = read_columns(from, rows)?;
    let [process, stack, samples, cpu] = &mut columns;
    let row = |_| {
        let samples = next(samples)?;
        Ok(CpuStat {
            process: ProcessId(at(processes, next(process)?)?),
            stack: at(stacks, next(stack)?)?,
            samples,
            cpu_ns: from_beside(next(cpu)?, samples.wrapping_mul(period)),
        })
    };
    (0..rows).map(row).collect()
}
