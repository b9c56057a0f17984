//! The static and the dynamic table, under one numbering.

use std::collections::VecDeque;

use super::static_table::STATIC;

/// What an entry costs beside its name and value (RFC 7541, 4.1).
const OVERHEAD: usize = 32;
/// The size that a table has at first.
const USUAL: usize = 4096;
/// The largest table that is kept; of a larger one the oldest entries are missing.
const LARGEST: usize = 64 << 10;

struct Added {
    /// `None` if it came by an entry that was not seen.
    name: Option<Vec<u8>>,
    value: Vec<u8>,
    size: usize,
}

/// What is found under a number.
pub(super) enum Entry<'a> {
    Seen(&'a [u8], &'a [u8]),
    Missed,
}

pub(super) struct Table {
    entries: VecDeque<Added>,
    size: usize,
    most: usize,
    /// Whether there are older entries than ours.
    incomplete: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, most: USUAL, incomplete: false }
    }
}

impl Table {
    /// `None` for a number that no entry can have.
    pub(super) fn get(&self, index: usize) -> Option<Entry<'_>> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC.get(index) {
            return Some(Entry::Seen(name.as_bytes(), value.as_bytes()));
        }
        match self.entries.get(index - STATIC.len()) {
            Some(Added { name: Some(name), value, .. }) => Some(Entry::Seen(name, value)),
            Some(_) => Some(Entry::Missed),
            None => self.incomplete.then_some(Entry::Missed),
        }
    }

    /// Adds an entry; of a value that is not kept, `length` is what it had.
    pub(super) fn add(&mut self, name: Option<Vec<u8>>, value: Vec<u8>, length: usize) {
        let size = OVERHEAD + name.as_ref().map_or(0, Vec::len) + length;
        self.entries.push_front(Added { name, value, size });
        self.size += size;
        self.evict();
    }

    pub(super) fn resize(&mut self, most: usize) {
        self.incomplete |= most > LARGEST;
        self.most = most.min(LARGEST);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.most {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size -= oldest.size;
        }
    }

    pub(super) fn lose(&mut self) {
        self.entries.clear();
        self.size = 0;
        // How large it is was said in what was missed.
        self.most = LARGEST;
        self.incomplete = true;
    }
}
