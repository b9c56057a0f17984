//! Packs rules into a table: merges equal neighbours, and keeps the index of pages in step.

use agent_common::unwind::PAGE_SHIFT;

use super::{Rules, Stats, Table, TableError};

/// A table that grows towards higher addresses.
pub(super) struct Builder {
    text: u64,
    pages: Vec<u32>,
    rows: Vec<u32>,
    last: u16,
    max_rows: usize,
}

impl Builder {
    /// A table of the text from `first` on; the page in which it begins starts with a gap.
    pub(super) fn new(first: u64, max_rows: usize) -> Result<Self, TableError> {
        let text = first >> PAGE_SHIFT << PAGE_SHIFT;
        let mut builder = Self { text, pages: Vec::new(), rows: Vec::new(), last: Rules::INVALID, max_rows };
        if text != first {
            builder.push(text, Rules::GAP)?;
        }
        Ok(builder)
    }

    /// A rule applies from this pc on, which is above the last one.
    ///
    /// # Errors
    /// [`TableError::TooLarge`].
    pub(super) fn push(&mut self, pc: u64, rule: u16) -> Result<(), TableError> {
        if rule == self.last && !self.rows.is_empty() {
            return Ok(());
        }
        if self.rows.len() >= self.max_rows {
            let max = self.max_rows as u64;
            return Err(TableError::TooLarge { what: "its table", size: max + 1, max });
        }
        self.index_to(pc);
        self.rows.push(((pc & 0xffff) as u32) << 16 | u32::from(rule));
        self.last = rule;
        Ok(())
    }

    /// Ends the text.
    ///
    /// # Errors
    /// [`TableError::TooLarge`].
    pub(super) fn finish(mut self, end: u64, stats: Stats) -> Result<Table, TableError> {
        self.push(end, Rules::GAP)?;
        self.index_to(end);
        self.pages.push(self.current());
        self.pages.shrink_to_fit();
        self.rows.shrink_to_fit();
        Ok(Table { text: self.text, pages: self.pages, rows: self.rows, stats })
    }

    /// Indexes the pages that begin below this pc: their rows are all known.
    fn index_to(&mut self, pc: u64) {
        while self.text + ((self.pages.len() as u64) << PAGE_SHIFT) < pc {
            self.pages.push(self.current());
        }
    }

    /// The last row.
    fn current(&self) -> u32 {
        u32::try_from(self.rows.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }
}
