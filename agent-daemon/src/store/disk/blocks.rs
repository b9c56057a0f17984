//! Blocks: the windows of one agent that begin within one hour, as a row of the database.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    codec::{
        CodecError,
        block::{self, Numbered},
        bytes::{nanoseconds, time_of},
        shares::{self, Place},
    },
    compress::{Squeeze, Unsqueeze},
    database::clamped,
    failure::Failure,
};
use crate::{
    model::{id::AgentId, time::Timestamp},
    store::summary::{Shares, Sums},
};

/// Nanoseconds of an hour.
pub(super) const HOUR_NS: i64 = 3_600_000_000_000;
/// Hours of a day.
pub(super) const DAY_HOURS: i64 = 24;

/// How much windows were merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Not at all.
    Raw = 0,
    /// A minute's into one.
    Minute = 1,
    /// An hour's into one.
    Hour = 2,
}

impl Level {
    /// Every level, the finest first.
    pub(super) const ALL: [Self; 3] = [Self::Raw, Self::Minute, Self::Hour];
}

/// The hour that holds a time, counted from the epoch.
pub(super) fn hour_of(time: Timestamp) -> i64 {
    nanoseconds(time).div_euclid(HOUR_NS)
}

/// When an hour begins.
pub(super) fn hour_start(hour: i64) -> Timestamp {
    time_of(hour.saturating_mul(HOUR_NS))
}

/// Writes windows of one agent that all begin in this hour. None are no block.
pub(super) fn insert(
    db: &Connection,
    squeeze: &mut Squeeze,
    (agent, level, hour): (i64, Level, i64),
    windows: &[Numbered],
    shares: Option<&Shares<Place>>,
) -> Result<(), Failure> {
    let Some(first) = windows.iter().map(|w| nanoseconds(w.start)).min() else { return Ok(()) };
    let last = windows.iter().map(|w| nanoseconds(w.end)).max().unwrap_or(first);
    let body = squeeze.squeeze(&block::encode(windows)).map_err(|_| CodecError::Compression)?;
    let sums = Sums::of(windows);
    let sql = "INSERT INTO block (agent, level, hour, first, last, windows, cpu_ns, cpu_samples, blocked_ns, \
               run_queue_ns, syscalls, syscall_errors, checksum, body) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    let key = db.prepare_cached(sql)?.insert(params![
        agent,
        level as u8,
        hour,
        first,
        last,
        windows.len(),
        clamped(sums.cpu_ns),
        clamped(sums.cpu_samples),
        clamped(sums.blocked_ns),
        clamped(sums.run_queue_ns),
        clamped(sums.syscalls),
        clamped(sums.syscall_errors),
        crc32c::crc32c(&body),
        body,
    ])?;
    if let Some(shares) = shares {
        let sql = "INSERT INTO share (hour, agent, block, record) VALUES (?1, ?2, ?3, ?4)";
        db.prepare_cached(sql)?.execute(params![hour, agent, key, shares::encode(shares)])?;
    }
    Ok(())
}

/// What the sums of a block are made of; `None` for one that is older than shares are, or whose are damaged.
pub(super) fn shares(
    db: &Connection,
    (hour, agent, key): (i64, i64, i64),
) -> rusqlite::Result<Option<Shares<Place>>> {
    let sql = "SELECT record FROM share WHERE hour = ?1 AND agent = ?2 AND block = ?3";
    let mut query = db.prepare_cached(sql)?;
    let record: Option<Vec<u8>> = query.query_row([hour, agent, key], |row| row.get(0)).optional()?;
    Ok(record.and_then(|record| shares::decode(&record).ok()))
}

/// The windows of a block's body.
pub(super) fn open(
    unsqueeze: &mut Unsqueeze,
    agent: &AgentId,
    checksum: u32,
    body: &[u8],
) -> Result<Vec<Numbered>, CodecError> {
    if crc32c::crc32c(body) != checksum {
        return Err(CodecError::Compression);
    }
    block::decode(&unsqueeze.unsqueeze(body)?, agent)
}

/// The key of an agent's row, if it has been sealed.
pub(super) fn agent_key(db: &Connection, agent: &AgentId) -> rusqlite::Result<Option<i64>> {
    let mut query = db.prepare_cached("SELECT key FROM agent WHERE id = ?1")?;
    let mut rows = query.query([agent.as_str()])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}
