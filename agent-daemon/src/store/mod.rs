//! What agentperf knows, kept: append, query, retention. Readers and the one writer meet only here.

pub mod disk;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod memory;
pub mod query;
mod replace;
mod secret;
pub mod summary;
pub mod writer;

pub use disk::{Disk, Options};
pub use error::StoreError;
pub use memory::{Limits, Memory};
pub use replace::replace;
pub use secret::secret;

use self::summary::Summary;
use crate::model::{
    agent::Agent,
    host::HostWindow,
    id::{AgentId, ProcessId},
    operation::Kept,
    process::Process,
    record::{Arrived, Record},
    time::{TimeRange, Timestamp},
    window::Window,
};

/// A store. Windows and ended processes are immutable; agents and live processes are replaced by newer
/// versions of themselves. Every implementation bounds what it keeps.
///
/// An agent is put before its processes and windows: what belongs to nobody is a counted loss.
///
/// One thread writes, and may block on a disk; another [maintains](Store::maintain). Readers never wait for them, nor
/// they for readers; they see what was put
/// even before it is [synced](Store::sync). The agents are at hand in memory; what may block to be read returns a
/// `Result`, and belongs on a thread that may block.
pub trait Store: Send + Sync {
    /// Adds or replaces an agent.
    fn put_agent(&self, agent: Agent);
    /// Adds or replaces a process of an agent.
    fn put_process(&self, agent: &AgentId, process: Process);
    /// Appends a window.
    fn append(&self, window: Window);
    /// Adds operations that applications told of.
    fn put_operations(&self, arrived: Arrived);
    /// Appends a window of the host.
    fn put_host(&self, window: HostWindow);
    /// Makes all that was put before outlast this process.
    ///
    /// # Errors
    /// It cannot for now; readers see it all the same, and the next call tries again.
    fn sync(&self) -> Result<(), StoreError>;
    /// Does a little of the housekeeping that is due at `now`: forgets what is older than the store keeps, and
    /// merges what is old. Called every second or so, from a thread of its own, so that the store needs no clock.
    fn maintain(&self, now: Timestamp);
    /// Every agent, live and ended, oldest first.
    fn agents(&self) -> Vec<Agent>;
    /// One agent.
    fn agent(&self, id: &AgentId) -> Option<Agent>;
    /// An agent's processes that lived in the range, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn processes(&self, agent: &AgentId, range: TimeRange) -> Result<Vec<Process>, StoreError>;
    /// Shows an agent's windows that overlap the range to `visit`, each once, one at a time. Oldest first but for
    /// few: nothing may depend on their order.
    ///
    /// # Errors
    /// The store cannot be read. Some windows may have been visited by then.
    fn visit(
        &self,
        agent: &AgentId,
        range: TimeRange,
        visit: &mut dyn FnMut(&Window),
    ) -> Result<(), StoreError>;
    /// Shows the operations that began in the range to `visit`, one by one while they are kept so, else the sums that
    /// overlap the range. Each once, in no order.
    ///
    /// # Errors
    /// The store cannot be read. Some may have been visited by then.
    fn visit_operations(&self, range: TimeRange, visit: &mut dyn FnMut(Kept<'_>)) -> Result<(), StoreError>;
    /// Shows the host's windows that overlap the range to `visit`, each once. Oldest first but for few.
    ///
    /// # Errors
    /// The store cannot be read. Some windows may have been visited by then.
    fn visit_host(&self, range: TimeRange, visit: &mut dyn FnMut(&HostWindow)) -> Result<(), StoreError>;
    /// Shows what the stretches of every agent's time that overlap the range come to, in any order. A stretch is a
    /// window or several; each window is in one. Much cheaper than the windows themselves.
    ///
    /// # Errors
    /// The store cannot be read. Some stretches may have been visited by then.
    fn summarize(
        &self,
        range: TimeRange,
        visit: &mut dyn FnMut(&AgentId, &Summary),
    ) -> Result<(), StoreError> {
        for agent in self.agents() {
            self.visit(&agent.id, range, &mut |window| visit(&agent.id, &Summary::of(window)))?;
        }
        Ok(())
    }
    /// One process of an agent, as it was put last.
    ///
    /// # Errors
    /// The store cannot be read.
    fn process(&self, agent: &AgentId, id: ProcessId) -> Result<Option<Process>, StoreError> {
        Ok(self.processes(agent, TimeRange::ALL)?.into_iter().find(|process| process.id == id))
    }
    /// The processes of every agent that has any: those that live, and those that ended in the range.
    ///
    /// # Errors
    /// The store cannot be read.
    fn count_processes(&self, range: TimeRange) -> Result<Vec<(AgentId, ProcessCounts)>, StoreError> {
        let count = |agent: Agent| {
            let mut counts = ProcessCounts::default();
            for process in self.processes(&agent.id, TimeRange::ALL)? {
                counts.add(process.ended, range);
            }
            Ok((agent.id, counts))
        };
        self.agents().into_iter().map(count).collect()
    }
}

impl ProcessCounts {
    /// Counts a process that ended then, or lives.
    pub(crate) fn add(&mut self, ended: Option<Timestamp>, range: TimeRange) {
        match ended {
            None => self.live += 1,
            Some(end) => self.ended += u64::from(end >= range.from && end < range.to),
        }
    }
}

/// An agent's processes in a range, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessCounts {
    /// That live.
    pub live: u64,
    /// That ended in the range.
    pub ended: u64,
}

/// Sees every record on its way into the store, in order: for what is counted without being asked for. Must not block.
pub trait Follower: Send + Sync {
    /// Sees a record.
    fn follow(&self, record: &Record);
}
