//! Why a file gives no table. The caller follows frame pointers in its code, and shows the reason.

use std::io;

/// Why a file gives no table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is something else.
    #[error("it is not an ELF file")]
    NotElf,
    /// It is one that this daemon does not read; the text says why.
    #[error("it cannot be read: {0}")]
    Unsupported(&'static str),
    /// It has none: Go programs, and what was built without unwind tables, which keep frame pointers at best.
    #[error("it has no unwind information")]
    NoUnwindInfo,
    /// It contradicts itself; the text says where.
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// A part of it is above its limit.
    #[error("it is too large: {what} takes {size}, and {max} is the limit")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// How large it is, in the limit's unit.
        size: u64,
        /// The limit.
        max: u64,
    },
    /// It cannot be read, or has shrunk meanwhile.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl TableError {
    /// Whether the same file will never give a table.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Io(_))
    }
}
