//! Whether a store is whole: every frame of the head, every page of the database, every record, and everything that
//! one record says of another. Changes nothing.

use std::path::Path;

use rusqlite::{Connection, params};
use rustc_hash::FxHashSet;

use super::{
    blocks::{self, hour_of},
    codec::{agent, block::Numbered, bytes::Decoder, host::HostWindows, operation::Operations, process},
    compress::Unsqueeze,
    database, hourly,
    lock::Lock,
    segment,
};
use crate::{model::id::AgentId, store::StoreError};

/// Problems that are told one by one.
const TOLD: usize = 100;

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Segments of the head.
    pub segments: u64,
    /// Whole frames in them.
    pub frames: u64,
    /// Bytes behind the last whole frame of a segment: no problem after a crash, they are cut off at the next start.
    pub torn_bytes: u64,
    /// Agents in the database.
    pub agents: u64,
    /// Processes in the database.
    pub processes: u64,
    /// Blocks in the database.
    pub blocks: u64,
    /// Windows in them.
    pub windows: u64,
    /// Blocks of operations in the database.
    pub operation_blocks: u64,
    /// Windows of the host in the database.
    pub host_windows: u64,
    /// Stacks in the database.
    pub stacks: u64,
    /// Everything that is wrong.
    pub problem_count: u64,
    /// The first hundred of it, in words.
    pub problems: Vec<String>,
}

impl Verified {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, what: String) {
        self.problem_count += 1;
        if self.problems.len() < TOLD {
            self.problems.push(what);
        }
    }
}

/// Looks at everything in the store in `folder`, which nobody may have open.
///
/// # Errors
/// There is no store, it is in use, or the disk fails. That it is damaged is no error but the answer.
pub fn verify(folder: &Path) -> Result<Verified, StoreError> {
    let path = folder.join(database::FILE);
    std::fs::metadata(&path).map_err(StoreError::io("opening", &path))?;
    let _lock = Lock::take(folder)?;
    let mut verified = Verified::default();
    for number in segment::list(folder)? {
        let read = segment::read(folder, number)?;
        verified.segments += 1;
        verified.frames += read.frames().count() as u64;
        verified.torn_bytes += read.torn() as u64;
    }
    let checked = database::open_to_read(&path)
        .and_then(|db| verified.database(&db).map_err(StoreError::database(&path)));
    match checked {
        Ok(()) => Ok(verified),
        Err(StoreError::Damaged { reason, .. }) => {
            verified.problem(format!("the database cannot be read any further: {reason}"));
            Ok(verified)
        }
        Err(error) => Err(error),
    }
}

impl Verified {
    fn database(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut check = db.prepare("PRAGMA quick_check")?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                self.problem(format!("database: {line}"));
            }
        }
        self.agents(db)?;
        self.processes(db)?;
        self.names(db)?;
        self.stacks(db)?;
        self.blocks(db)?;
        self.hourly(db)
    }

    fn hourly(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Ok(mut unsqueeze) = Unsqueeze::new() else { return Ok(()) };
        hourly::each::<Operations>(db, &mut unsqueeze, &mut |(key, _), found| {
            self.operation_blocks += 1;
            found.err().into_iter().for_each(|e| self.problem(format!("block {key} of operations: {e}")));
        })?;
        hourly::each::<HostWindows>(db, &mut unsqueeze, &mut |(key, _), found| match found {
            Ok(windows) => self.host_windows += windows.0.len() as u64,
            Err(error) => self.problem(format!("block {key} of the host: {error}")),
        })
    }

    fn agents(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut query = db.prepare("SELECT id, record FROM agent")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            self.agents += 1;
            let (id, record): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            match agent::decode(&record) {
                Ok(agent) if agent.id.as_str() == id => {}
                Ok(agent) => self.problem(format!("agent {id}: the record is that of {}", agent.id)),
                Err(error) => self.problem(format!("agent {id}: {error}")),
            }
        }
        Ok(())
    }

    fn processes(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let sql = "SELECT process.agent, process.id, process.record, agent.key IS NOT NULL \
                   FROM process LEFT JOIN agent ON agent.key = process.agent";
        let mut query = db.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            self.processes += 1;
            let (agent, id): (i64, i64) = (row.get(0)?, row.get(1)?);
            let record: Vec<u8> = row.get(2)?;
            let right = process::decode(&record).is_ok_and(|process| process.id.0 == id as u64);
            if !right || !row.get::<_, bool>(3)? {
                self.problem(format!("process {id} of agent {agent}: damaged, or the agent's are gone"));
            }
        }
        Ok(())
    }

    /// Frames whose texts are not there.
    fn names(&mut self, db: &Connection) -> rusqlite::Result<()> {
        for text in ["function", "file", "path", "build_id"] {
            let sql = format!(
                "SELECT id FROM frame WHERE {text} IS NOT NULL AND {text} NOT IN (SELECT id FROM string)"
            );
            let mut query = db.prepare(&sql)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                self.problem(format!("frame {}: its {text} is not there", row.get::<_, i64>(0)?));
            }
        }
        Ok(())
    }

    fn stacks(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let mut frame = db.prepare("SELECT 1 FROM frame WHERE id = ?1")?;
        let mut query = db.prepare("SELECT id, frames FROM stack")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            self.stacks += 1;
            let (id, frames): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            let mut from = Decoder::bare(&frames);
            while from.remaining() > 0 {
                let Ok(number) = from.varint() else {
                    self.problem(format!("stack {id}: it is cut short"));
                    break;
                };
                if !frame.exists([number as i64])? {
                    self.problem(format!("stack {id}: frame {number} is not there"));
                }
            }
        }
        Ok(())
    }

    fn blocks(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Ok(mut unsqueeze) = Unsqueeze::new() else { return Ok(()) };
        let sql = "SELECT block.key, hour, windows, checksum, body, agent.id \
                   FROM block LEFT JOIN agent ON agent.key = block.agent";
        let mut query = db.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            self.blocks += 1;
            let (key, hour): (i64, i64) = (row.get(0)?, row.get(1)?);
            let agent = row.get::<_, Option<String>>(5)?.and_then(|id| id.parse::<AgentId>().ok());
            let Some(agent) = agent else {
                self.problem(format!("block {key}: its agent is not there"));
                continue;
            };
            match blocks::open(
                &mut unsqueeze,
                &agent,
                row.get(3)?,
                row.get_ref(4)?.as_blob().unwrap_or_default(),
            ) {
                Ok(windows) => self.windows(db, key, (hour, row.get(2)?), &windows)?,
                Err(error) => self.problem(format!("block {key}: {error}")),
            }
        }
        Ok(())
    }

    fn windows(
        &mut self,
        db: &Connection,
        key: i64,
        (hour, count): (i64, usize),
        windows: &[Numbered],
    ) -> rusqlite::Result<()> {
        self.windows += windows.len() as u64;
        if windows.len() != count || windows.iter().any(|w| hour_of(w.start) != hour) {
            self.problem(format!("block {key}: its windows are not those of its row"));
        }
        let off_cpu = windows.iter().flat_map(|w| &w.off_cpu).map(|row| row.stack);
        let cpu = windows.iter().flat_map(|w| &w.cpu).map(|row| row.stack);
        let mut stack = db.prepare_cached("SELECT 1 FROM stack WHERE id = ?1")?;
        for number in off_cpu.chain(cpu).collect::<FxHashSet<_>>() {
            if !stack.exists(params![number as i64])? {
                self.problem(format!("block {key}: stack {number} is not there"));
            }
        }
        Ok(())
    }
}
