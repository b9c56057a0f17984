//! Operations in the head and in the database: blocks of an hour, as windows have them, but nobody's. Old ones are
//! added up by the minute, then by the hour, after as long as windows are merged.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    Disk,
    blocks::{Level, hour_of},
    codec::{
        CodecError, Kind,
        bytes::{nanoseconds, time_of},
        operation::{self, Operations},
    },
    compress::{Squeeze, Unsqueeze},
    database::{self, clamped},
    failure::Failure,
    head::{HeadOperations, Part},
    options::Options,
    readers::Reader,
    rollup::{STEPS, Step},
};
use crate::{
    model::{
        operation::{Kept, Operation, Sums},
        record::Arrived,
        time::{TimeRange, Timestamp},
    },
    store::StoreError,
    telemetry::Loss,
};

/// Most rows of sums in one block.
const BLOCK_ROWS: usize = 2000;

/// Bytes of operations in the head in memory: what applications tell must not push out what was seen.
const MAX_HEAD: usize = 8 << 20;

impl Disk {
    pub(super) fn write_operations(&self, arrived: &Arrived) {
        let Some(item) = HeadOperations::new(&arrived.operations, &arrived.sums) else { return };
        let mut writer = self.lock_writer();
        let mut head = self.write_head();
        let waiting: usize = head.iter().map(Part::operation_bytes).sum();
        let has_room = waiting + item.block.len() <= MAX_HEAD && writer.segment.has_room_to_spare();
        let part = head.back_mut().filter(|_| has_room);
        let Some(part) = part else {
            self.telemetry.losses.add(Loss::OperationDropped, item.operations);
            return;
        };
        writer.segment.push(Kind::Operations, &item.block);
        part.push_operations(item);
    }

    pub(super) fn view_operations(
        &self,
        range: TimeRange,
        visit: &mut dyn FnMut(Kept<'_>),
    ) -> Result<(), StoreError> {
        // Head first, for the reason that `view` gives.
        let in_head: Vec<_> = self.read_head().iter().map(|p| (p.number, p.operations_in(range))).collect();
        let sealed = self.readers.with(|reader| {
            let visited = self.visit_sealed_operations(reader, range, visit);
            visited.map_err(Failure::in_database(&self.database()))
        })?;
        for block in in_head.into_iter().filter(|(number, _)| *number > sealed).flat_map(|(_, items)| items) {
            match operation::decode(&block) {
                Ok(found) => show(&found, range, visit),
                Err(_) => self.telemetry.losses.count(Loss::StoreRecordUnread),
            }
        }
        Ok(())
    }

    /// Shows the operations in the database; the newest segment that is sealed as far as they go.
    fn visit_sealed_operations(
        &self,
        Reader { db, unsqueeze }: &mut Reader,
        range: TimeRange,
        visit: &mut dyn FnMut(Kept<'_>),
    ) -> Result<u64, Failure> {
        let snapshot = db.unchecked_transaction()?;
        let sealed = u64::try_from(database::state(&snapshot, "sealed_segment")?).unwrap_or(0);
        let sql = "SELECT checksum, body FROM operation_block WHERE last > ?1 AND first < ?2 ORDER BY last";
        let mut query = snapshot.prepare_cached(sql)?;
        let mut rows = query.query(params![nanoseconds(range.from), nanoseconds(range.to)])?;
        while let Some(row) = rows.next()? {
            match open(unsqueeze, row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default()) {
                Ok(found) => show(&found, range, visit),
                Err(_) => self.telemetry.losses.count(Loss::StoreRecordUnread),
            }
        }
        Ok(sealed)
    }
}

fn show(found: &Operations, range: TimeRange, visit: &mut dyn FnMut(Kept<'_>)) {
    found.single.iter().filter(|o| o.is_in(range)).for_each(|o| visit(Kept::One(o)));
    found.sums.iter().filter(|s| range.overlaps(s.start, s.end)).for_each(|s| visit(Kept::Sums(s)));
}

impl HeadOperations {
    /// Some operations as bytes; `None` for none.
    pub(super) fn new(single: &[Operation], sums: &[Sums]) -> Option<Self> {
        let (first, last) = span(single, sums)?;
        let block: Arc<[u8]> = operation::encode(single, sums).into();
        Some(Self { first, last, operations: count(single, sums), block })
    }

    /// The same from bytes that were written.
    pub(super) fn read(block: &[u8]) -> Result<Option<Self>, CodecError> {
        let Operations { single, sums } = operation::decode(block)?;
        let Some((first, last)) = span(&single, &sums) else { return Ok(None) };
        Ok(Some(Self { first, last, operations: count(&single, &sums), block: block.into() }))
    }
}

/// When the first begins, and the moment after the last begins or the last sums end.
fn span(single: &[Operation], sums: &[Sums]) -> Option<(i64, i64)> {
    let of_single = single.iter().map(|o| nanoseconds(o.start)).map(|at| (at, at.saturating_add(1)));
    let of_sums = sums.iter().map(|s| (nanoseconds(s.start), nanoseconds(s.end)));
    of_single.chain(of_sums).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn count(single: &[Operation], sums: &[Sums]) -> u64 {
    let rows = sums.iter().flat_map(|sums| sums.rows.values());
    rows.fold(single.len() as u64, |count, sum| count.saturating_add(sum.count))
}

/// Writes a part's operations, a block for each hour; how many items were damaged.
pub(super) fn seal(db: &Connection, squeeze: &mut Squeeze, part: &Part) -> Result<u64, Failure> {
    let mut hours: BTreeMap<i64, Operations> = BTreeMap::new();
    let mut left = 0;
    for item in part.operations() {
        let Ok(Operations { single, sums }) = operation::decode(&item.block) else {
            left += 1;
            continue;
        };
        single.into_iter().for_each(|o| hours.entry(hour_of(o.start)).or_default().single.push(o));
        sums.into_iter().for_each(|s| hours.entry(hour_of(s.start)).or_default().sums.push(s));
    }
    for (hour, Operations { mut single, sums }) in hours {
        single.sort_by_key(|o| (o.start, o.id));
        insert(db, squeeze, (Level::Raw, hour), &single, &sums)?;
    }
    Ok(left)
}

fn insert(
    db: &Connection,
    squeeze: &mut Squeeze,
    (level, hour): (Level, i64),
    single: &[Operation],
    sums: &[Sums],
) -> Result<(), Failure> {
    let Some((first, last)) = span(single, sums) else { return Ok(()) };
    let body = squeeze.squeeze(&operation::encode(single, sums)).map_err(|_| CodecError::Compression)?;
    let sql = "INSERT INTO operation_block (level, hour, first, last, operations, checksum, body) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let count = clamped(count(single, sums));
    let row = params![level as u8, hour, first, last, count, crc32c::crc32c(&body), body];
    db.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

/// The operations of a block's body.
pub(super) fn open(unsqueeze: &mut Unsqueeze, checksum: u32, body: &[u8]) -> Result<Operations, CodecError> {
    if crc32c::crc32c(body) != checksum {
        return Err(CodecError::Compression);
    }
    operation::decode(&unsqueeze.unsqueeze(body)?)
}

/// Adds up the oldest hour that is due at `now`; how many of its blocks were damaged and stay as they are, or `None`
/// if nothing is due.
pub(super) fn roll_up(
    db: &mut Connection,
    both: (&mut Squeeze, &mut Unsqueeze),
    options: &Options,
    now: Timestamp,
) -> Result<Option<u64>, Failure> {
    for step in &STEPS {
        let Some(before) = step.due_before(options, now) else { continue };
        let sql = "SELECT min(hour) FROM operation_block WHERE level = ?1 AND hour < ?2";
        let due = params![step.from as u8, before];
        let due: Option<i64> = db.prepare_cached(sql)?.query_row(due, |row| row.get(0)).optional()?.flatten();
        if let Some(hour) = due {
            return merge(db, both, step, hour).map(Some);
        }
    }
    Ok(None)
}

fn merge(
    db: &mut Connection,
    (squeeze, unsqueeze): (&mut Squeeze, &mut Unsqueeze),
    &Step { from, to, length_ns: length, .. }: &Step,
    hour: i64,
) -> Result<u64, Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut stretches = Stretches { length, sums: BTreeMap::new() };
    let mut damaged = 0;
    for level in [from, to] {
        for key in keys(&transaction, level, hour)? {
            match body(&transaction, unsqueeze, key)? {
                Ok(found) => {
                    stretches.add(found);
                    transaction
                        .prepare_cached("DELETE FROM operation_block WHERE key = ?1")?
                        .execute([key])?;
                }
                // Kept for whoever can mend it, and out of the way.
                Err(_) if level == from => {
                    damaged += 1;
                    let sql = "UPDATE operation_block SET level = ?2 WHERE key = ?1";
                    transaction.prepare_cached(sql)?.execute(params![key, to as u8])?;
                }
                Err(_) => {}
            }
        }
    }
    let sums: Vec<Sums> = stretches.sums.into_values().collect();
    for some in sums.chunk_by(in_one_block()) {
        insert(&transaction, squeeze, (to, hour), &[], some)?;
    }
    transaction.commit()?;
    Ok(damaged)
}

/// Tells of each two neighbours whether they go into one block: so many rows at most, however busy an hour was.
fn in_one_block() -> impl FnMut(&Sums, &Sums) -> bool {
    let mut rows = 0;
    move |one, next| {
        rows += one.rows.len();
        let fits = rows + next.rows.len() <= BLOCK_ROWS;
        rows = if fits { rows } else { 0 };
        fits
    }
}

fn keys(db: &Connection, level: Level, hour: i64) -> rusqlite::Result<Vec<i64>> {
    let mut query = db.prepare_cached("SELECT key FROM operation_block WHERE level = ?1 AND hour = ?2")?;
    query.query_map(params![level as u8, hour], |row| row.get(0))?.collect()
}

/// The operations of a block, read one block at a time: an hour may hold more than should be in memory.
fn body(
    db: &Connection,
    unsqueeze: &mut Unsqueeze,
    key: i64,
) -> rusqlite::Result<Result<Operations, CodecError>> {
    let mut query = db.prepare_cached("SELECT checksum, body FROM operation_block WHERE key = ?1")?;
    query.query_row([key], |row| {
        Ok(open(unsqueeze, row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default()))
    })
}

/// Sums by stretches of one length.
struct Stretches {
    length: i64,
    sums: BTreeMap<i64, Sums>,
}

impl Stretches {
    fn add(&mut self, Operations { single, sums }: Operations) {
        single.iter().for_each(|operation| self.at(operation.start).add(operation));
        sums.into_iter().for_each(|sums| self.at(sums.start).merge(sums));
    }

    fn at(&mut self, time: Timestamp) -> &mut Sums {
        let number = nanoseconds(time).div_euclid(self.length);
        let start = number.saturating_mul(self.length);
        let new = || Sums::new(time_of(start), time_of(start.saturating_add(self.length)));
        self.sums.entry(number).or_insert_with(new)
    }
}
