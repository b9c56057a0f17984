//! Files: what processes opened, created, changed, deleted and renamed, by path.
//!
//! Counts are of calls that succeeded. What goes through mappings and rings of io_uring is not seen.

use std::sync::Arc;

use super::{id::ProcessId, operation::Defined, time::Timestamp};

/// The path of rows that are told apart no more. No path of a file is relative.
pub const OTHER: &str = "other";
/// The path of files whose own was lost.
pub const UNKNOWN: &str = "unknown";

/// What one process did with one file in one window. A rename counts under the new path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Who.
    pub process: ProcessId,
    /// The file, as its process's mount namespace has it; `memfd:name` and the like for those without a place.
    pub path: Arc<str>,
    /// Times it was opened for reading alone.
    pub read_opens: u64,
    /// Times it was opened for writing, reading or not.
    pub write_opens: u64,
    /// Times a name came to be: by open, or by a link.
    pub creates: u64,
    /// Calls that changed its content: writes and truncations, opening with truncation among them.
    pub changes: u64,
    /// Times its name was taken away.
    pub deletes: u64,
    /// Times it got this name by a rename.
    pub renames: u64,
    /// Bytes that calls like read returned, and what was sent from it.
    pub read_bytes: u64,
    /// Bytes that calls like write took.
    pub written_bytes: u64,
    /// Calls of fsync and fdatasync.
    pub syncs: u64,
    /// Time in these, ns.
    pub sync_ns: u64,
}

/// Bytes of paths that a window keeps: paths may be of 4,096 bytes, and a window of a minute or an hour is held as a whole.
const MAX_PATH_BYTES: usize = 64 << 10;

/// Keeps the `most` rows that are most worth telling, and paths of [`MAX_PATH_BYTES`]; the others become one, so that sums stay
/// true. Returns how many.
pub fn bound(rows: &mut Vec<FileStat>, most: usize) -> usize {
    let fits = |rows: &[FileStat]| {
        let mut bytes = 0;
        let fitting = rows.iter().take(most).take_while(|row| {
            bytes += row.path.len();
            bytes <= MAX_PATH_BYTES
        });
        fitting.count()
    };
    if fits(rows) == rows.len() {
        return 0;
    }
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.weight()));
    let small = rows.split_off(fits(rows));
    let mut other = FileStat::new(ProcessId(0), OTHER.into());
    small.iter().for_each(|row| other.merge(row));
    rows.push(other);
    small.len()
}

impl FileStat {
    /// Nothing yet.
    #[must_use]
    pub fn new(process: ProcessId, path: Arc<str>) -> Self {
        let [read_opens, write_opens, creates, changes, deletes, renames] = [0; 6];
        let [read_bytes, written_bytes, syncs, sync_ns] = [0; 4];
        Self {
            process,
            path,
            read_opens,
            write_opens,
            creates,
            changes,
            deletes,
            renames,
            read_bytes,
            written_bytes,
            syncs,
            sync_ns,
        }
    }

    /// What is counted, in an order that stays.
    #[must_use]
    pub fn amounts(&self) -> [u64; 10] {
        let Self { read_opens, write_opens, creates, changes, deletes, renames, .. } = *self;
        let Self { read_bytes, written_bytes, syncs, sync_ns, .. } = *self;
        [
            read_opens,
            write_opens,
            creates,
            changes,
            deletes,
            renames,
            read_bytes,
            written_bytes,
            syncs,
            sync_ns,
        ]
    }

    /// The row with these [`amounts`](Self::amounts).
    #[must_use]
    pub fn with(process: ProcessId, path: Arc<str>, amounts: [u64; 10]) -> Self {
        let [read_opens, write_opens, creates, changes, deletes, renames, read, written, syncs, sync_ns] =
            amounts;
        Self {
            process,
            path,
            read_opens,
            write_opens,
            creates,
            changes,
            deletes,
            renames,
            read_bytes: read,
            written_bytes: written,
            syncs,
            sync_ns,
        }
    }

    /// Adds what another row counts.
    pub fn merge(&mut self, other: &Self) {
        let (mut sum, others) = (self.amounts(), other.amounts());
        sum.iter_mut().zip(others).for_each(|(sum, n)| *sum = sum.saturating_add(n));
        *self = Self::with(self.process, Arc::clone(&self.path), sum);
    }

    /// Times it was opened.
    #[must_use]
    pub fn opens(&self) -> u64 {
        self.read_opens.saturating_add(self.write_opens)
    }

    /// Whether anything is not as it was before.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        [self.creates, self.changes, self.deletes, self.renames].iter().any(|n| *n > 0)
    }

    /// How much the row is worth keeping: what had an effect comes before what was read alone; among these, calls count
    /// as a page of bytes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let names = [self.creates, self.deletes, self.renames, self.syncs].into_iter();
        let calls = names.fold(self.opens(), u64::saturating_add).saturating_mul(4096);
        let amount = calls.saturating_add(self.read_bytes).saturating_add(self.written_bytes);
        amount.min(u64::MAX >> 1) | u64::from(self.has_effect()) << 63
    }
}

/// Which way a checkpoint went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// It was written.
    Save,
    /// It was read.
    Load,
}

/// A checkpoint that a process saved or loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Who.
    pub process: ProcessId,
    /// Which way.
    pub way: Way,
    /// The pattern that its path matched.
    pub pattern: Arc<str>,
    /// What it is instead of a checkpoint, where the operator says so.
    pub defined: Option<Arc<Defined>>,
    /// The file, under the last name that it got.
    pub path: Arc<str>,
    /// When it was opened.
    pub start: Timestamp,
    /// How long until it was closed or renamed, or last used where that was not seen, ns.
    pub duration_ns: u64,
    /// Bytes that calls moved; where these moved less than the file has, as with one that is mapped, its size.
    pub bytes: u64,
    /// Whether `bytes` is the file's size.
    pub by_size: bool,
    /// Time in fsync and fdatasync, ns.
    pub sync_ns: u64,
    /// Why it went wrong, as far as that was seen.
    pub error: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::FileStat;
    use crate::model::id::ProcessId;

    #[test]
    fn amounts_lead_back_and_add_up() {
        let amounts = std::array::from_fn(|n| n as u64 + 1);
        let row = FileStat::with(ProcessId(1), "/a".into(), amounts);
        assert_eq!(row.amounts(), amounts);
        let mut sum = row.clone();
        sum.merge(&row);
        assert_eq!(sum.amounts(), amounts.map(|n| 2 * n));
        assert_eq!((sum.opens(), sum.has_effect()), (6, true));
    }

    #[test]
    fn what_had_an_effect_outweighs_what_was_read() {
        let created = FileStat { creates: 1, ..FileStat::new(ProcessId(1), "/a".into()) };
        let read =
            FileStat { read_bytes: u64::MAX, read_opens: 1, ..FileStat::new(ProcessId(1), "/b".into()) };
        assert!(created.weight() > read.weight());
        assert!(!read.has_effect());
    }
}
