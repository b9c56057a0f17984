//! Unwind tables: a file's unwind information, compiled to what the kernel's walker can search. Compiling is pure
//! computation on one file; sharing, uploading and evicting tables is others' work.
//!
//! Files are what any process of an agent mapped, so they may be hostile: sizes are capped by [`Limits`], time is
//! linear in what is read, and a file that lies costs only its own stacks.

mod builder;
mod cfi;
mod compile;
mod error;
mod frames;
mod functions;
mod image;
mod rules;
mod segments;
mod sources;
mod stats;
mod translate;

#[cfg(test)]
mod tests;

use agent_common::unwind::{PAGE_SHIFT, ROW_STEPS};

pub(super) use self::sources::Sources;
pub use self::{
    compile::{compile, functions},
    error::TableError,
    image::{Image, ReadAt},
    rules::Rules,
    segments::{Segment, Segments},
    stats::{Reason, Stats},
};

/// What compiling one file may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of `.eh_frame`, and as many of `.debug_frame`, uncompressed.
    pub source_bytes: u64,
    /// Functions; each takes 24 bytes while the table is made.
    pub functions: usize,
    /// Rows of the table, 4 bytes each.
    pub rows: usize,
    /// Bytes from the first function to the end of the last; the index has 4 bytes for each KiB.
    pub text_bytes: u64,
    /// Rules that the file may add to the dictionary.
    pub new_rules: usize,
}

impl Default for Limits {
    /// Ample for browsers and compilers, the largest programs there are.
    fn default() -> Self {
        Self {
            source_bytes: 64 << 20,
            functions: 2 << 20,
            rows: 8 << 20,
            text_bytes: 512 << 20,
            new_rules: 4096,
        }
    }
}

/// A file's unwind table: see `agent_common::unwind` for the words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Address in the file of the first text page, which is 1 KiB.
    pub text: u64,
    /// The row in force at the start of each text page, and a closing entry.
    pub pages: Vec<u32>,
    /// `(pc & 0xffff) << 16 | rule`, in ascending order of pc.
    pub rows: Vec<u32>,
    /// What was found.
    pub stats: Stats,
}

impl Table {
    /// The words as the kernel has them: the index, then the rows.
    pub fn words(&self) -> impl Iterator<Item = u32> {
        self.pages.iter().chain(&self.rows).copied()
    }

    /// Text pages that the table covers.
    pub fn page_count(&self) -> usize {
        self.pages.len().saturating_sub(1)
    }

    /// The number of the rule at an address of the file, by the search that the kernel does; `None` outside of
    /// the pages.
    pub fn lookup(&self, pc: u64) -> Option<u16> {
        let page = usize::try_from(pc.checked_sub(self.text)? >> PAGE_SHIFT).ok()?;
        let mut at = usize::try_from(*self.pages.get(page)?).ok()?;
        let last = usize::try_from(*self.pages.get(page.checked_add(1)?)?).ok()?;
        let offset = pc & ((1 << PAGE_SHIFT) - 1);
        let page_low = (pc - offset) & 0xffff;
        // The row at `at` is in force when the page begins, wherever it stands; the others stand in the page, or
        // the last at the next one's start.
        let mut rows = last.checked_sub(at)? + 1;
        for _ in 0..ROW_STEPS {
            let half = rows / 2;
            let row_offset = (u64::from(*self.rows.get(at + half)?) >> 16).wrapping_sub(page_low) & 0xffff;
            if half > 0 && row_offset <= offset {
                at += half;
            }
            rows -= half;
        }
        self.rows.get(at).map(|&row| (row & 0xffff) as u16)
    }
}
