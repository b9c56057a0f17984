//! A part of the head into the database, in one transaction: all of it is sealed, or none.

use std::collections::BTreeMap;

use rusqlite::{Connection, TransactionBehavior, params};
use rustc_hash::FxHashMap;

use super::{
    blocks::{self, DAY_HOURS, Level, hour_of},
    codec::{agent, block, bytes::nanoseconds, process},
    compress::Squeeze,
    database,
    failure::Failure,
    head::{HeadWindow, Part},
    host,
    intern::Interner,
    operations,
};
use crate::{
    model::{id::AgentId, time::Timestamp},
    store::summary::Shares,
};

/// What could not be kept of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Windows that were damaged, or whose agent is not known; operations, and windows of the host, that were damaged.
    pub(super) windows: u64,
    /// Processes there was no room for.
    pub(super) processes: u64,
}

/// Writes the part, and that it is written.
pub(super) fn seal(
    db: &mut Connection,
    squeeze: &mut Squeeze,
    part: &Part,
    max_processes: usize,
) -> Result<Left, Failure> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for agent in &part.forgotten {
        forget(&transaction, agent)?;
    }
    for agent in part.agents.values() {
        put_agent(&transaction, agent)?;
    }
    let processes = put_processes(&transaction, part, max_processes)?;
    let windows = put_windows(&transaction, squeeze, part)?
        + operations::seal(&transaction, squeeze, part)?
        + host::seal(&transaction, squeeze, part)?;
    database::set_state(&transaction, "sealed_segment", database::clamped(part.number))?;
    transaction.commit()?;
    Ok(Left { windows, processes })
}

/// Deletes all that is known of an agent.
pub(super) fn forget(db: &Connection, agent: &AgentId) -> rusqlite::Result<()> {
    let Some(key) = blocks::agent_key(db, agent)? else { return Ok(()) };
    for sql in [
        "DELETE FROM block WHERE agent = ?1",
        "DELETE FROM process WHERE agent = ?1",
        "DELETE FROM agent WHERE key = ?1",
    ] {
        db.prepare_cached(sql)?.execute([key])?;
    }
    Ok(())
}

fn put_agent(db: &Connection, agent: &crate::model::agent::Agent) -> rusqlite::Result<()> {
    let sql = "INSERT INTO agent (id, ended, record) VALUES (?1, ?2, ?3) \
               ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, record = excluded.record";
    let ended = agent.ended.map(|(at, _)| nanoseconds(at));
    db.prepare_cached(sql)?.execute(params![agent.id.as_str(), ended, agent::encode(agent)]).map(drop)
}

/// Writes the part's processes; how many had to make room.
fn put_processes(db: &Connection, part: &Part, max: usize) -> rusqlite::Result<u64> {
    for (agent, end) in &part.rewatched {
        end_all(db, agent, *end)?;
    }
    let mut keys: FxHashMap<&AgentId, Option<i64>> = FxHashMap::default();
    let sql = "INSERT INTO process (agent, id, ended, record) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (agent, id) DO UPDATE SET ended = excluded.ended, record = excluded.record";
    for ((agent, id), process) in &part.processes {
        let key = match keys.get(agent) {
            Some(key) => *key,
            None => *keys.entry(agent).or_insert(blocks::agent_key(db, agent)?),
        };
        let ended = process.ended.map(nanoseconds);
        if let Some(key) = key {
            let row = params![key, id.0 as i64, ended, process::encode(process)];
            db.prepare_cached(sql)?.execute(row)?;
        }
    }
    keys.into_values().flatten().map(|key| make_room(db, key, max)).sum()
}

/// Ends the processes that were not seen to end.
fn end_all(db: &Connection, agent: &AgentId, end: Timestamp) -> rusqlite::Result<()> {
    let Some(key) = blocks::agent_key(db, agent)? else { return Ok(()) };
    let sql = "UPDATE process SET ended = ?2 WHERE agent = ?1 AND ended IS NULL";
    db.prepare_cached(sql)?.execute(params![key, nanoseconds(end)]).map(drop)
}

/// Forgets an agent's processes that ended first, down to the most that are kept; how many.
fn make_room(db: &Connection, agent: i64, max: usize) -> rusqlite::Result<u64> {
    let mut count = db.prepare_cached("SELECT count(*) FROM process WHERE agent = ?1")?;
    let count: usize = count.query_row([agent], |row| row.get(0))?;
    if count <= max {
        return Ok(0);
    }
    let sql = "DELETE FROM process WHERE agent = ?1 AND id IN (SELECT id FROM process \
               WHERE agent = ?1 AND ended IS NOT NULL ORDER BY ended, id LIMIT ?2)";
    let gone = db.prepare_cached(sql)?.execute(params![agent, count - max])?;
    Ok(gone as u64)
}

/// Writes the part's windows, a block for each agent and hour; how many could not be.
fn put_windows(db: &Connection, squeeze: &mut Squeeze, part: &Part) -> Result<u64, Failure> {
    let mut groups: BTreeMap<(&AgentId, i64), Vec<&HeadWindow>> = BTreeMap::new();
    for window in &part.windows {
        groups.entry((&window.agent, hour_of(window.start))).or_default().push(window);
    }
    // Names that are swept just now must not be taken for known: see `sweep`.
    let swept = database::state(db, "swept_day")?;
    let newest = groups.keys().map(|(_, hour)| hour.div_euclid(DAY_HOURS)).max().unwrap_or(swept);
    let mut numbers = Numbers { interner: Interner::new(db, newest.max(swept)), known: FxHashMap::default() };
    let mut left = 0;
    for ((agent, hour), mut windows) in groups {
        windows.sort_by_key(|w| w.start);
        let Some(key) = blocks::agent_key(db, agent)? else {
            left += windows.len() as u64;
            continue;
        };
        let shares = Shares::merge(windows.iter().map(|w| &w.summary.shares));
        let shares = shares.try_map(|function| numbers.interner.function(&function))?;
        let mut numbered = Vec::with_capacity(windows.len());
        for window in windows {
            match block::decode(&window.block, agent) {
                Ok(decoded) => numbered.extend(numbers.renumber(decoded, part)?),
                Err(_) => left += 1,
            }
        }
        blocks::insert(db, squeeze, (key, Level::Raw, hour), &numbered, Some(&shares))?;
    }
    Ok(left)
}

/// The database's numbers for the part's.
struct Numbers<'a> {
    interner: Interner<'a>,
    known: FxHashMap<u64, u64>,
}

impl Numbers<'_> {
    fn renumber(
        &mut self,
        windows: Vec<block::Numbered>,
        part: &Part,
    ) -> rusqlite::Result<Vec<block::Numbered>> {
        let stacks = windows
            .iter()
            .flat_map(|w| w.off_cpu.iter().map(|row| row.stack).chain(w.cpu.iter().map(|row| row.stack)));
        for number in stacks {
            if !self.known.contains_key(&number) {
                let stack = usize::try_from(number).ok().and_then(|n| part.stacks.get(n)).cloned();
                let stack = stack.unwrap_or_else(super::stacks::lost);
                let interned = self.interner.stack(&stack)?;
                self.known.insert(number, interned as u64);
            }
        }
        let number = |number| self.known.get(&number).copied().unwrap_or_default();
        Ok(windows.into_iter().map(|window| window.map_stacks(number)).collect())
    }
}
