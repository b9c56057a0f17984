//! What readers see: the head and the database as of one moment.
//!
//! The order matters. Handles of the head first, then the database's snapshot with the number of the newest sealed
//! segment: what was sealed in between is in both, and left out of the head. The other way round it could be in
//! neither.

use rusqlite::{Connection, params};
use rustc_hash::FxHashMap;

use super::{
    Disk,
    blocks::{self, agent_key},
    codec::{
        block::Numbered,
        bytes::{nanoseconds, time_of},
        process,
    },
    database,
    failure::Failure,
    head::Part,
    readers::Reader,
    stacks::lost,
};
use crate::{
    model::{
        agent::Agent,
        id::{AgentId, ProcessId},
        process::Process,
        time::{TimeRange, Timestamp},
        window::Window,
    },
    store::StoreError,
    telemetry::Loss,
};

impl Disk {
    pub(super) fn view_windows(
        &self,
        agent: &AgentId,
        range: TimeRange,
        visit: &mut dyn FnMut(&Window),
    ) -> Result<(), StoreError> {
        if self.read_roster().get(agent).is_none() {
            return Ok(());
        }
        let views: Vec<_> = self.read_head().iter().map(|part| part.view(agent, range)).collect();
        let sealed = self.readers.with(|reader| {
            let visited = self.visit_sealed(reader, agent, range, visit);
            visited.map_err(Failure::in_database(&self.database()))
        })?;
        for view in views.iter().filter(|view| view.number > sealed) {
            if view.visit(visit).is_err() {
                self.telemetry.losses.count(Loss::StoreRecordUnread);
            }
        }
        Ok(())
    }

    /// Shows the windows in the database; the newest segment that is sealed as far as they go.
    fn visit_sealed(
        &self,
        Reader { db, unsqueeze }: &mut Reader,
        agent: &AgentId,
        range: TimeRange,
        visit: &mut dyn FnMut(&Window),
    ) -> Result<u64, Failure> {
        let snapshot = db.unchecked_transaction()?;
        let sealed = sealed(&snapshot)?;
        let Some(key) = agent_key(&snapshot, agent)? else { return Ok(sealed) };
        let sql =
            "SELECT checksum, body FROM block WHERE agent = ?1 AND last > ?2 AND first < ?3 ORDER BY last";
        let mut query = snapshot.prepare_cached(sql)?;
        let mut rows = query.query(params![key, nanoseconds(range.from), nanoseconds(range.to)])?;
        while let Some(row) = rows.next()? {
            let body = row.get_ref(1)?.as_blob().unwrap_or_default();
            let Ok(windows) = blocks::open(unsqueeze, agent, row.get(0)?, body) else {
                self.telemetry.losses.count(Loss::StoreRecordUnread);
                continue;
            };
            for window in windows.into_iter().filter(|w| range.overlaps(w.start, w.end)) {
                visit(&self.named(&snapshot, window)?);
            }
        }
        Ok(sealed)
    }

    /// The window with its stacks in place of their numbers.
    fn named(&self, db: &Connection, window: Numbered) -> Result<Window, rusqlite::Error> {
        let mut failed = None;
        let named = window.map_stacks(|number| match self.stacks.get(db, number) {
            Ok(stack) => stack,
            Err(Failure::Codec(_)) => {
                self.telemetry.losses.count(Loss::StoreRecordUnread);
                lost()
            }
            Err(Failure::Database(error)) => {
                failed = Some(error);
                lost()
            }
        });
        failed.map_or(Ok(named), Err)
    }

    pub(super) fn view_processes(
        &self,
        agent: &AgentId,
        range: TimeRange,
    ) -> Result<Vec<Process>, StoreError> {
        if self.read_roster().get(agent).is_none() {
            return Ok(Vec::new());
        }
        let changes: Vec<_> = self.read_head().iter().map(|part| Changes::of(part, agent)).collect();
        let (sealed, mut processes) = self.readers.with(|reader| {
            let read = self.read_processes(reader, agent);
            read.map_err(StoreError::database(&self.database()))
        })?;
        for part in changes.into_iter().filter(|part| part.number > sealed) {
            part.apply(&mut processes);
        }
        let lived = |p: &Process| p.started < range.to && p.ended.is_none_or(|end| end >= range.from);
        let mut processes: Vec<_> = processes.into_values().filter(lived).collect();
        processes.sort_by_key(|p| (p.started, p.id));
        Ok(processes)
    }

    fn read_processes(&self, reader: &Reader, agent: &AgentId) -> rusqlite::Result<(u64, ById)> {
        let snapshot = reader.db.unchecked_transaction()?;
        let sealed = sealed(&snapshot)?;
        let mut processes = ById::default();
        let Some(key) = agent_key(&snapshot, agent)? else { return Ok((sealed, processes)) };
        let mut query = snapshot.prepare_cached("SELECT record, ended FROM process WHERE agent = ?1")?;
        let mut rows = query.query([key])?;
        while let Some(row) = rows.next()? {
            let Ok(mut process) = process::decode(row.get_ref(0)?.as_blob().unwrap_or_default()) else {
                self.telemetry.losses.count(Loss::StoreRecordUnread);
                continue;
            };
            process.ended = row.get::<_, Option<i64>>(1)?.map(time_of);
            processes.insert(process.id, process);
        }
        Ok((sealed, processes))
    }

    /// The last time that anything is known of an agent.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn last_seen(&self, agent: &Agent) -> Result<Timestamp, StoreError> {
        let mut last = agent.attached;
        // Few windows are in the head; of the others only the last one's end is asked for.
        for part in self.read_head().iter() {
            let ends = part.windows.iter().filter(|w| w.agent == agent.id).map(|w| w.end);
            last = ends.fold(last, Ord::max);
        }
        let sealed = self.readers.with(|reader| {
            let sql = "SELECT max(last) FROM block WHERE agent = (SELECT key FROM agent WHERE id = ?1)";
            let newest = reader.db.query_row(sql, [agent.id.as_str()], |row| row.get::<_, Option<i64>>(0));
            newest.map_err(StoreError::database(&self.database()))
        })?;
        Ok(sealed.map_or(last, |sealed| last.max(time_of(sealed))))
    }
}

pub(super) type ById = FxHashMap<ProcessId, Process>;

/// What a part of the head says of one agent's processes.
pub(super) struct Changes {
    pub(super) number: u64,
    rewatched: Option<Timestamp>,
    processes: Vec<std::sync::Arc<Process>>,
}

impl Changes {
    fn of(part: &Part, agent: &AgentId) -> Self {
        let own = part.processes.iter().filter(|((of, _), _)| of == agent);
        let processes = own.map(|(_, process)| std::sync::Arc::clone(process)).collect();
        Self { number: part.number, rewatched: part.rewatched.get(agent).copied(), processes }
    }

    /// What it says of one process.
    pub(super) fn of_one(part: &Part, agent: &AgentId, id: ProcessId) -> Self {
        let processes = part.processes.get(&(agent.clone(), id)).into_iter().cloned().collect();
        Self { number: part.number, rewatched: part.rewatched.get(agent).copied(), processes }
    }

    pub(super) fn apply(self, processes: &mut ById) {
        if let Some(end) = self.rewatched {
            processes.values_mut().for_each(|process| process.ended = process.ended.or(Some(end)));
        }
        processes.extend(self.processes.into_iter().map(|p| (p.id, std::sync::Arc::unwrap_or_clone(p))));
    }
}

/// The newest segment that is sealed. Read first in a transaction, it begins the snapshot.
pub(super) fn sealed(db: &Connection) -> rusqlite::Result<u64> {
    Ok(u64::try_from(database::state(db, "sealed_segment")?).unwrap_or(0))
}
