//! Forgetting: by age and by size, whichever comes first, the oldest hours of windows, operations and the host first; then the
//! processes and agents that ended before anything that is kept; then names that nothing refers to. Every step is small,
//! so that nothing waits.
//!
//! Names are swept once a day of history is gone: rows whose `last_day` lies before the first day that is kept. Whatever
//! is sealed while a sweep goes on is moved past its day first, so that no block loses its names.

use rusqlite::{Connection, TransactionBehavior, params};

use super::{
    blocks::{DAY_HOURS, Level, hour_of},
    codec::{bytes::nanoseconds, host::HostWindows, operation::Operations},
    database,
    hourly::Hourly as _,
};
use crate::model::time::Timestamp;

/// Blocks or processes that are deleted at once.
const BATCH: i64 = 64;
/// Rows of names that are looked at at once.
const SWEEP: i64 = 4096;
/// Pages that are given back to the disk at once.
const PAGES: i64 = 256;
/// What is swept, in this order: what refers before what is referred to.
const TABLES: [&str; 3] = ["stack", "frame", "string"];

/// Every table of blocks, with every level.
fn tables_and_levels() -> impl Iterator<Item = (&'static str, Level)> {
    ["block", Operations::TABLE, HostWindows::TABLE]
        .into_iter()
        .flat_map(|table| Level::ALL.map(|level| (table, level)))
}

/// Deletes some blocks all of whose windows ended at `cutoff` or before; whether there were any.
pub(super) fn expire_blocks(db: &Connection, cutoff: Timestamp) -> rusqlite::Result<bool> {
    let (hour, last) = (hour_of(cutoff), nanoseconds(cutoff));
    for (table, level) in tables_and_levels() {
        let sql = format!(
            "DELETE FROM {table} WHERE key IN (SELECT key FROM {table} \
             WHERE level = ?1 AND hour <= ?2 AND last <= ?3 LIMIT ?4)"
        );
        if db.prepare_cached(&sql)?.execute(params![level as u8, hour, last, BATCH])? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes some blocks of the oldest hour; which hour that is, if there was any.
pub(super) fn drop_oldest_blocks(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let Some(hour) = oldest_hour(db)? else { return Ok(None) };
    for (table, level) in tables_and_levels() {
        let sql = format!(
            "DELETE FROM {table} WHERE key IN \
             (SELECT key FROM {table} WHERE level = ?1 AND hour = ?2 LIMIT ?3)"
        );
        if db.prepare_cached(&sql)?.execute(params![level as u8, hour, BATCH])? > 0 {
            break;
        }
    }
    Ok(Some(hour))
}

/// The first hour of which there is a block.
pub(super) fn oldest_hour(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut oldest = None;
    for (table, level) in tables_and_levels() {
        let mut query = db.prepare_cached(&format!("SELECT min(hour) FROM {table} WHERE level = ?1"))?;
        let hour: Option<i64> = query.query_row([level as u8], |row| row.get(0))?;
        oldest = [oldest, hour].into_iter().flatten().min();
    }
    Ok(oldest)
}

/// Deletes some processes that ended at `cutoff` (nanoseconds) or before; whether there were any.
pub(super) fn expire_processes(db: &Connection, cutoff: i64) -> rusqlite::Result<bool> {
    let sql = "DELETE FROM process WHERE (agent, id) IN \
               (SELECT agent, id FROM process WHERE ended IS NOT NULL AND ended <= ?1 LIMIT ?2)";
    Ok(db.prepare_cached(sql)?.execute(params![cutoff, BATCH])? > 0)
}

/// Whether there is a block of this agent.
pub(super) fn has_blocks(db: &Connection, agent: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM block WHERE agent = ?1 LIMIT 1")?.exists([agent])
}

/// Gives some free pages back to the disk; whether there were any.
pub(super) fn vacuum(db: &Connection) -> rusqlite::Result<bool> {
    let free: i64 = db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    // A few free pages are soon used again.
    if free < PAGES {
        return Ok(false);
    }
    let mut steps = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = steps.query([])?;
    while rows.next()?.is_some() {}
    Ok(true)
}

/// A sweep of names that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    day: i64,
    table: usize,
    after: i64,
}

impl Sweep {
    /// Begins one, if a day is gone since the last.
    pub(super) fn begin(db: &Connection, now: Timestamp) -> rusqlite::Result<Option<Self>> {
        let day = oldest_hour(db)?.unwrap_or(hour_of(now)).div_euclid(DAY_HOURS);
        if day <= database::state(db, "swept_day")? {
            return Ok(None);
        }
        database::set_state(db, "swept_day", day)?;
        Ok(Some(Self { day, table: 0, after: 0 }))
    }

    /// Sweeps a little; `None` once all is swept.
    pub(super) fn step(mut self, db: &mut Connection) -> rusqlite::Result<Option<Self>> {
        let Some(table) = TABLES.get(self.table) else { return Ok(None) };
        let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = format!("SELECT max(id) FROM (SELECT id FROM {table} WHERE id > ?1 ORDER BY id LIMIT ?2)");
        let last: Option<i64> = transaction.query_row(&sql, [self.after, SWEEP], |row| row.get(0))?;
        match last {
            Some(last) => {
                let sql = format!("DELETE FROM {table} WHERE id > ?1 AND id <= ?2 AND last_day < ?3");
                transaction.prepare_cached(&sql)?.execute([self.after, last, self.day])?;
                self.after = last;
            }
            None => (self.table, self.after) = (self.table + 1, 0),
        }
        transaction.commit()?;
        Ok(Some(self))
    }
}
