//! Where something is wrong: a byte of an expression or a template, then a line and a column of a file.

use std::fmt;

/// What is wrong and at which byte of the text it was found in, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<T> {
    /// The byte.
    pub at: usize,
    /// What is wrong.
    pub what: T,
}

impl<T> At<T> {
    pub(super) const fn new(at: usize, what: T) -> Self {
        Self { at, what }
    }
}

impl<T: fmt::Display> fmt::Display for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.what)
    }
}

/// What is wrong with a file of rules, routes or tests, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct FileError {
    /// Line, from 1; 0 where the file has no such place.
    pub line: u64,
    /// Column, from 1, in characters.
    pub column: u64,
    /// What, as a sentence.
    pub message: String,
}
