//! What waits for the journal: bounded by how much it is, not only by how many records, since windows differ in size
//! a thousandfold. Whoever puts never waits.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::data::Entry;

/// Rows, of windows and sums, that may wait; every record counts as one more, and what an operation is told with as a
/// row. About 20 MB.
const MAX_WEIGHT: usize = 200_000;

/// Records on their way to the journal's thread.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    weight: usize,
    closed: bool,
}

fn weight(entry: &Entry) -> usize {
    match entry {
        Entry::Agent(_) | Entry::Process { .. } => 1,
        Entry::Window(window) => window.rows() + 1,
        Entry::Operation(operation) => 4 + operation.labels.len() + operation.calls.len(),
        Entry::Host(window) => {
            let devices = window.file_systems.len() + window.disks.len() + window.interfaces.len();
            1 + window.cpus.len() + devices
        }
        Entry::Sums(sums) => sums.rows.values().map(|sum| 4 + sum.parts()).sum(),
    }
}

impl Queue {
    /// Whether there was room for it.
    pub(super) fn put(&self, entry: Entry) -> bool {
        let mut waiting = self.lock();
        let weight = waiting.weight + weight(&entry);
        // One that is too large by itself is taken all the same, where nothing else waits.
        if weight > MAX_WEIGHT && !waiting.entries.is_empty() || waiting.closed {
            return false;
        }
        waiting.weight = weight;
        waiting.entries.push_back(entry);
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// What waits, or nothing after `patience`; `None` once it is closed and empty.
    pub(super) fn take(&self, patience: Duration) -> Option<VecDeque<Entry>> {
        let waiting = self.lock();
        let idle = |waiting: &mut Waiting| waiting.entries.is_empty() && !waiting.closed;
        let (mut waiting, _) =
            self.changed.wait_timeout_while(waiting, patience, idle).unwrap_or_else(PoisonError::into_inner);
        waiting.weight = 0;
        let entries = std::mem::take(&mut waiting.entries);
        (!entries.is_empty() || !waiting.closed).then_some(entries)
    }

    /// Nothing more comes.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{agent_at, at, window_at};

    #[test]
    fn it_is_bounded_by_rows_and_empties_before_it_ends() {
        let queue = Queue::default();
        let id = agent_at(at(0)).id;
        let window = |rows| Entry::Window(window_at(&id, at(0), rows));
        assert!(queue.put(window(150_000)));
        assert!(!queue.put(window(60_000)), "that many do not fit");
        assert!(queue.put(window(10)));
        queue.close();
        assert!(!queue.put(window(1)));
        assert_eq!(queue.take(Duration::ZERO).map(|taken| taken.len()), Some(2));
        assert!(queue.take(Duration::ZERO).is_none());
        let alone = Queue::default();
        assert!(alone.put(window(300_000)), "one that is too large still goes through");
    }
}
