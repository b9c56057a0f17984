//! What a store holds, in numbers.

use std::path::Path;

use rusqlite::{Connection, params};

use super::{blocks::Level, codec::bytes::time_of, database, keeper::file_size, schema, segment};
use crate::{model::time::Timestamp, store::StoreError};

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The version of the database's tables.
    pub schema: i64,
    /// Bytes of the database file.
    pub database_bytes: u64,
    /// Bytes of it that are free to be used again.
    pub free_bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// Segments of the head that are not deleted.
    pub segments: u64,
    /// Bytes of them.
    pub segment_bytes: u64,
    /// Agents that are sealed.
    pub agents: u64,
    /// Processes that are sealed.
    pub processes: u64,
    /// Stacks, each once.
    pub stacks: u64,
    /// Frames, each once.
    pub frames: u64,
    /// Texts, each once.
    pub strings: u64,
    /// Windows by how much they were merged, the finest first.
    pub levels: Vec<LevelInfo>,
}

/// The windows of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelInfo {
    /// `raw`, `minute` or `hour`.
    pub name: &'static str,
    /// Blocks.
    pub blocks: u64,
    /// Windows in them.
    pub windows: u64,
    /// Bytes of them, compressed.
    pub bytes: u64,
    /// From the first window's start to the last one's end; `None` without windows.
    pub covered: Option<(Timestamp, Timestamp)>,
}

/// What the store in `folder` holds. A daemon may have it open meanwhile; what it has not sealed yet is in the
/// segments.
///
/// # Errors
/// There is no store, or it cannot be read.
pub fn info(folder: &Path) -> Result<Info, StoreError> {
    let path = folder.join(database::FILE);
    let db = database::open_to_read(&path)?;
    let mut segment_bytes = 0;
    let segments = segment::list(folder)?;
    for number in &segments {
        segment_bytes += file_size(&segment::path(folder, *number));
    }
    let read = || {
        let snapshot = db.unchecked_transaction()?;
        let pragma = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
        Ok(Info {
            schema: schema::version(&snapshot)?,
            database_bytes: pragma("page_count")? * pragma("page_size")?,
            free_bytes: pragma("freelist_count")? * pragma("page_size")?,
            log_bytes: file_size(&path.with_extension("db-wal")),
            segments: segments.len() as u64,
            segment_bytes,
            agents: count(&snapshot, "agent")?,
            processes: count(&snapshot, "process")?,
            stacks: count(&snapshot, "stack")?,
            frames: count(&snapshot, "frame")?,
            strings: count(&snapshot, "string")?,
            levels: Level::ALL.map(|l| level(&snapshot, l)).into_iter().collect::<rusqlite::Result<_>>()?,
        })
    };
    read().map_err(StoreError::database(&path))
}

fn count(db: &Connection, table: &str) -> rusqlite::Result<u64> {
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
}

fn level(db: &Connection, level: Level) -> rusqlite::Result<LevelInfo> {
    let name = match level {
        Level::Raw => "raw",
        Level::Minute => "minute",
        Level::Hour => "hour",
    };
    let sql = "SELECT count(*), coalesce(sum(windows), 0), coalesce(sum(length(body)), 0), min(first), max(last) \
               FROM block WHERE level = ?1";
    db.query_row(sql, params![level as u8], |row| {
        let (first, last): (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
        let covered = first.map(time_of).zip(last.map(time_of));
        Ok(LevelInfo { name, blocks: row.get(0)?, windows: row.get(1)?, bytes: row.get(2)?, covered })
    })
}
