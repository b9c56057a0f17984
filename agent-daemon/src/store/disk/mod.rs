//! The store on disk: one folder, no server.
//!
//! What is put goes to the **head** at once: a frame in an append-only segment, synced once a batch, and a copy in
//! memory. Every minute a part of the head is **sealed**: one transaction writes it into the database, a block of
//! columns for each agent, and its segment is deleted. Whatever happens in between, each record is in one of the two:
//! the database says which segment was sealed last, and whoever reads looks at the head first, at that number second,
//! and leaves out of the head what it says.
//!
//! One thread writes and another keeps house: no record waits while something is sealed, merged or forgotten. Readers
//! have connections of their own and never wait for either. The memory that is taken does not
//! grow with what is stored: the agents, a minute of windows as bytes, the stacks read last, SQLite's page caches.

mod blocks;
mod codec;
mod compress;
mod database;
mod failure;
mod head;
mod host;
mod hostile;
mod hourly;
mod info;
mod intern;
mod keeper;
mod lock;
mod numbering;
mod operations;
mod options;
mod overview;
mod readers;
mod recover;
mod retention;
mod rollup;
mod roster;
mod schema;
mod seal;
mod segment;
mod spans;
mod stacks;
mod verify;
mod view;
mod writer;

#[doc(hidden)]
pub use hostile::decode_anything;
pub use info::{Info, LevelInfo, info};
pub use lock::while_alone;
pub use options::Options;
pub use verify::{Verified, verify};

use std::{
    collections::VecDeque,
    fmt,
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use head::Part;
use keeper::Keeper;
use lock::Lock;
use readers::Readers;
use roster::Roster;
use stacks::Stacks;
use writer::Writer;

use super::{ProcessCounts, Store, StoreError, summary::Summary};
use crate::{
    model::{
        agent::{Agent, AgentEnd},
        host::HostWindow,
        id::{AgentId, ProcessId},
        operation::Kept,
        process::Process,
        record::Arrived,
        time::{TimeRange, Timestamp},
        window::Window,
    },
    telemetry::Telemetry,
};

/// A store in a folder, which it has for itself.
pub struct Disk {
    folder: PathBuf,
    options: Options,
    telemetry: Arc<Telemetry>,
    /// The parts that are not sealed, oldest first; the last one grows. Locked for moments only.
    head: RwLock<VecDeque<Part>>,
    /// Locked for moments only, and after `head`.
    roster: RwLock<Roster>,
    /// Locked by the housekeeping, for as long as that takes, and before anything else.
    keeper: Mutex<Keeper>,
    /// Locked by who writes, for as long as that takes, and before `head`.
    writer: Mutex<Writer>,
    readers: Readers,
    stacks: Stacks,
    _lock: Lock,
}

impl Disk {
    /// Opens the store in `folder`, and makes it if there is none.
    ///
    /// # Errors
    /// Another process has it; it is damaged, of a newer format, or not a store; the disk is full or fails.
    pub fn open(folder: &Path, options: Options, telemetry: Arc<Telemetry>) -> Result<Self, StoreError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).map_err(StoreError::io("making", folder))?;
        let lock = Lock::take(folder)?;
        let path = folder.join(database::FILE);
        let db = database::open_to_write(&path)?;
        segment::sync_folder(folder)?;
        let recover::Recovered { parts, roster } =
            recover::recover(folder, &db, options.max_agents, &telemetry)?;
        let number = parts.back().map_or(1, |part| part.number);
        Ok(Self {
            folder: folder.to_owned(),
            options,
            telemetry,
            head: RwLock::new(parts),
            roster: RwLock::new(roster),
            keeper: Mutex::new(Keeper::new(folder, db)?),
            writer: Mutex::new(Writer::new(folder, number)?),
            readers: Readers::new(path),
            stacks: Stacks::default(),
            _lock: lock,
        })
    }

    /// Ends every agent that is still watched as far as the store knows, at the last time anything is known of it:
    /// for a daemon that has just opened the store and watches nobody yet.
    ///
    /// Returns those that were ended so.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn close_watches(&self, why: AgentEnd) -> Result<Vec<Agent>, StoreError> {
        let mut closed: Vec<_> = self.agents().into_iter().filter(|a| a.ended.is_none()).collect();
        for agent in &mut closed {
            let seen = self.last_seen(agent)?;
            agent.ended = Some((seen, why));
            self.put_agent(agent.clone());
        }
        self.sync().map(|()| closed)
    }

    fn read_head(&self) -> RwLockReadGuard<'_, VecDeque<Part>> {
        self.head.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_head(&self) -> RwLockWriteGuard<'_, VecDeque<Part>> {
        self.head.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read_roster(&self) -> RwLockReadGuard<'_, Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_roster(&self) -> RwLockWriteGuard<'_, Roster> {
        self.roster.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> PathBuf {
        self.folder.join(database::FILE)
    }
}

impl Store for Disk {
    fn put_agent(&self, agent: Agent) {
        self.write_agent(agent);
    }

    fn put_process(&self, agent: &AgentId, process: Process) {
        self.write_process(agent, process);
    }

    fn append(&self, window: Window) {
        self.write_window(window);
    }

    fn put_operations(&self, arrived: Arrived) {
        self.write_operations(&arrived);
    }

    fn put_host(&self, window: HostWindow) {
        self.write_host(&window);
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.lock_writer().sync()
    }

    fn maintain(&self, now: Timestamp) {
        self.keep(now);
    }

    fn agents(&self) -> Vec<Agent> {
        self.read_roster().all()
    }

    fn agent(&self, id: &AgentId) -> Option<Agent> {
        self.read_roster().get(id).cloned()
    }

    fn processes(&self, agent: &AgentId, range: TimeRange) -> Result<Vec<Process>, StoreError> {
        self.view_processes(agent, range)
    }

    fn visit(
        &self,
        agent: &AgentId,
        range: TimeRange,
        visit: &mut dyn FnMut(&Window),
    ) -> Result<(), StoreError> {
        self.view_windows(agent, range, visit)
    }

    fn visit_operations(&self, range: TimeRange, visit: &mut dyn FnMut(Kept<'_>)) -> Result<(), StoreError> {
        self.view_operations(range, visit)
    }

    fn visit_host(&self, range: TimeRange, visit: &mut dyn FnMut(&HostWindow)) -> Result<(), StoreError> {
        self.view_host(range, visit)
    }

    fn summarize(
        &self,
        range: TimeRange,
        visit: &mut dyn FnMut(&AgentId, &Summary),
    ) -> Result<(), StoreError> {
        self.view_summaries(range, visit)
    }

    fn process(&self, agent: &AgentId, id: ProcessId) -> Result<Option<Process>, StoreError> {
        self.view_process(agent, id)
    }

    fn count_processes(&self, range: TimeRange) -> Result<Vec<(AgentId, ProcessCounts)>, StoreError> {
        self.view_counts(range)
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("folder", &self.folder).field("options", &self.options).finish()
    }
}

#[cfg(test)]
mod tests;
