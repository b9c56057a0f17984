//! Files merged over windows: by path, by directory or by process.
//!
//! Bounded: of more than [`MAX_ROWS`] the least worth telling become one, [`OTHER`]; which ones these are may then depend on
//! what came when, the sums do not.

use std::{cmp::Reverse, sync::Arc};

use rustc_hash::FxHashMap;

use super::Fold;
use crate::model::{
    file::{FileStat, OTHER},
    id::ProcessId,
    window::Window,
};

/// Rows that are kept apart.
const MAX_ROWS: usize = 50_000;
/// Whose sums over all processes are: nobody's in particular.
const ALL: ProcessId = ProcessId(0);

/// What files are summed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileBy {
    /// Each path, over all processes.
    Path,
    /// Each directory with the files right in it, over all processes.
    Directory,
    /// Each process, over all paths.
    Process,
}

/// Sums what was done with files.
#[derive(Debug)]
pub struct FileFold {
    by: FileBy,
    rows: FxHashMap<(ProcessId, Arc<str>), FileStat>,
    total: FileStat,
}

/// What was done with files.
#[derive(Clone, Debug, PartialEq)]
pub struct FileTotals {
    /// All together.
    pub total: FileStat,
    /// The rows: what had an effect comes before what was only read, and then most bytes and calls first. A process's has no
    /// path, a path's and a directory's no process.
    pub rows: Vec<FileStat>,
}

impl FileFold {
    /// Sums over these.
    #[must_use]
    pub fn new(by: FileBy) -> Self {
        Self { by, rows: FxHashMap::default(), total: FileStat::new(ALL, Arc::default()) }
    }

    fn key(&self, stat: &FileStat) -> (ProcessId, Arc<str>) {
        match self.by {
            FileBy::Path => (ALL, Arc::clone(&stat.path)),
            FileBy::Directory => (ALL, directory(&stat.path).into()),
            FileBy::Process => (stat.process, Arc::default()),
        }
    }

    /// Makes one of the rows least worth telling.
    fn shrink(&mut self) {
        let mut rows: Vec<FileStat> = std::mem::take(&mut self.rows).into_values().collect();
        rows.sort_unstable_by_key(|row| Reverse(row.weight()));
        let least = rows.split_off(MAX_ROWS.min(rows.len()));
        self.rows.extend(rows.into_iter().map(|row| ((row.process, Arc::clone(&row.path)), row)));
        let other: Arc<str> = OTHER.into();
        let sum = self.rows.entry((ALL, Arc::clone(&other))).or_insert_with(|| FileStat::new(ALL, other));
        least.iter().for_each(|row| sum.merge(row));
    }
}

/// The directory that a file is right in; what has no place is in none, and stays.
fn directory(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(end) => path.get(..end).unwrap_or(path),
        None => path,
    }
}

impl Fold for FileFold {
    type Output = FileTotals;

    fn add(&mut self, window: &Window) {
        for stat in &window.files {
            let (process, path) = self.key(stat);
            let row = self.rows.entry((process, Arc::clone(&path)));
            row.or_insert_with(|| FileStat::new(process, path)).merge(stat);
            self.total.merge(stat);
        }
        if self.rows.len() > 2 * MAX_ROWS {
            self.shrink();
        }
    }

    fn finish(mut self) -> FileTotals {
        if self.rows.len() > MAX_ROWS + 1 {
            self.shrink();
        }
        let mut rows: Vec<FileStat> = self.rows.into_values().collect();
        rows.sort_by(|a, b| {
            let order = b.weight().cmp(&a.weight());
            order.then_with(|| (&a.path, a.process).cmp(&(&b.path, b.process)))
        });
        FileTotals { total: self.total, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        fixture::{agent_at, at, file, window_at},
        query::of,
    };

    fn window(n: i64, files: Vec<FileStat>) -> Arc<Window> {
        let mut window = window_at(&agent_at(at(0)).id, at(5 * n), 0);
        window.files = files;
        Arc::new(window)
    }

    #[test]
    fn files_add_up_by_path_directory_and_process() {
        let windows = [
            window(0, vec![file(100, "/a/x", 3), file(101, "/a/x", 4), file(100, "/a/y", 1)]),
            window(1, vec![file(100, "/z", 5), file(100, "memfd:m", 1)]),
        ];
        let opens = |by| {
            let totals = of(&windows, FileFold::new(by));
            assert_eq!(totals.total.read_opens, 14);
            let mut rows: Vec<_> =
                totals.rows.iter().map(|r| (r.process.pid(), r.path.to_string(), r.read_opens)).collect();
            rows.sort();
            rows
        };
        let row = |pid, path: &str, n| (pid, path.to_owned(), n);
        assert_eq!(
            opens(FileBy::Path),
            [row(0, "/a/x", 7), row(0, "/a/y", 1), row(0, "/z", 5), row(0, "memfd:m", 1)]
        );
        assert_eq!(opens(FileBy::Directory), [row(0, "/", 5), row(0, "/a", 8), row(0, "memfd:m", 1)]);
        assert_eq!(opens(FileBy::Process), [row(100, "", 10), row(101, "", 4)]);
    }

    #[test]
    fn of_too_many_the_least_become_one() {
        let files = |n: usize| file(100, &format!("/{n}"), 1 + (n / MAX_ROWS) as u64);
        let rows: Vec<_> = (0..3 * MAX_ROWS).map(files).collect();
        let all: u64 = rows.iter().map(|row| row.read_opens).sum();
        let totals = of(&[window(0, rows)], FileFold::new(FileBy::Path));
        assert_eq!(totals.rows.len(), MAX_ROWS + 1);
        assert_eq!(totals.rows.iter().map(|row| row.read_opens).sum::<u64>(), all);
        assert!(totals.rows.iter().any(|row| &*row.path == OTHER));
    }
}
