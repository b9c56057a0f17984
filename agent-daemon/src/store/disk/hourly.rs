//! Blocks that belong to no agent: what began within one hour, as rows of a table of their own. Old ones are added up by
//! the minute, then by the hour, after as long as windows are merged.
//!
//! A kind of record that is kept so says in [`Hourly`] what is its own.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    Disk,
    blocks::Level,
    codec::{
        CodecError,
        bytes::{nanoseconds, time_of},
    },
    compress::{Squeeze, Unsqueeze},
    database::{self, clamped},
    failure::Failure,
    options::Options,
    readers::Reader,
    rollup::{STEPS, Step},
};
use crate::{
    model::time::{TimeRange, Timestamp},
    telemetry::Loss,
};

/// What a block holds.
pub(super) trait Hourly: Sized {
    /// The table of its blocks: `key`, `level`, `hour`, `first`, `last`, [`COUNT`](Self::COUNT), `checksum`, `body`.
    const TABLE: &'static str;
    /// The column that says how much a block holds.
    const COUNT: &'static str;
    /// Blocks that are being added up.
    type Stretches: Stretches<Self>;

    /// Its bytes.
    fn encode(&self) -> Vec<u8>;
    /// The block of these bytes.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;
    /// When the first thing in it begins, and a moment after the last one; `None` where there is nothing.
    fn span(&self) -> Option<(i64, i64)>;
    /// How much it holds.
    fn count(&self) -> u64;
}

/// Blocks of one hour that are being added up, one at a time: an hour may hold more than should be in memory.
pub(super) trait Stretches<B> {
    /// Nothing yet; what begins in one stretch of this length becomes one.
    fn new(length_ns: i64) -> Self;
    /// Adds a block.
    fn add(&mut self, block: B);
    /// The sums, in blocks of bounded size.
    fn into_blocks(self) -> Vec<B>;
}

/// The number of the stretch of a length that holds a time.
pub(super) fn stretch_of(time: Timestamp, length_ns: i64) -> i64 {
    nanoseconds(time).div_euclid(length_ns)
}

/// When a stretch of a length begins and ends.
pub(super) fn span_of(number: i64, length_ns: i64) -> (Timestamp, Timestamp) {
    let start = number.saturating_mul(length_ns);
    (time_of(start), time_of(start.saturating_add(length_ns)))
}

/// Writes a block; nothing where it is empty.
pub(super) fn insert<B: Hourly>(
    db: &Connection,
    squeeze: &mut Squeeze,
    (level, hour): (Level, i64),
    block: &B,
) -> Result<(), Failure> {
    let Some((first, last)) = block.span() else { return Ok(()) };
    let body = squeeze.squeeze(&block.encode()).map_err(|_| CodecError::Compression)?;
    let sql = format!(
        "INSERT INTO {} (level, hour, first, last, {}, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        B::TABLE,
        B::COUNT
    );
    let row = params![level as u8, hour, first, last, clamped(block.count()), crc32c::crc32c(&body), body];
    db.prepare_cached(&sql)?.execute(row)?;
    Ok(())
}

/// What is in a block's body.
pub(super) fn open<B: Hourly>(
    unsqueeze: &mut Unsqueeze,
    checksum: u32,
    body: &[u8],
) -> Result<B, CodecError> {
    if crc32c::crc32c(body) != checksum {
        return Err(CodecError::Compression);
    }
    B::decode(&unsqueeze.unsqueeze(body)?)
}

/// Looks at every block: shows how it was read, with its key and its level.
pub(super) fn each<B: Hourly>(
    db: &Connection,
    unsqueeze: &mut Unsqueeze,
    show: &mut dyn FnMut((i64, u8), Result<B, CodecError>),
) -> rusqlite::Result<()> {
    let mut query = db.prepare(&format!("SELECT key, level, checksum, body FROM {}", B::TABLE))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(3)?.as_blob().unwrap_or_default();
        show((row.get(0)?, row.get(1)?), open(unsqueeze, row.get(2)?, body));
    }
    Ok(())
}

impl Disk {
    /// Shows the blocks in the database that may lie in the range; the newest segment that is sealed as far as they go.
    pub(super) fn visit_sealed_blocks<B: Hourly>(
        &self,
        Reader { db, unsqueeze }: &mut Reader,
        range: TimeRange,
        visit: &mut dyn FnMut(&B),
    ) -> Result<u64, Failure> {
        let snapshot = db.unchecked_transaction()?;
        let sealed = u64::try_from(database::state(&snapshot, "sealed_segment")?).unwrap_or(0);
        let table = B::TABLE;
        let sql = format!("SELECT checksum, body FROM {table} WHERE last > ?1 AND first < ?2 ORDER BY last");
        let mut query = snapshot.prepare_cached(&sql)?;
        let mut rows = query.query(params![nanoseconds(range.from), nanoseconds(range.to)])?;
        while let Some(row) = rows.next()? {
            match open(unsqueeze, row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default()) {
                Ok(found) => visit(&found),
                Err(_) => self.telemetry.losses.count(Loss::StoreRecordUnread),
            }
        }
        Ok(sealed)
    }
}

/// Adds up the oldest hour that is due at `now`; how many of its blocks were damaged and stay as they are, or `None`
/// if nothing is due.
pub(super) fn roll_up<B: Hourly>(
    db: &mut Connection,
    both: (&mut Squeeze, &mut Unsqueeze),
    options: &Options,
    now: Timestamp,
) -> Result<Option<u64>, Failure> {
    for step in &STEPS {
        let Some(before) = step.due_before(options, now) else { continue };
        let sql = format!("SELECT min(hour) FROM {} WHERE level = ?1 AND hour < ?2", B::TABLE);
        let due = params![step.from as u8, before];
        let due: Option<i64> =
            db.prepare_cached(&sql)?.query_row(due, |row| row.get(0)).optional()?.flatten();
        if let Some(hour) = due {
            return merge::<B>(db, both, step, hour).map(Some);
        }
    }
    Ok(None)
}

fn merge<B: Hourly>(
    db: &mut Connection,
    (squeeze, unsqueeze): (&mut Squeeze, &mut Unsqueeze),
    &Step { from, to, length_ns, .. }: &Step,
    hour: i64,
) -> Result<u64, Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut stretches = B::Stretches::new(length_ns);
    let mut damaged = 0;
    for level in [from, to] {
        for key in keys::<B>(&transaction, level, hour)? {
            match body::<B>(&transaction, unsqueeze, key)? {
                Ok(found) => {
                    stretches.add(found);
                    let sql = format!("DELETE FROM {} WHERE key = ?1", B::TABLE);
                    transaction.prepare_cached(&sql)?.execute([key])?;
                }
                // Kept for whoever can mend it, and out of the way.
                Err(_) if level == from => {
                    damaged += 1;
                    let sql = format!("UPDATE {} SET level = ?2 WHERE key = ?1", B::TABLE);
                    transaction.prepare_cached(&sql)?.execute(params![key, to as u8])?;
                }
                Err(_) => {}
            }
        }
    }
    for block in stretches.into_blocks() {
        insert(&transaction, squeeze, (to, hour), &block)?;
    }
    transaction.commit()?;
    Ok(damaged)
}

fn keys<B: Hourly>(db: &Connection, level: Level, hour: i64) -> rusqlite::Result<Vec<i64>> {
    let sql = format!("SELECT key FROM {} WHERE level = ?1 AND hour = ?2", B::TABLE);
    let mut query = db.prepare_cached(&sql)?;
    query.query_map(params![level as u8, hour], |row| row.get(0))?.collect()
}

/// What is in one block.
fn body<B: Hourly>(
    db: &Connection,
    unsqueeze: &mut Unsqueeze,
    key: i64,
) -> rusqlite::Result<Result<B, CodecError>> {
    let sql = format!("SELECT checksum, body FROM {} WHERE key = ?1", B::TABLE);
    let mut query = db.prepare_cached(&sql)?;
    query.query_row([key], |row| {
        Ok(open(unsqueeze, row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default()))
    })
}
