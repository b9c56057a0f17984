//! Why a store cannot be opened, read or written.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error(
        "the store {} is in use by another agentperf{}: stop that one, or choose another folder",
        .folder.display(), .holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The store's folder.
        folder: PathBuf,
        /// Who has it open, where that is known.
        holder: Option<u32>,
    },
    /// A newer agentperf wrote it.
    #[error(
        "the store {} has format {found}, and this agentperf knows formats up to {known}: \
         start a newer agentperf, or choose another folder",
        .path.display()
    )]
    TooNew {
        /// What is too new.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is understood.
        known: i64,
    },
    /// It is no store of agentperf's, whatever it is.
    #[error("{} is no store of agentperf's: choose another folder", .0.display())]
    Foreign(PathBuf),
    /// The database is damaged.
    #[error(
        "the store {} is damaged ({reason}): `agentperf store verify` says what is left of it; \
         to begin a new one, move the folder away",
        .path.display()
    )]
    Damaged {
        /// The damaged file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The disk is full, or the quota used up.
    #[error("no space is left on the disk of {}", .0.display())]
    Full(PathBuf),
    /// Records wait in memory to be written: the disk was full, and they are sealed as soon as it is not.
    #[error("records of segment {0} wait in memory for room on the disk")]
    Unsealed(u64),
    /// A file or folder could not be read or written.
    #[error("{what} {}: {error}", .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// The database refused for another reason.
    #[error("the store {}: {error}", .path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's own words.
        error: rusqlite::Error,
    },
}

impl StoreError {
    /// For `map_err`: what was tried with which file.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full(path),
            _ => Self::Io { what, path, error },
        }
    }

    /// For `map_err`: which database it was.
    pub(super) fn database(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self {
        let path = path.to_owned();
        move |error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full(path),
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Damaged { path, reason: error.to_string() }
            }
            _ => Self::Database { path, error },
        }
    }

    /// Whether it may go away by itself: the disk is full, or does not answer just now.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Unsealed(_) | Self::Io { .. } | Self::Database { .. })
    }
}
