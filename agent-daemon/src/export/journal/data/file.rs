//! What a process did with a file, in the journal. What counts nothing is left out.

use serde::{Deserialize, Serialize};

use super::process_id::Id;
use crate::model::file::FileStat;

/// One process and one file in a window.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FileData {
    process: Id,
    path: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    read_opens: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    write_opens: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    creates: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    changes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    deletes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    renames: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    read_bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    written_bytes: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    syncs: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    sync_ns: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl From<FileStat> for FileData {
    fn from(row: FileStat) -> Self {
        let [read_opens, write_opens, creates, changes, deletes, renames, read, written, syncs, sync_ns] =
            row.amounts();
        let (process, path, read_bytes, written_bytes) =
            (Id(row.process), row.path.to_string(), read, written);
        Self {
            process,
            path,
            read_opens,
            write_opens,
            creates,
            changes,
            deletes,
            renames,
            read_bytes,
            written_bytes,
            syncs,
            sync_ns,
        }
    }
}

impl From<FileData> for FileStat {
    fn from(row: FileData) -> Self {
        let FileData { read_opens, write_opens, creates, changes, deletes, renames, .. } = row;
        let FileData { read_bytes, written_bytes, syncs, sync_ns, .. } = row;
        let mut amounts = [read_opens, write_opens, creates, changes, deletes, renames, 0, 0, 0, 0];
        amounts[6..].copy_from_slice(&[read_bytes, written_bytes, syncs, sync_ns]);
        Self::with(row.process.0, row.path.into(), amounts)
    }
}
