//! Windows of the host in the head and in the database: blocks of an hour, nobody's. Old ones are merged as agents' are.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{
    Disk,
    blocks::{Level, hour_of},
    codec::{
        CodecError, Kind,
        bytes::nanoseconds,
        host::{self, HostWindows},
    },
    compress::Squeeze,
    failure::Failure,
    head::{HeadBlock, Part},
    hourly::{self, Hourly, Stretches, stretch_of},
};
use crate::{
    model::{host::HostWindow, time::TimeRange},
    store::StoreError,
    telemetry::Loss,
};

/// Bytes of the host's windows in the head in memory: of some ten minutes, on the largest host. Reached only while
/// nothing can be sealed.
const MAX_HEAD: usize = 8 << 20;

impl Disk {
    pub(super) fn write_host(&self, window: &HostWindow) {
        let item = head_block(window);
        let mut writer = self.lock_writer();
        let mut head = self.write_head();
        let waiting: usize = head.iter().map(|part| part.host.bytes()).sum();
        let has_room = waiting + item.block.len() <= MAX_HEAD;
        let Some(part) = head.back_mut().filter(|_| has_room) else {
            return self.telemetry.losses.count(Loss::HostWindowDropped);
        };
        writer.segment.push(Kind::Host, &item.block);
        part.push_host(item);
    }

    pub(super) fn view_host(
        &self,
        range: TimeRange,
        visit: &mut dyn FnMut(&HostWindow),
    ) -> Result<(), StoreError> {
        // Head first, for the reason that `view` gives.
        let in_head: Vec<_> = self.read_head().iter().map(|p| (p.number, p.host.within(range))).collect();
        let sealed = self.readers.with(|reader| {
            let show = &mut |found: &HostWindows| show(found, range, visit);
            let visited = self.visit_sealed_blocks(reader, range, show);
            visited.map_err(Failure::in_database(&self.database()))
        })?;
        for block in in_head.into_iter().filter(|(number, _)| *number > sealed).flat_map(|(_, items)| items) {
            match host::decode(&block) {
                Ok(found) => show(&found, range, visit),
                Err(_) => self.telemetry.losses.count(Loss::StoreRecordUnread),
            }
        }
        Ok(())
    }
}

fn show(HostWindows(windows): &HostWindows, range: TimeRange, visit: &mut dyn FnMut(&HostWindow)) {
    windows.iter().filter(|window| range.overlaps(window.start, window.end)).for_each(visit);
}

fn head_block(window: &HostWindow) -> HeadBlock {
    let block = host::encode(std::slice::from_ref(window)).into();
    HeadBlock { first: nanoseconds(window.start), last: nanoseconds(window.end), count: 1, block }
}

/// A part's item from bytes that were written.
pub(super) fn read(block: &[u8]) -> Result<Option<HeadBlock>, CodecError> {
    let found = host::decode(block)?;
    let Some((first, last)) = found.span() else { return Ok(None) };
    Ok(Some(HeadBlock { first, last, count: found.count(), block: block.into() }))
}

/// Writes a part's windows, a block for each hour; how many were damaged.
pub(super) fn seal(db: &Connection, squeeze: &mut Squeeze, part: &Part) -> Result<u64, Failure> {
    let mut hours: BTreeMap<i64, HostWindows> = BTreeMap::new();
    let mut left = 0;
    for item in part.host.all() {
        let Ok(HostWindows(windows)) = host::decode(&item.block) else {
            left += item.count;
            continue;
        };
        windows.into_iter().for_each(|w| hours.entry(hour_of(w.start)).or_default().0.push(w));
    }
    for (hour, mut block) in hours {
        block.0.sort_by_key(|window| window.start);
        hourly::insert(db, squeeze, (Level::Raw, hour), &block)?;
    }
    Ok(left)
}

impl Hourly for HostWindows {
    const TABLE: &'static str = "host_block";
    const COUNT: &'static str = "windows";
    type Stretches = MergedByStretch;

    fn encode(&self) -> Vec<u8> {
        host::encode(&self.0)
    }

    fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        host::decode(bytes)
    }

    fn span(&self) -> Option<(i64, i64)> {
        let spans = self.0.iter().map(|window| (nanoseconds(window.start), nanoseconds(window.end)));
        spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// Windows merged by stretches of one length.
pub(super) struct MergedByStretch {
    length_ns: i64,
    windows: BTreeMap<i64, HostWindow>,
}

impl Stretches<HostWindows> for MergedByStretch {
    fn new(length_ns: i64) -> Self {
        Self { length_ns, windows: BTreeMap::new() }
    }

    fn add(&mut self, HostWindows(windows): HostWindows) {
        for window in windows {
            let number = stretch_of(window.start, self.length_ns);
            match self.windows.get_mut(&number) {
                Some(sum) => sum.absorb(&window),
                None => drop(self.windows.insert(number, window)),
            }
        }
    }

    /// One: there are at most sixty of bounded size.
    fn into_blocks(self) -> Vec<HostWindows> {
        vec![HostWindows(self.windows.into_values().collect())]
    }
}
