//! What a tool call did to files. Bounded: counts of all, paths of a few.

use std::sync::Arc;

/// Paths, and peers, that are told of one call.
pub const MAX_TOLD: usize = 10;

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileEffect {
    /// It came to be.
    Created,
    /// Its content was changed.
    Changed,
    /// Its name was taken away.
    Deleted,
    /// It got this name by a rename.
    Renamed,
}

impl FileEffect {
    /// Every effect.
    pub const ALL: [Self; 4] = [Self::Created, Self::Changed, Self::Deleted, Self::Renamed];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Renamed => "renamed",
        }
    }

    /// The effect of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effect| effect.name() == name)
    }
}

/// What a tool call did to files: how many times each effect was seen, and the paths of a few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolFiles {
    /// Files that it created.
    pub created: u64,
    /// Files that it changed and had not created.
    pub changed: u64,
    /// Files that it deleted.
    pub deleted: u64,
    /// Files that it renamed.
    pub renamed: u64,
    /// Some of them, most worth telling first; [`MAX_TOLD`] at most.
    pub top: Vec<(FileEffect, Arc<str>)>,
}
