//! Housekeeping: seals what is due, merges what is old, forgets what is too old or too much. It has the database for
//! itself, on a thread of its own: neither who writes nor who reads waits for it. Each step is one small transaction,
//! and a step that took long is named in the log, since only a slow disk makes it so.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    Disk,
    blocks::{self, hour_start},
    codec::{bytes::nanoseconds, host::HostWindows, operation::Operations},
    compress::{Squeeze, Unsqueeze},
    database,
    failure::Failure,
    head::Part,
    hourly,
    numbering::Numbering,
    retention::{self, Sweep},
    rollup::{self, Done},
    seal,
    segment::{self, Segment},
    writer::Writer,
};
use crate::{
    model::{id::AgentId, time::Timestamp},
    store::{Store, StoreError},
    telemetry::Loss,
};

/// A part is sealed before its time when it takes this much memory, bytes.
const SEAL_BYTES: usize = 4 << 20;

/// And when its operations take this much: ten times as much once they are decoded.
const SEAL_OPERATIONS: usize = 1 << 20;

/// How long merging and forgetting may take at a time.
const BUDGET: Duration = Duration::from_millis(50);

/// The write-ahead log is emptied when it is larger, bytes.
const MAX_WAL: u64 = 8 << 20;

/// A step that takes longer is told.
const LONG: Duration = Duration::from_secs(1);

/// What housekeeping needs.
pub(super) struct Keeper {
    pub(super) db: Connection,
    squeeze: Squeeze,
    unsqueeze: Unsqueeze,
    sweep: Option<Sweep>,
    /// Nothing is kept from before this, for want of room.
    horizon: Option<Timestamp>,
    /// Whether the last housekeeping failed.
    in_trouble: bool,
}

/// A step of forgetting: whether there may be more to do.
type Step = fn(&Disk, &mut Keeper, Timestamp) -> rusqlite::Result<bool>;

impl Keeper {
    pub(super) fn new(folder: &Path, db: Connection) -> Result<Self, StoreError> {
        let failed = || StoreError::io("compressing for", folder);
        let (squeeze, unsqueeze) = (Squeeze::new().map_err(failed())?, Unsqueeze::new().map_err(failed())?);
        Ok(Self { db, squeeze, unsqueeze, sweep: None, horizon: None, in_trouble: false })
    }
}

/// Does a step, and tells if it took long.
fn timed<T>(step: &str, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let outcome = work();
    let seconds = begin.elapsed().as_secs_f64();
    if seconds >= LONG.as_secs_f64() {
        tracing::warn!(step, seconds, "housekeeping of the store took long: the disk or the host is busy");
    }
    outcome
}

impl Disk {
    /// Does what is due. What fails is counted, told once, and tried again the next time.
    pub(super) fn keep(&self, now: Timestamp) {
        let mut keeper = self.lock_keeper();
        self.rotate_due(now);
        let outcome = self.seal_parts(&mut keeper).and_then(|()| {
            let until = Instant::now() + BUDGET;
            while self.tidy(&mut keeper, now)? && Instant::now() < until {}
            Ok(())
        });
        // Where there is no room to seal, forgetting may make some; and what cannot be merged must not stop it.
        if outcome.is_err() {
            let _ = self.forget_some(&mut keeper, now);
        }
        match &outcome {
            Ok(()) if keeper.in_trouble => tracing::info!("the store works again"),
            Err(error) if !keeper.in_trouble => {
                tracing::error!(%error, "the store cannot be kept; trying again")
            }
            _ => {}
        }
        keeper.in_trouble = outcome.is_err();
        self.telemetry.losses.add(Loss::StoreWriteFailed, u64::from(outcome.is_err()));
    }

    /// Seals, merges and forgets all that is due, and gives all free room back to the disk. Takes as long as it
    /// takes; neither readers nor writers wait.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn compact(&self, now: Timestamp) -> Result<(), StoreError> {
        self.sync()?;
        let mut keeper = self.lock_keeper();
        self.rotate(&mut self.lock_writer());
        self.seal_parts(&mut keeper)?;
        while self.tidy(&mut keeper, now)? {}
        let path = self.database();
        let vacuum = "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)";
        keeper.db.execute_batch(vacuum).map_err(StoreError::database(&path))
    }

    /// Begins a new part where the one that grows is old or large.
    fn rotate_due(&self, now: Timestamp) {
        let mut writer = self.lock_writer();
        let (parts, empty, bytes, operations) = {
            let head = self.read_head();
            let growing = head.back();
            (
                head.len(),
                growing.is_none_or(Part::is_empty),
                growing.map_or(0, |part| part.bytes),
                growing.map_or(0, |part| part.operations.bytes()),
            )
        };
        // A clock that was set back begins anew.
        let began = writer.began.filter(|began| *began <= now && !empty);
        writer.began = began.or((!empty).then_some(now));
        let age = began.and_then(|began| now.duration_since(began).try_into().ok()).unwrap_or(Duration::ZERO);
        let due = !empty
            && (age >= self.options.seal_after || bytes >= SEAL_BYTES || operations >= SEAL_OPERATIONS);
        // While an older part waits to be sealed, one that grows is enough.
        if due && parts == 1 {
            self.rotate(&mut writer);
        }
    }

    /// Begins a new part and its segment.
    fn rotate(&self, writer: &mut Writer) {
        // What waits for room on the disk is sealed from memory.
        let _ = writer.segment.flush();
        let mut head = self.write_head();
        let Some(number) = head.back().filter(|part| !part.is_empty()).map(|part| part.number) else {
            return;
        };
        if !writer.segment.is_whole() {
            writer.undurable = Some(number);
        }
        head.push_back(Part::new(number + 1));
        writer.segment = Segment::new(&self.folder, number + 1);
        writer.numbering = Numbering::default();
        writer.began = None;
    }

    /// Seals every part but the one that grows.
    fn seal_parts(&self, Keeper { db, squeeze, .. }: &mut Keeper) -> Result<(), StoreError> {
        loop {
            let part = {
                let head = self.read_head();
                match head.front() {
                    Some(part) if head.len() > 1 => part.clone(),
                    _ => return Ok(()),
                }
            };
            let sealed = timed("seal", || seal::seal(db, squeeze, &part, self.options.max_processes));
            let left = sealed.map_err(Failure::in_database(&self.database()))?;
            self.telemetry.losses.add(Loss::StoreRecordUnread, left.windows);
            self.telemetry.losses.add(Loss::ProcessForgotten, left.processes);
            self.write_head().pop_front();
            let mut writer = self.lock_writer();
            writer.undurable = writer.undurable.filter(|number| *number > part.number);
            // If not now, then when the store is opened.
            let _ = std::fs::remove_file(segment::path(&self.folder, part.number));
        }
    }

    /// One step of merging, forgetting or giving back; whether there may be more to do.
    fn tidy(&self, keeper: &mut Keeper, now: Timestamp) -> Result<bool, StoreError> {
        let path = self.database();
        let Keeper { db, squeeze, unsqueeze, .. } = keeper;
        let merged = timed("merge", || rollup::step(db, (squeeze, unsqueeze), &self.options, now));
        if let Done::Hour { damaged } = merged.map_err(Failure::in_database(&path))? {
            self.telemetry.losses.add(Loss::StoreRecordUnread, damaged);
            return Ok(true);
        }
        for roll_up in [hourly::roll_up::<Operations>, hourly::roll_up::<HostWindows>] {
            let added_up = timed("merge", || roll_up(db, (squeeze, unsqueeze), &self.options, now));
            if let Some(damaged) = added_up.map_err(Failure::in_database(&path))? {
                self.telemetry.losses.add(Loss::StoreRecordUnread, damaged);
                return Ok(true);
            }
        }
        self.forget_some(keeper, now)
    }

    /// One step of forgetting, for tests.
    #[cfg(test)]
    pub(super) fn step_of_forgetting(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.forget_some(&mut self.lock_keeper(), now)
    }

    /// One step of forgetting or giving back; whether there may be more to do.
    fn forget_some(&self, keeper: &mut Keeper, now: Timestamp) -> Result<bool, StoreError> {
        let steps: [(&str, Step); 5] = [
            ("expire", Self::expire),
            ("shrink", Self::shrink),
            ("forget", Self::forget_ended),
            ("sweep", Self::sweep),
            ("vacuum", Self::vacuum),
        ];
        for (name, step) in steps {
            if timed(name, || step(self, keeper, now)).map_err(StoreError::database(&self.database()))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets blocks that are too old.
    fn expire(&self, keeper: &mut Keeper, now: Timestamp) -> rusqlite::Result<bool> {
        let Ok(cutoff) = now.checked_sub(self.options.keep) else { return Ok(false) };
        retention::expire_blocks(&keeper.db, cutoff)
    }

    /// Forgets the oldest blocks while the store is too large.
    fn shrink(&self, keeper: &mut Keeper, _: Timestamp) -> rusqlite::Result<bool> {
        if self.bytes(keeper)? <= self.options.max_bytes {
            return Ok(false);
        }
        // What only waits in the log to be moved is no reason to forget.
        if self.wal_bytes() > 0 {
            checkpoint(&keeper.db)?;
            if self.bytes(keeper)? <= self.options.max_bytes {
                return Ok(false);
            }
        }
        let hour = retention::drop_oldest_blocks(&keeper.db)?;
        keeper.horizon = hour.map(hour_start).or(keeper.horizon);
        Ok(hour.is_some())
    }

    /// Forgets processes and agents that ended before anything that is kept.
    fn forget_ended(&self, keeper: &mut Keeper, now: Timestamp) -> rusqlite::Result<bool> {
        let cutoff = [now.checked_sub(self.options.keep).ok(), keeper.horizon];
        let Some(cutoff) = cutoff.into_iter().flatten().max() else { return Ok(false) };
        if retention::expire_processes(&keeper.db, nanoseconds(cutoff))? {
            return Ok(true);
        }
        let ended = self.read_roster().ended_before(cutoff);
        for agent in ended {
            if self.forget_agent(&keeper.db, &agent, cutoff)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets an agent that ended before `cutoff`, if there is no window of it; whether it did.
    fn forget_agent(&self, db: &Connection, agent: &AgentId, cutoff: Timestamp) -> rusqlite::Result<bool> {
        let key = blocks::agent_key(db, agent)?;
        if key.map(|key| retention::has_blocks(db, key)).transpose()? == Some(true) {
            return Ok(false);
        }
        // Nobody may watch it anew between the look and the deed. In the order in which the locks are taken everywhere.
        let writer = self.lock_writer();
        let mut head = self.write_head();
        let waiting = head.iter().any(|part| part.windows.iter().any(|w| w.agent == *agent));
        if waiting || !self.read_roster().ended_before(cutoff).contains(agent) {
            return Ok(false);
        }
        head.iter_mut().for_each(|part| part.forget(agent));
        self.write_roster().remove(agent);
        drop((head, writer));
        let transaction = db.unchecked_transaction()?;
        seal::forget(&transaction, agent)?;
        transaction.commit()?;
        Ok(true)
    }

    /// Forgets names that nothing refers to.
    fn sweep(&self, keeper: &mut Keeper, now: Timestamp) -> rusqlite::Result<bool> {
        let sweep = match keeper.sweep.take() {
            Some(sweep) => Some(sweep),
            None => Sweep::begin(&keeper.db, now)?,
        };
        let Some(sweep) = sweep else { return Ok(false) };
        keeper.sweep = sweep.step(&mut keeper.db)?;
        Ok(true)
    }

    /// Gives free pages back to the disk, and empties a log that has grown.
    fn vacuum(&self, keeper: &mut Keeper, _: Timestamp) -> rusqlite::Result<bool> {
        if retention::vacuum(&keeper.db)? {
            return Ok(true);
        }
        if self.wal_bytes() > MAX_WAL {
            checkpoint(&keeper.db)?;
        }
        Ok(false)
    }

    /// What the store takes on the disk, free pages aside, bytes.
    fn bytes(&self, keeper: &Keeper) -> rusqlite::Result<u64> {
        Ok(database::used_bytes(&keeper.db)? + self.lock_writer().segment.len() + self.wal_bytes())
    }

    fn wal_bytes(&self) -> u64 {
        file_size(&self.database().with_extension("db-wal"))
    }
}

/// Empties the write-ahead log, unless somebody reads just now.
fn checkpoint(db: &Connection) -> rusqlite::Result<()> {
    let patience = |ms| db.busy_timeout(Duration::from_millis(ms));
    patience(0)?;
    let outcome = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    patience(5000)?;
    outcome
}

/// Bytes of a file; 0 where there is none.
pub(super) fn file_size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}
