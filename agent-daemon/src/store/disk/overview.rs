//! What all agents' time comes to, out of the sums and shares that stand beside the blocks: no body is read.
//!
//! The head is looked at first, and the database after, as in `view`.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Disk,
    blocks::hour_of,
    codec::{
        bytes::{nanoseconds, time_of},
        process,
        shares::{self, Place},
    },
    failure::Failure,
    head::Part,
    view::{Changes, sealed},
};
use crate::{
    model::{
        id::{AgentId, ProcessId},
        process::Process,
        stack::{Binary, Frame},
        time::{TimeRange, Timestamp},
    },
    store::{
        ProcessCounts, StoreError,
        summary::{Function, Shares, Summary, Sums},
    },
    telemetry::Loss,
};

impl Disk {
    pub(super) fn view_summaries(
        &self,
        range: TimeRange,
        visit: &mut dyn FnMut(&AgentId, &Summary),
    ) -> Result<(), StoreError> {
        let head: Vec<_> = self.read_head().iter().map(|part| (part.number, in_range(part, range))).collect();
        let sealed = self.readers.with(|reader| {
            let visited = self.visit_summaries(&reader.db, range, visit);
            visited.map_err(Failure::in_database(&self.database()))
        })?;
        let newer = head.iter().filter(|(number, _)| *number > sealed);
        newer.flat_map(|(_, windows)| windows).for_each(|(agent, summary)| visit(agent, summary));
        Ok(())
    }

    /// Shows what the blocks come to; the newest segment that is sealed as far as they go.
    fn visit_summaries(
        &self,
        db: &Connection,
        range: TimeRange,
        visit: &mut dyn FnMut(&AgentId, &Summary),
    ) -> Result<u64, Failure> {
        let snapshot = db.unchecked_transaction()?;
        let sealed = sealed(&snapshot)?;
        let agents = agents(&snapshot)?;
        let mut names = Names { db: &snapshot, known: FxHashMap::default() };
        // A window may reach into the hour after the one that it begins in; none is longer than an hour.
        let hours = [hour_of(range.from).saturating_sub(1), hour_of(range.to)];
        let sql = "SELECT block.agent, first, last, cpu_ns, cpu_samples, blocked_ns, run_queue_ns, syscalls, \
                   syscall_errors, record FROM block INDEXED BY block_by_hour \
                   LEFT JOIN share ON share.hour = block.hour AND share.agent = block.agent AND share.block = key \
                   WHERE block.hour BETWEEN ?1 AND ?2 AND last > ?3 AND first < ?4";
        let mut query = snapshot.prepare_cached(sql)?;
        let bounds = params![hours[0], hours[1], nanoseconds(range.from), nanoseconds(range.to)];
        let mut rows = query.query(bounds)?;
        while let Some(row) = rows.next()? {
            let Some(agent) = agents.get(&row.get(0)?) else { continue };
            let shares = match row.get_ref(9)?.as_blob_or_null().ok().flatten().map(shares::decode) {
                Some(Ok(shares)) => shares.try_map(|place| names.function(place))?,
                Some(Err(_)) => {
                    self.telemetry.losses.count(Loss::StoreRecordUnread);
                    Shares::default()
                }
                None => Shares::default(),
            };
            let (start, end) = (time_of(row.get(1)?), time_of(row.get(2)?));
            visit(agent, &Summary { start, end, sums: sums(row)?, shares });
        }
        Ok(sealed)
    }

    pub(super) fn view_process(&self, agent: &AgentId, id: ProcessId) -> Result<Option<Process>, StoreError> {
        let changes: Vec<_> = self.read_head().iter().map(|part| Changes::of_one(part, agent, id)).collect();
        let (sealed, known) = self.readers.with(|reader| {
            let read = read_process(&reader.db, agent, id);
            read.map_err(StoreError::database(&self.database()))
        })?;
        let mut processes: FxHashMap<_, _> = known.into_iter().map(|process| (id, process)).collect();
        changes.into_iter().filter(|part| part.number > sealed).for_each(|part| part.apply(&mut processes));
        Ok(processes.remove(&id))
    }

    pub(super) fn view_counts(&self, range: TimeRange) -> Result<Vec<(AgentId, ProcessCounts)>, StoreError> {
        let head: Vec<_> = self.read_head().iter().map(Changed::of).collect();
        let counted = self.readers.with(|reader| {
            let counted = count(&reader.db, head, range);
            counted.map_err(StoreError::database(&self.database()))
        })?;
        let roster = self.read_roster();
        Ok(counted.into_iter().filter(|(agent, _)| roster.get(agent).is_some()).collect())
    }
}

/// What a part's windows in the range come to.
fn in_range(part: &Part, range: TimeRange) -> Vec<(AgentId, Arc<Summary>)> {
    let wanted = part.windows.iter().filter(|w| range.overlaps(w.start, w.end));
    wanted.map(|w| (w.agent.clone(), Arc::clone(&w.summary))).collect()
}

fn sums(row: &Row<'_>) -> rusqlite::Result<Sums> {
    let number = |column| row.get::<_, i64>(column).map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Sums {
        cpu_ns: number(3)?,
        cpu_samples: number(4)?,
        blocked_ns: number(5)?,
        run_queue_ns: number(6)?,
        syscalls: number(7)?,
        syscall_errors: number(8)?,
    })
}

/// Every agent that is sealed, by its key.
fn agents(db: &Connection) -> rusqlite::Result<FxHashMap<i64, AgentId>> {
    let mut query = db.prepare_cached("SELECT key, id FROM agent")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let known = rows.filter_map(|row| row.map(|(key, id)| Some((key, id.parse().ok()?))).transpose());
    known.collect()
}

/// The functions of one answer, each read once.
struct Names<'a> {
    db: &'a Connection,
    known: FxHashMap<Place, Function>,
}

impl Names<'_> {
    fn function(&mut self, place: Place) -> rusqlite::Result<Function> {
        if let Some(function) = self.known.get(&place) {
            return Ok(function.clone());
        }
        let path = place.path.map(|path| self.text(path)).transpose()?;
        let frame = Frame {
            kind: place.kind,
            function: self.text(place.name)?,
            file: None,
            line: None,
            binary: path.map(|path| Arc::new(Binary { path, build_id: None })),
            address: 0,
        };
        let function = Function::of(&Arc::new(frame));
        self.known.insert(place, function.clone());
        Ok(function)
    }

    fn text(&self, number: u64) -> rusqlite::Result<String> {
        let mut query = self.db.prepare_cached("SELECT text FROM string WHERE id = ?1")?;
        let text = query.query_row([number as i64], |row| row.get(0)).optional()?;
        Ok(text.unwrap_or_else(|| Frame::UNKNOWN.to_owned()))
    }
}

fn read_process(db: &Connection, agent: &AgentId, id: ProcessId) -> rusqlite::Result<(u64, Option<Process>)> {
    let snapshot = db.unchecked_transaction()?;
    let sealed = sealed(&snapshot)?;
    let sql =
        "SELECT record, ended FROM process WHERE agent = (SELECT key FROM agent WHERE id = ?1) AND id = ?2";
    let mut query = snapshot.prepare_cached(sql)?;
    let mut rows = query.query(params![agent.as_str(), id.0 as i64])?;
    let Some(row) = rows.next()? else { return Ok((sealed, None)) };
    let mut process = process::decode(row.get_ref(0)?.as_blob().unwrap_or_default()).ok();
    let ended = row.get::<_, Option<i64>>(1)?.map(time_of);
    process.iter_mut().for_each(|process| process.ended = ended);
    Ok((sealed, process))
}

/// Which processes a part changes, and how they ended.
struct Changed {
    number: u64,
    rewatched: FxHashMap<AgentId, Timestamp>,
    processes: Vec<(AgentId, ProcessId, Option<Timestamp>)>,
}

impl Changed {
    fn of(part: &Part) -> Self {
        let processes = part.processes.iter().map(|((agent, id), p)| (agent.clone(), *id, p.ended)).collect();
        Self { number: part.number, rewatched: part.rewatched.clone(), processes }
    }
}

fn count(
    db: &Connection,
    head: Vec<Changed>,
    range: TimeRange,
) -> rusqlite::Result<Vec<(AgentId, ProcessCounts)>> {
    let snapshot = db.unchecked_transaction()?;
    let sealed = sealed(&snapshot)?;
    let agents = agents(&snapshot)?;
    let mut counts: FxHashMap<AgentId, ProcessCounts> = FxHashMap::default();
    let sql = "SELECT agent, count(*) FROM process WHERE ended >= ?1 AND ended < ?2 GROUP BY agent";
    let mut query = snapshot.prepare_cached(sql)?;
    let mut rows = query.query([nanoseconds(range.from), nanoseconds(range.to)])?;
    while let Some(row) = rows.next()? {
        if let Some(agent) = agents.get(&row.get(0)?) {
            counts.entry(agent.clone()).or_default().ended =
                u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        }
    }
    let mut live = live(&snapshot, &agents)?;
    let mut changed = Ends::default();
    for part in head.into_iter().filter(|part| part.number > sealed) {
        part.apply(&live, &mut changed);
    }
    for ((agent, id), ended) in changed {
        live.remove(&(agent.clone(), id));
        let known = ended_before(&snapshot, &agent, id)?;
        let counts = counts.entry(agent).or_default();
        if known.is_some_and(|end| end >= range.from && end < range.to) {
            counts.ended = counts.ended.saturating_sub(1);
        }
        counts.add(ended, range);
    }
    for (agent, _) in live {
        counts.entry(agent).or_default().live += 1;
    }
    Ok(counts.into_iter().collect())
}

type Ids = FxHashSet<(AgentId, ProcessId)>;
type Ends = FxHashMap<(AgentId, ProcessId), Option<Timestamp>>;

impl Changed {
    /// Adds what the part changes to what older ones did. `live` are those that live in the database.
    fn apply(self, live: &Ids, changed: &mut Ends) {
        for (agent, end) in &self.rewatched {
            for id in live.iter().filter(|(of, _)| of == agent) {
                changed.entry(id.clone()).or_insert(Some(*end));
            }
            let own = changed.iter_mut().filter(|((of, _), ended)| of == agent && ended.is_none());
            own.for_each(|(_, ended)| *ended = Some(*end));
        }
        changed.extend(self.processes.into_iter().map(|(agent, id, ended)| ((agent, id), ended)));
    }
}

fn live(db: &Connection, agents: &FxHashMap<i64, AgentId>) -> rusqlite::Result<Ids> {
    let sql = "SELECT agent, id FROM process INDEXED BY process_live WHERE ended IS NULL";
    let mut query = db.prepare_cached(sql)?;
    let rows =
        query.query_map([], |row| Ok((row.get::<_, i64>(0)?, ProcessId(row.get::<_, i64>(1)? as u64))))?;
    let known = |row: rusqlite::Result<(i64, ProcessId)>| {
        row.map(|(key, id)| Some((agents.get(&key)?.clone(), id))).transpose()
    };
    rows.filter_map(known).collect()
}

/// When a sealed process ended, if it did.
fn ended_before(db: &Connection, agent: &AgentId, id: ProcessId) -> rusqlite::Result<Option<Timestamp>> {
    let sql = "SELECT ended FROM process WHERE agent = (SELECT key FROM agent WHERE id = ?1) AND id = ?2";
    let mut query = db.prepare_cached(sql)?;
    let found: Option<Option<i64>> =
        query.query_row(params![agent.as_str(), id.0 as i64], |row| row.get(0)).optional()?;
    Ok(found.flatten().map(time_of))
}
