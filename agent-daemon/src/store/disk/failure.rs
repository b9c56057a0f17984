//! Why a row cannot be had: the database failed, which ends the work, or the row is damaged, which costs that row.

use std::path::Path;

use super::codec::CodecError;
use crate::store::StoreError;

/// Why a row cannot be had, or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    /// The row is damaged, or not there.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl Failure {
    /// For `map_err`: which database it was.
    pub(super) fn in_database(path: &Path) -> impl FnOnce(Self) -> StoreError {
        move |failure| match failure {
            Self::Database(error) => StoreError::database(path)(error),
            Self::Codec(error) => StoreError::Damaged { path: path.to_owned(), reason: error.to_string() },
        }
    }
}
