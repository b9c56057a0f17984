//! The columns of block I/O, since version 4. Devices stand once, and rows refer to their places; requests are told by
//! the times counted, the longest by the sum.

use std::sync::Arc;

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    Numbered,
    columns::{Places, at, beside, column, decode_places, from_beside, next, read_columns},
    latencies, total,
};
use crate::model::{
    disk::{DiskOperation, DiskStat},
    id::ProcessId,
};

/// The windows' block I/O.
pub(super) fn encode(to: &mut Encoder, windows: &[Numbered]) {
    let rows: Vec<&DiskStat> = windows.iter().flat_map(|w| sorted(&w.disk)).collect();
    let processes = Places::of(rows.iter().map(|row| row.process.0).collect());
    let mut devices: Vec<&str> = rows.iter().map(|row| &*row.device).collect();
    devices.sort_unstable();
    devices.dedup();
    processes.encode(to);
    to.varint(devices.len() as u64);
    devices.iter().for_each(|device| to.text(device));
    windows.iter().for_each(|w| to.varint(w.disk.len() as u64));
    column(to, &rows, |row| processes.place(row.process.0));
    column(to, &rows, |row| devices.binary_search(&&*row.device).map_or(0, |place| place as u64));
    column(to, &rows, |row| u64::from(row.operation.number()) << 1 | u64::from(row.background));
    column(to, &rows, |row| beside(row.count, latencies::timed(&row.histogram)));
    column(to, &rows, |row| row.errors);
    column(to, &rows, |row| row.bytes);
    column(to, &rows, |row| row.queue_ns);
    column(to, &rows, |row| row.device_ns);
    column(to, &rows, |row| beside(row.device_ns, row.max_ns));
    latencies::encode(to, rows.iter().map(|row| &row.histogram));
}

fn sorted(rows: &[DiskStat]) -> Vec<&DiskStat> {
    let mut rows: Vec<&DiskStat> = rows.iter().collect();
    rows.sort_by(|a, b| {
        let key = |row: &DiskStat| (row.process, row.operation, row.background);
        key(a).cmp(&key(b)).then_with(|| a.device.cmp(&b.device))
    });
    rows
}

/// Reads it into the windows that it is of.
pub(super) fn decode(from: &mut Decoder<'_>, windows: &mut [Numbered]) -> Result<(), CodecError> {
    let processes = decode_places(from)?;
    let devices = (0..from.count()?)
        .map(|_| Ok(Arc::from(from.text()?)))
        .collect::<Result<Vec<Arc<str>>, CodecError>>()?;
    let lengths = windows.iter().map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let rows = total(&lengths)?;
    let mut all = decode_rows(from, rows, &processes, &devices)?;
    latencies::decode(from, rows, all.iter_mut().map(|row| &mut row.histogram))?;
    for row in &mut all {
        row.count = from_beside(row.count, latencies::timed(&row.histogram));
    }
    let mut all = all.into_iter();
    for (window, length) in windows.iter_mut().zip(lengths) {
        window.disk = all.by_ref().take(length).collect();
    }
    Ok(())
}

fn decode_rows(
    from: &mut Decoder<'_>,
    rows: usize,
    processes: &[u64],
    devices: &[Arc<str>],
) -> Result<Vec<DiskStat>, CodecError> {
    let [mut process, mut device, mut what, mut count, mut errors, mut bytes, mut queue, mut time, mut max] =
        read_columns(from, rows)?;
    let row = |_| {
        let place = usize::try_from(next(&mut device)?).ok();
        let device = place.and_then(|place| devices.get(place)).ok_or(CodecError::Range("a place"))?;
        let what = next(&mut what)?;
        let operation = DiskOperation::from_number(what >> 1).ok_or(CodecError::Range("an operation"))?;
        let process = ProcessId(at(processes, next(&mut process)?)?);
        let device_ns = next(&mut time)?;
        Ok(DiskStat {
            count: next(&mut count)?,
            errors: next(&mut errors)?,
            bytes: next(&mut bytes)?,
            queue_ns: next(&mut queue)?,
            device_ns,
            max_ns: device_ns.wrapping_sub(from_beside(next(&mut max)?, 0)),
            ..DiskStat::new(process, Arc::clone(device), operation, what & 1 != 0)
        })
    };
    (0..rows).map(row).collect()
}
