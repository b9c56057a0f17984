//! The columns of calls of CUDA, since version 3. The longest is told by the sum.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    Numbered,
    columns::{Places, at, beside, column, decode_places, from_beside, next, read_columns},
    total,
};
use crate::model::{
    cuda::{CudaCall, CudaStat},
    id::ProcessId,
};

/// The windows' calls.
pub(super) fn encode(to: &mut Encoder, windows: &[Numbered]) {
    let rows: Vec<&CudaStat> = windows.iter().flat_map(|w| sorted(&w.cuda)).collect();
    let processes = Places::of(rows.iter().map(|row| row.process.0).collect());
    processes.encode(to);
    windows.iter().for_each(|w| to.varint(w.cuda.len() as u64));
    column(to, &rows, |row| processes.place(row.process.0));
    column(to, &rows, |row| row.call.number().into());
    column(to, &rows, |row| row.calls);
    column(to, &rows, |row| row.errors);
    column(to, &rows, |row| row.bytes);
    column(to, &rows, |row| row.total_ns);
    column(to, &rows, |row| beside(row.total_ns, row.max_ns));
}

fn sorted(rows: &[CudaStat]) -> Vec<&CudaStat> {
    let mut rows: Vec<&CudaStat> = rows.iter().collect();
    rows.sort_by_key(|row| (row.process, row.call));
    rows
}

/// Reads them into the windows that they are of.
pub(super) fn decode(from: &mut Decoder<'_>, windows: &mut [Numbered]) -> Result<(), CodecError> {
    let processes = decode_places(from)?;
    let lengths = windows.iter().map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let [mut process, mut call, mut calls, mut errors, mut bytes, mut time, mut max] =
        read_columns(from, total(&lengths)?)?;
    for (window, length) in windows.iter_mut().zip(lengths) {
        let row = |_| {
            let total_ns = next(&mut time)?;
            Ok(CudaStat {
                process: ProcessId(at(&processes, next(&mut process)?)?),
                call: CudaCall::from_number(next(&mut call)?).ok_or(CodecError::Range("a call of CUDA"))?,
                calls: next(&mut calls)?,
                errors: next(&mut errors)?,
                bytes: next(&mut bytes)?,
                total_ns,
                max_ns: total_ns.wrapping_sub(from_beside(next(&mut max)?, 0)),
            })
        };
        window.cuda = (0..length).map(row).collect::<Result<_, CodecError>>()?;
    }
    Ok(())
}
