//! Block I/O merged over windows: by device, or by process.

use std::{cmp::Reverse, sync::Arc};

use rustc_hash::FxHashMap;

use super::Fold;
use crate::model::{
    disk::{DiskOperation, DiskStat},
    id::ProcessId,
    window::Window,
};

/// What block I/O is summed over; each operation stands by itself, and so does what was written in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskBy {
    /// Each device.
    Device,
    /// Each process.
    Process,
}

/// Sums block I/O.
#[derive(Debug)]
pub struct DiskFold {
    by: DiskBy,
    sums: FxHashMap<(ProcessId, Arc<str>, DiskOperation, bool), DiskStat>,
}

impl DiskFold {
    /// Sums over each of these.
    #[must_use]
    pub fn new(by: DiskBy) -> Self {
        Self { by, sums: FxHashMap::default() }
    }
}

impl Fold for DiskFold {
    /// The sums, most time first. What is not told apart is blank: the process is 0, or the device has no name.
    type Output = Vec<DiskStat>;

    fn add(&mut self, window: &Window) {
        for stat in &window.disk {
            let (process, device) = match self.by {
                DiskBy::Device => (ProcessId(0), Arc::clone(&stat.device)),
                DiskBy::Process => (stat.process, Arc::default()),
            };
            let (operation, background) = (stat.operation, stat.background);
            let key = (process, Arc::clone(&device), operation, background);
            let sum = self.sums.entry(key);
            sum.or_insert_with(|| DiskStat::new(process, device, operation, background)).merge(stat);
        }
    }

    fn finish(self) -> Vec<DiskStat> {
        let mut rows: Vec<DiskStat> = self.sums.into_values().collect();
        rows.sort_by_cached_key(|row| {
            let key = (row.process, Arc::clone(&row.device), row.operation, row.background);
            (Reverse(row.total_ns()), Reverse(row.bytes), key)
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        fixture::{agent_at, at, requests, window_at},
        query::of,
    };

    #[test]
    fn requests_add_up_over_windows_by_what_is_asked_for() {
        let window = |n: i64, rows: Vec<DiskStat>| {
            let mut window = window_at(&agent_at(at(0)).id, at(5 * n), 0);
            window.disk = rows;
            Arc::new(window)
        };
        let windows = [
            window(0, vec![requests(100, "vda", 1), requests(101, "vda", 2)]),
            window(1, vec![requests(100, "vdb", 4)]),
        ];
        let rows = |by| {
            let rows = of(&windows, DiskFold::new(by));
            rows.iter().map(|row| (row.process.pid(), row.device.to_string(), row.count)).collect::<Vec<_>>()
        };
        assert_eq!(rows(DiskBy::Device), [(0, "vdb".to_owned(), 4), (0, "vda".to_owned(), 3)]);
        assert_eq!(rows(DiskBy::Process), [(100, String::new(), 5), (101, String::new(), 2)]);
    }
}
