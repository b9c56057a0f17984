//! The columns of files, since version 4. Paths stand once, sorted, each by what it shares with the one before.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder, MAX_RECORD},
    },
    Numbered,
    columns::{Places, at, column, decode_places, next, read_column, read_columns},
    total,
};
use crate::model::{
    file::{FileStat, OTHER},
    id::ProcessId,
};

/// The windows' rows.
pub(super) fn encode(to: &mut Encoder, windows: &[Numbered]) {
    let rows: Vec<&FileStat> = windows.iter().flat_map(|w| sorted(&w.files)).collect();
    let processes = Places::of(rows.iter().map(|row| row.process.0).collect());
    let paths = Paths::of(&rows);
    processes.encode(to);
    encode_paths(to, &paths.0);
    windows.iter().for_each(|w| to.varint(w.files.len() as u64));
    column(to, &rows, |row| processes.place(row.process.0));
    column(to, &rows, |row| paths.place(&row.path));
    for n in 0..FileStat::new(ProcessId(0), Arc::default()).amounts().len() {
        column(to, &rows, |row| row.amounts().get(n).copied().unwrap_or_default());
    }
}

fn sorted(rows: &[FileStat]) -> Vec<&FileStat> {
    let mut rows: Vec<&FileStat> = rows.iter().collect();
    rows.sort_by(|a, b| (&a.path, a.process).cmp(&(&b.path, b.process)));
    rows
}

/// The paths of a block, sorted, and the place of each.
struct Paths<'a>(BTreeMap<&'a str, u64>);

impl<'a> Paths<'a> {
    /// An hour of very many long paths is more than is read again: beyond [`MAX_WRITTEN`], a path is [`OTHER`].
    fn of(rows: &[&'a FileStat]) -> Self {
        let mut paths: BTreeMap<&str, u64> = rows.iter().map(|row| (&*row.path, 0)).collect();
        let mut bytes = 0;
        paths.retain(|path, _| {
            bytes += path.len();
            bytes <= MAX_WRITTEN
        });
        if bytes > MAX_WRITTEN {
            paths.insert(OTHER, 0);
        }
        paths.values_mut().zip(0..).for_each(|(place, n)| *place = n);
        Self(paths)
    }

    fn place(&self, path: &str) -> u64 {
        self.0.get(path).or_else(|| self.0.get(OTHER)).copied().unwrap_or_default()
    }
}

fn encode_paths(to: &mut Encoder, paths: &BTreeMap<&str, u64>) {
    to.varint(paths.len() as u64);
    let mut before = "";
    for path in paths.keys() {
        let alike = path.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
        // Characters are not cut.
        let shared = (0..=alike).rev().find(|n| path.is_char_boundary(*n)).unwrap_or(0);
        to.varint(shared as u64);
        to.text(path.get(shared..).unwrap_or_default());
        before = path;
    }
}

fn decode_paths(from: &mut Decoder<'_>) -> Result<Vec<Arc<str>>, CodecError> {
    let mut paths: Vec<Arc<str>> = Vec::new();
    let mut path = String::new();
    let mut room = MAX_PATHS;
    for _ in 0..from.count()? {
        let shared = usize::try_from(from.varint()?).ok().filter(|n| path.is_char_boundary(*n));
        path.truncate(shared.ok_or(CodecError::Range("a path"))?);
        path.push_str(from.text()?);
        room = room.checked_sub(path.len()).ok_or(CodecError::Range("a path"))?;
        paths.push(path.as_str().into());
    }
    Ok(paths)
}

/// Bytes of all paths of a block that are written, so that there is room for the rest of it.
const MAX_WRITTEN: usize = MAX_RECORD / 4;
/// Bytes of all paths of a block, more than are ever written: damaged bytes do not take memory.
const MAX_PATHS: usize = MAX_RECORD;

/// Reads them into the windows that they are of.
pub(super) fn decode(from: &mut Decoder<'_>, windows: &mut [Numbered]) -> Result<(), CodecError> {
    let processes = decode_places(from)?;
    let paths = decode_paths(from)?;
    let lengths = windows.iter().map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let rows = total(&lengths)?;
    let (mut process, mut path) = (read_column(from, rows)?, read_column(from, rows)?);
    let mut amounts = read_columns::<10>(from, rows)?;
    for (window, length) in windows.iter_mut().zip(lengths) {
        let row = |_| {
            let process = ProcessId(at(&processes, next(&mut process)?)?);
            let place = usize::try_from(next(&mut path)?).ok();
            let path = place.and_then(|place| paths.get(place)).ok_or(CodecError::Range("a path"))?;
            let mut row = [0; 10];
            for (amount, column) in row.iter_mut().zip(&mut amounts) {
                *amount = next(column)?;
            }
            Ok(FileStat::with(process, Arc::clone(path), row))
        };
        window.files = (0..length).map(row).collect::<Result<_, CodecError>>()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_paths_than_are_read_again_become_other() {
        let row = |n: usize| FileStat::new(ProcessId(1), format!("/{n:0>4000}").into());
        let rows: Vec<FileStat> = (0..MAX_RECORD / 4000 + 10).map(row).collect();
        let rows: Vec<&FileStat> = rows.iter().collect();
        let paths = Paths::of(&rows);
        let mut to = Encoder::default();
        encode_paths(&mut to, &paths.0);
        let bytes = to.finish();
        let read = decode_paths(&mut Decoder::bare(&bytes)).unwrap();
        let of = |row: &FileStat| read[usize::try_from(paths.place(&row.path)).unwrap()].to_string();
        assert_eq!(of(rows[0]), *rows[0].path);
        assert_eq!(of(rows[rows.len() - 1]), OTHER);
    }
}
