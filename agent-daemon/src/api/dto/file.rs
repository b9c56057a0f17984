//! Files on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, seconds};
use crate::{
    model::{
        file::FileStat,
        operation::{FileEffect, ToolFiles},
    },
    store::query::FileBy,
};

/// What an agent did with files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FileReport)]
pub struct FileReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the files probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// All files together.
    pub total: FileAmountsDto,
    /// Rows of the range.
    pub rows: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// A page of rows: what had an effect comes before what was only read, and then most bytes and calls first.
    pub files: Vec<FileDto>,
}

/// What was done with one file, with the files of one directory, or by one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = File)]
pub struct FileDto {
    /// The file, if asked for by path. `other` stands for those that have no row of their own, `unknown` for those whose path
    /// was lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The directory, if asked for by directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Who, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of who, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub amounts: FileAmountsDto,
}

/// Calls that succeeded, bytes and times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FileAmounts)]
pub struct FileAmountsDto {
    /// Opened for reading alone.
    pub read_opens: u64,
    /// Opened for writing, reading or not.
    pub write_opens: u64,
    /// Names that came to be, by open or by a link.
    pub creates: u64,
    /// Writes and truncations.
    pub changes: u64,
    /// Names that were taken away.
    pub deletes: u64,
    /// Names that came to be by a rename.
    pub renames: u64,
    /// Bytes that calls like read returned.
    pub read_bytes: u64,
    /// Bytes that calls like write took.
    pub written_bytes: u64,
    /// Calls of fsync and fdatasync.
    pub syncs: u64,
    /// Time in these, over all threads.
    pub sync_seconds: f64,
}

impl From<&FileStat> for FileAmountsDto {
    fn from(stat: &FileStat) -> Self {
        Self {
            read_opens: stat.read_opens,
            write_opens: stat.write_opens,
            creates: stat.creates,
            changes: stat.changes,
            deletes: stat.deletes,
            renames: stat.renames,
            read_bytes: stat.read_bytes,
            written_bytes: stat.written_bytes,
            syncs: stat.syncs,
            sync_seconds: seconds(stat.sync_ns),
        }
    }
}

impl FileDto {
    /// A row on the wire; `comm` names its process.
    #[must_use]
    pub fn new(row: &FileStat, by: FileBy, comm: Option<String>) -> Self {
        let place = || Some(row.path.to_string());
        Self {
            path: (by == FileBy::Path).then(place).flatten(),
            directory: (by == FileBy::Directory).then(place).flatten(),
            pid: (by == FileBy::Process).then_some(row.process.pid()),
            comm,
            amounts: row.into(),
        }
    }
}

/// What a tool call did to files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolFiles)]
pub struct ToolFilesDto {
    /// Files that it created.
    pub created: u64,
    /// Files that it changed and had not created.
    pub changed: u64,
    /// Files that it deleted.
    pub deleted: u64,
    /// Files that it renamed.
    pub renamed: u64,
    /// Some of them; ten at most.
    pub top: Vec<ToolFileDto>,
}

/// A file that a tool call had an effect on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolFile)]
pub struct ToolFileDto {
    /// What was done.
    pub effect: FileEffectDto,
    /// The file; of one that was renamed, the new path.
    pub path: String,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FileEffect)]
pub enum FileEffectDto {
    /// It came to be.
    Created,
    /// Its content was changed.
    Changed,
    /// Its name was taken away.
    Deleted,
    /// It got this name by a rename.
    Renamed,
}

impl From<FileEffect> for FileEffectDto {
    fn from(effect: FileEffect) -> Self {
        match effect {
            FileEffect::Created => Self::Created,
            FileEffect::Changed => Self::Changed,
            FileEffect::Deleted => Self::Deleted,
            FileEffect::Renamed => Self::Renamed,
        }
    }
}

impl From<&ToolFiles> for ToolFilesDto {
    fn from(files: &ToolFiles) -> Self {
        let ToolFiles { created, changed, deleted, renamed, ref top } = *files;
        let told = |(effect, path): &(FileEffect, std::sync::Arc<str>)| ToolFileDto {
            effect: (*effect).into(),
            path: path.to_string(),
        };
        Self { created, changed, deleted, renamed, top: top.iter().map(told).collect() }
    }
}
