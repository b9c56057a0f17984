//! Housekeeping: seals what is due, merges what is old, forgets what is too old or too much. A little at a time, since
//! what is put waits meanwhile.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    Disk,
    blocks::{self, hour_start},
    codec::bytes::nanoseconds,
    database,
    failure::Failure,
    head::Part,
    numbering::Numbering,
    operations,
    retention::{self, Sweep},
    rollup::{self, Done},
    seal,
    segment::{self, Segment},
    writer::Writer,
};
use crate::{
    model::time::Timestamp,
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

impl Disk {
    /// Does what is due. What fails is counted, told once, and tried again the next time.
    pub(super) fn keep(&self, now: Timestamp) {
        let mut writer = self.lock_writer();
        let outcome = self.seal_due(&mut writer, now).and_then(|()| {
            let until = Instant::now() + BUDGET;
            while self.tidy(&mut writer, now)? && Instant::now() < until {}
            Ok(())
        });
        // Where there is no room to seal, forgetting may make some.
        let outcome = match outcome {
            Err(error @ StoreError::Full(_)) => {
                let _ = self.forget_some(&mut writer, now);
                Err(error)
            }
            outcome => outcome,
        };
        match &outcome {
            Ok(()) if writer.in_trouble => tracing::info!("the store works again"),
            Err(error) if !writer.in_trouble => {
                tracing::error!(%error, "the store cannot be kept; trying again")
            }
            _ => {}
        }
        writer.in_trouble = outcome.is_err();
        self.telemetry.losses.add(Loss::StoreWriteFailed, u64::from(outcome.is_err()));
    }

    /// Seals, merges and forgets all that is due, and gives all free room back to the disk. Takes as long as it
    /// takes; readers do not wait, writers do.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn compact(&self, now: Timestamp) -> Result<(), StoreError> {
        self.sync()?;
        let mut writer = self.lock_writer();
        self.rotate(&mut writer);
        self.seal_parts(&mut writer)?;
        while self.tidy(&mut writer, now)? {}
        let path = self.database();
        let vacuum = "VACUUM; PRAGMA wal_checkpoint(TRUNCATE)";
        writer.db.execute_batch(vacuum).map_err(StoreError::database(&path))
    }

    fn seal_due(&self, writer: &mut Writer, now: Timestamp) -> Result<(), StoreError> {
        let (parts, empty, bytes, operations) = {
            let head = self.read_head();
            let growing = head.back();
            (
                head.len(),
                growing.is_none_or(Part::is_empty),
                growing.map_or(0, |part| part.bytes),
                growing.map_or(0, Part::operation_bytes),
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
            self.rotate(writer);
        }
        self.seal_parts(writer)
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
    fn seal_parts(&self, writer: &mut Writer) -> Result<(), StoreError> {
        loop {
            let part = {
                let head = self.read_head();
                match head.front() {
                    Some(part) if head.len() > 1 => part.clone(),
                    _ => return Ok(()),
                }
            };
            let left = seal::seal(&mut writer.db, &mut writer.squeeze, &part, self.options.max_processes)
                .map_err(Failure::in_database(&self.database()))?;
            self.telemetry.losses.add(Loss::StoreRecordUnread, left.windows);
            self.telemetry.losses.add(Loss::ProcessForgotten, left.processes);
            self.write_head().pop_front();
            writer.undurable = writer.undurable.filter(|number| *number > part.number);
            // If not now, then when the store is opened.
            let _ = std::fs::remove_file(segment::path(&self.folder, part.number));
        }
    }

    /// One step of merging, forgetting or giving back; whether there may be more to do.
    fn tidy(&self, writer: &mut Writer, now: Timestamp) -> Result<bool, StoreError> {
        let path = self.database();
        let both = (&mut writer.squeeze, &mut writer.unsqueeze);
        let merged = rollup::step(&mut writer.db, both, &self.options, now);
        if let Done::Hour { damaged } = merged.map_err(Failure::in_database(&path))? {
            self.telemetry.losses.add(Loss::StoreRecordUnread, damaged);
            return Ok(true);
        }
        let both = (&mut writer.squeeze, &mut writer.unsqueeze);
        let added_up = operations::roll_up(&mut writer.db, both, &self.options, now);
        if let Some(damaged) = added_up.map_err(Failure::in_database(&path))? {
            self.telemetry.losses.add(Loss::StoreRecordUnread, damaged);
            return Ok(true);
        }
        self.forget_some(writer, now)
    }

    /// One step of forgetting or giving back; whether there may be more to do.
    fn forget_some(&self, writer: &mut Writer, now: Timestamp) -> Result<bool, StoreError> {
        let steps = [Self::expire, Self::shrink, Self::forget_ended, Self::sweep, Self::vacuum];
        for step in steps {
            if step(self, writer, now).map_err(StoreError::database(&self.database()))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets blocks that are too old.
    fn expire(&self, writer: &mut Writer, now: Timestamp) -> rusqlite::Result<bool> {
        let Ok(cutoff) = now.checked_sub(self.options.keep) else { return Ok(false) };
        retention::expire_blocks(&writer.db, cutoff)
    }

    /// Forgets the oldest blocks while the store is too large.
    fn shrink(&self, writer: &mut Writer, _: Timestamp) -> rusqlite::Result<bool> {
        if self.bytes(writer)? <= self.options.max_bytes {
            return Ok(false);
        }
        // What only waits in the log to be moved is no reason to forget.
        if self.wal_bytes() > 0 {
            checkpoint(&writer.db)?;
            if self.bytes(writer)? <= self.options.max_bytes {
                return Ok(false);
            }
        }
        let hour = retention::drop_oldest_blocks(&writer.db)?;
        writer.horizon = hour.map(hour_start).or(writer.horizon);
        Ok(hour.is_some())
    }

    /// Forgets processes and agents that ended before anything that is kept.
    fn forget_ended(&self, writer: &mut Writer, now: Timestamp) -> rusqlite::Result<bool> {
        let cutoff = [now.checked_sub(self.options.keep).ok(), writer.horizon];
        let Some(cutoff) = cutoff.into_iter().flatten().max() else { return Ok(false) };
        let mut forgot = retention::expire_processes(&writer.db, nanoseconds(cutoff))?;
        let ended = self.read_roster().ended_before(cutoff);
        for agent in ended {
            let waiting = self.read_head().iter().any(|p| p.windows.iter().any(|w| w.agent == agent));
            let key = blocks::agent_key(&writer.db, &agent)?;
            let kept = key.map(|key| retention::has_blocks(&writer.db, key)).transpose()?;
            if !waiting && kept != Some(true) {
                seal::forget(&writer.db, &agent)?;
                // In the order in which the locks are taken everywhere.
                self.write_head().iter_mut().for_each(|part| part.forget(&agent));
                self.write_roster().remove(&agent);
                forgot = true;
            }
        }
        Ok(forgot)
    }

    /// Forgets names that nothing refers to.
    fn sweep(&self, writer: &mut Writer, now: Timestamp) -> rusqlite::Result<bool> {
        let sweep = match writer.sweep.take() {
            Some(sweep) => Some(sweep),
            None => Sweep::begin(&writer.db, now)?,
        };
        let Some(sweep) = sweep else { return Ok(false) };
        writer.sweep = sweep.step(&mut writer.db)?;
        Ok(true)
    }

    /// Gives free pages back to the disk, and empties a log that has grown.
    fn vacuum(&self, writer: &mut Writer, _: Timestamp) -> rusqlite::Result<bool> {
        if retention::vacuum(&writer.db)? {
            return Ok(true);
        }
        if self.wal_bytes() > MAX_WAL {
            checkpoint(&writer.db)?;
        }
        Ok(false)
    }

    /// What the store takes on the disk, free pages aside, bytes.
    fn bytes(&self, writer: &Writer) -> rusqlite::Result<u64> {
        Ok(database::used_bytes(&writer.db)? + writer.segment.len() + self.wal_bytes())
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
