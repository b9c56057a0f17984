//! Connections for readers: as many as read at once, few of them kept.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;

use super::{compress::Unsqueeze, database};
use crate::store::StoreError;

/// Connections that are kept while nobody reads.
const IDLE: usize = 2;

/// What one reader needs.
pub(super) struct Reader {
    pub(super) db: Connection,
    pub(super) unsqueeze: Unsqueeze,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let db = database::open_to_read(path)?;
        let unsqueeze = Unsqueeze::new().map_err(StoreError::io("decompressing", path))?;
        Ok(Self { db, unsqueeze })
    }
}

/// The readers of one database.
pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Reader>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default() }
    }

    /// Reads with a connection of one's own.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&mut Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let mut reader = match known {
            Some(reader) => reader,
            None => Reader::open(&self.path)?,
        };
        let outcome = read(&mut reader);
        let mut idle = idle();
        if idle.len() < IDLE {
            idle.push(reader);
        }
        outcome
    }
}
