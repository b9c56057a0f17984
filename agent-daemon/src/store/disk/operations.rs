//! Operations in the head and in the database: blocks of an hour, as windows have them, but nobody's. Old ones are
//! added up.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::Connection;

use super::{
    Disk,
    blocks::{Level, hour_of},
    codec::{
        CodecError, Kind,
        bytes::nanoseconds,
        operation::{self, Operations},
    },
    compress::Squeeze,
    failure::Failure,
    head::{HeadBlock, Part},
    hourly::{self, Hourly, Stretches, span_of, stretch_of},
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
        let Some(item) = head_block(&arrived.operations, &arrived.sums) else { return };
        let mut writer = self.lock_writer();
        let mut head = self.write_head();
        let waiting: usize = head.iter().map(|part| part.operations.bytes()).sum();
        let has_room = waiting + item.block.len() <= MAX_HEAD && writer.segment.has_room_to_spare();
        let part = head.back_mut().filter(|_| has_room);
        let Some(part) = part else {
            self.telemetry.losses.add(Loss::OperationDropped, item.count);
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
        let in_head: Vec<_> =
            self.read_head().iter().map(|p| (p.number, p.operations.within(range))).collect();
        let sealed = self.readers.with(|reader| {
            let show = &mut |found: &Operations| show(found, range, visit);
            let visited = self.visit_sealed_blocks(reader, range, show);
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
}

fn show(found: &Operations, range: TimeRange, visit: &mut dyn FnMut(Kept<'_>)) {
    found.single.iter().filter(|o| o.is_in(range)).for_each(|o| visit(Kept::One(o)));
    found.sums.iter().filter(|s| range.overlaps(s.start, s.end)).for_each(|s| visit(Kept::Sums(s)));
}

/// Some operations as bytes; `None` for none.
fn head_block(single: &[Operation], sums: &[Sums]) -> Option<HeadBlock> {
    let (first, last) = span(single, sums)?;
    let block: Arc<[u8]> = operation::encode(single, sums).into();
    Some(HeadBlock { first, last, count: count(single, sums), block })
}

/// The same from bytes that were written.
pub(super) fn read(block: &[u8]) -> Result<Option<HeadBlock>, CodecError> {
    let found = operation::decode(block)?;
    let Some((first, last)) = found.span() else { return Ok(None) };
    Ok(Some(HeadBlock { first, last, count: found.count(), block: block.into() }))
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
    for item in part.operations.all() {
        let Ok(Operations { single, sums }) = operation::decode(&item.block) else {
            left += 1;
            continue;
        };
        single.into_iter().for_each(|o| hours.entry(hour_of(o.start)).or_default().single.push(o));
        sums.into_iter().for_each(|s| hours.entry(hour_of(s.start)).or_default().sums.push(s));
    }
    for (hour, mut block) in hours {
        block.single.sort_by_key(|o| (o.start, o.id));
        hourly::insert(db, squeeze, (Level::Raw, hour), &block)?;
    }
    Ok(left)
}

impl Hourly for Operations {
    const TABLE: &'static str = "operation_block";
    const COUNT: &'static str = "operations";
    type Stretches = SumsByStretch;

    fn encode(&self) -> Vec<u8> {
        operation::encode(&self.single, &self.sums)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        operation::decode(bytes)
    }

    fn span(&self) -> Option<(i64, i64)> {
        span(&self.single, &self.sums)
    }

    fn count(&self) -> u64 {
        count(&self.single, &self.sums)
    }
}

/// Sums by stretches of one length.
pub(super) struct SumsByStretch {
    length_ns: i64,
    sums: BTreeMap<i64, Sums>,
}

impl Stretches<Operations> for SumsByStretch {
    fn new(length_ns: i64) -> Self {
        Self { length_ns, sums: BTreeMap::new() }
    }

    fn add(&mut self, Operations { single, sums }: Operations) {
        single.iter().for_each(|operation| self.at(operation.start).add(operation));
        sums.into_iter().for_each(|sums| self.at(sums.start).merge(sums));
    }

    fn into_blocks(self) -> Vec<Operations> {
        let sums: Vec<Sums> = self.sums.into_values().collect();
        let block = |some: &[Sums]| Operations { single: Vec::new(), sums: some.to_vec() };
        sums.chunk_by(in_one_block()).map(block).collect()
    }
}

impl SumsByStretch {
    fn at(&mut self, time: Timestamp) -> &mut Sums {
        let number = stretch_of(time, self.length_ns);
        let (start, end) = span_of(number, self.length_ns);
        self.sums.entry(number).or_insert_with(|| Sums::new(start, end))
    }
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
