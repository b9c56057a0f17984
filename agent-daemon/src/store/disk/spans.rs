//! When an agent's windows and the host's begin and end, without what is in them, and the hours whose operations are added up: for an
//! import, which must not put one twice.

use rusqlite::params;
use rustc_hash::FxHashSet;

use super::{
    Disk,
    blocks::{self, Level, agent_key},
    codec::{bytes::time_of, host::HostWindows},
    failure::Failure,
    hourly,
    readers::Reader,
};
use crate::{
    model::{id::AgentId, time::Timestamp},
    store::StoreError,
};

/// Where a window begins and ends.
type Span = (Timestamp, Timestamp);

impl Disk {
    /// Shows where each of an agent's windows begins and ends, and whether it is one that stands for several. A window
    /// that is sealed meanwhile may be shown twice.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn spans(&self, agent: &AgentId, visit: &mut dyn FnMut(Span, bool)) -> Result<(), StoreError> {
        for part in self.read_head().iter() {
            let own = part.windows.iter().filter(|w| w.agent == *agent);
            own.for_each(|w| visit((w.start, w.end), false));
        }
        self.readers
            .with(|reader| sealed(reader, agent, visit).map_err(Failure::in_database(&self.database())))
    }

    /// Shows where each of the host's windows begins and ends, and whether it is one that stands for several. A window
    /// that is sealed meanwhile may be shown twice.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn host_spans(&self, visit: &mut dyn FnMut(Span, bool)) -> Result<(), StoreError> {
        for part in self.read_head().iter() {
            let items = part.host.all().iter();
            items.for_each(|item| visit((time_of(item.first), time_of(item.last)), false));
        }
        self.readers.with(|Reader { db, unsqueeze }| {
            let read = hourly::each::<HostWindows>(db, unsqueeze, &mut |(_, level), found| {
                let windows = found.map(|HostWindows(windows)| windows).unwrap_or_default();
                windows.iter().for_each(|w| visit((w.start, w.end), level != Level::Raw as u8));
            });
            read.map_err(StoreError::database(&self.database()))
        })
    }

    /// The hours, counted from the Unix epoch, whose operations this store has added up.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn hours_added_up(&self) -> Result<FxHashSet<i64>, StoreError> {
        self.readers.with(|reader| hours_added_up(reader).map_err(Failure::in_database(&self.database())))
    }
}

fn hours_added_up(Reader { db, .. }: &mut Reader) -> Result<FxHashSet<i64>, Failure> {
    let mut query = db.prepare_cached("SELECT DISTINCT hour FROM operation_block WHERE level <> ?1")?;
    let hours = query.query_map(params![Level::Raw as u8], |row| row.get(0))?;
    Ok(hours.collect::<rusqlite::Result<_>>()?)
}

fn sealed(
    Reader { db, unsqueeze }: &mut Reader,
    agent: &AgentId,
    visit: &mut dyn FnMut(Span, bool),
) -> Result<(), Failure> {
    let Some(key) = agent_key(db, agent)? else { return Ok(()) };
    let mut query = db.prepare_cached("SELECT level, checksum, body FROM block WHERE agent = ?1")?;
    let mut rows = query.query(params![key])?;
    while let Some(row) = rows.next()? {
        let merged = row.get::<_, u8>(0)? != Level::Raw as u8;
        let body = row.get_ref(2)?.as_blob().unwrap_or_default();
        // What is damaged is in no answer, and may be put again.
        let Ok(windows) = blocks::open(unsqueeze, agent, row.get(1)?, body) else { continue };
        windows.iter().for_each(|w| visit((w.start, w.end), merged));
    }
    Ok(())
}
