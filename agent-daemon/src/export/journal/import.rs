//! Lines into a store. What the store has already is left as it is, so importing twice changes nothing, and neither
//! does an old journal change what is known better by now.
//!
//! A window is there already if one of the same agent begins and ends with it, or if a merged one that was stored
//! before the import covers it; one of the host likewise. Of an agent or a process the version that says more of its end is kept. What is known of
//! operations, [`stored`](super::stored) says.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    data::Entry,
    decode::{Decoder, LineError},
    stored::StoredOperations,
};
use crate::{
    model::{
        agent::Agent,
        host::HostWindow,
        id::{AgentId, ProcessId},
        operation::{Operation, Sums},
        process::Process,
        record::Arrived,
        time::{TimeRange, Timestamp},
        window::Window,
    },
    store::{Disk, Store, StoreError},
};

/// Rows that are put between two syncs, each record counting as one more: less than the head may hold.
const BATCH: usize = 20_000;
/// Bytes of an operation's line that count as a row.
const OPERATION_BYTES: usize = 256;
/// Broken lines that are told one by one.
const TOLD: usize = 100;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Lines that were read.
    pub lines: u64,
    /// Versions of agents that were put.
    pub agents: u64,
    /// Versions of processes that were put.
    pub processes: u64,
    /// Windows that were put.
    pub windows: u64,
    /// Operations that were put, one by one.
    pub operations: u64,
    /// Sums of operations that were put.
    pub operation_sums: u64,
    /// Windows of the host that were put.
    pub host_windows: u64,
    /// Records that the store had, or knew better.
    pub known: u64,
    /// Lines that are no records.
    pub broken: u64,
    /// The first hundred of them.
    pub broken_lines: Vec<Broken>,
}

/// A line that is no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// An import that goes on.
pub struct Import<'a> {
    store: &'a Disk,
    now: Timestamp,
    decoder: Decoder,
    agents: FxHashMap<AgentId, Stored>,
    /// Read when the first operation comes.
    operations: Option<StoredOperations>,
    /// Read when the first window of the host comes.
    host: Option<Windows>,
    waiting: usize,
    done: Imported,
}

/// What the store has of an agent.
#[derive(Default)]
struct Stored {
    processes: FxHashMap<ProcessId, Process>,
    windows: Windows,
}

/// Where windows begin and end.
#[derive(Default)]
struct Windows {
    all: FxHashSet<(Timestamp, Timestamp)>,
    /// Those that stand for several.
    merged: Vec<(Timestamp, Timestamp)>,
}

impl Windows {
    /// Whether there is none like it yet. It is known from now on.
    fn take(&mut self, span: (Timestamp, Timestamp)) -> bool {
        let covered = self.merged.iter().any(|(from, to)| *from <= span.0 && span.1 <= *to);
        !covered && self.all.insert(span)
    }

    fn know(&mut self, span: (Timestamp, Timestamp), merged: bool) {
        self.merged.extend(merged.then_some(span));
        self.all.insert(span);
    }
}

impl<'a> Import<'a> {
    /// Into this store, whose housekeeping takes it to be `now`.
    #[must_use]
    pub fn new(store: &'a Disk, now: Timestamp) -> Self {
        let (decoder, agents) = (Decoder::default(), FxHashMap::default());
        Self {
            store,
            now,
            decoder,
            agents,
            operations: None,
            host: None,
            waiting: 0,
            done: Imported::default(),
        }
    }

    /// Takes a line of a file. `None` is one that is too long to be read.
    ///
    /// # Errors
    /// The store cannot be read or written. That the line is broken is counted.
    pub fn line(&mut self, file: &str, (number, line): (u64, Option<&[u8]>)) -> Result<(), StoreError> {
        self.done.lines += 1;
        if line.is_some_and(|line| line.trim_ascii().is_empty()) {
            return Ok(());
        }
        let too_long = || LineError::TooLong(super::reader::MAX_LINE);
        let bytes = line.map_or(0, <[u8]>::len);
        match line.ok_or_else(too_long).and_then(|line| self.decoder.line(line)) {
            Ok(Some(entry)) => match self.put(entry, bytes)? {
                Put::Done => {}
                Put::Known => self.done.known += 1,
                Put::Orphan => self.broken(file, number, "its agent is not told of before it".to_owned()),
            },
            Ok(None) => {}
            Err(error) => self.broken(file, number, error.to_string()),
        }
        Ok(())
    }

    /// Counts what is no line that could be read.
    pub fn broken(&mut self, file: &str, line: u64, reason: String) {
        self.done.broken += 1;
        if self.done.broken_lines.len() < TOLD {
            self.done.broken_lines.push(Broken { file: file.to_owned(), line, reason });
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn so_far(&self) -> &Imported {
        &self.done
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn finish(mut self) -> Result<Imported, StoreError> {
        self.sync()?;
        Ok(self.done)
    }

    /// Puts what a line of so many bytes said.
    fn put(&mut self, entry: Entry, bytes: usize) -> Result<Put, StoreError> {
        let (outcome, weight) = match entry {
            Entry::Agent(agent) => (self.put_agent(agent), 1),
            Entry::Process { agent, watch, process } => (self.put_process(&agent, watch, process)?, 1),
            Entry::Window(window) => {
                let weight = window.rows() + 1;
                (self.put_window(window)?, weight)
            }
            Entry::Host(window) => {
                let weight = window.cpus.len() + 1;
                (self.put_host(*window)?, weight)
            }
            Entry::Operation(operation) => (self.put_operation(*operation)?, 1 + bytes / OPERATION_BYTES),
            Entry::Sums(sums) => (self.put_sums(sums)?, 1 + bytes / OPERATION_BYTES),
        };
        if outcome == Put::Done {
            self.waiting += weight;
        }
        if self.waiting >= BATCH {
            self.sync()?;
        }
        Ok(outcome)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.waiting = 0;
        self.store.sync()?;
        self.store.maintain(self.now);
        Ok(())
    }

    fn put_agent(&mut self, agent: Agent) -> Put {
        let known = self.store.agent(&agent.id);
        if known.as_ref().is_some_and(|known| !is_newer_agent(&agent, known)) {
            return Put::Known;
        }
        // Watched anew, its processes change with it.
        if known.is_some_and(|known| known.attached != agent.attached) {
            self.agents.remove(&agent.id);
        }
        self.store.put_agent(agent);
        self.done.agents += 1;
        Put::Done
    }

    fn put_process(&mut self, id: &AgentId, watch: Timestamp, process: Process) -> Result<Put, StoreError> {
        let Some(agent) = self.store.agent(id) else { return Ok(Put::Orphan) };
        let stored = self.stored(id)?;
        if let Some(known) = stored.processes.get(&process.id)
            && !is_newer_process((&process, watch), (known, agent.attached))
        {
            return Ok(Put::Known);
        }
        stored.processes.insert(process.id, process.clone());
        self.store.put_process(id, process);
        self.done.processes += 1;
        Ok(Put::Done)
    }

    fn put_window(&mut self, window: Window) -> Result<Put, StoreError> {
        if self.store.agent(&window.agent).is_none() {
            return Ok(Put::Orphan);
        }
        let (stored, span) = (self.stored(&window.agent)?, (window.start, window.end));
        if !stored.windows.take(span) {
            return Ok(Put::Known);
        }
        self.store.append(window);
        self.done.windows += 1;
        Ok(Put::Done)
    }

    fn put_host(&mut self, window: HostWindow) -> Result<Put, StoreError> {
        let mut stored = match self.host.take() {
            Some(stored) => stored,
            None => {
                let mut stored = Windows::default();
                self.store.host_spans(&mut |span, merged| stored.know(span, merged))?;
                stored
            }
        };
        let new = stored.take((window.start, window.end));
        self.host = Some(stored);
        if !new {
            return Ok(Put::Known);
        }
        self.store.put_host(window);
        self.done.host_windows += 1;
        Ok(Put::Done)
    }

    fn put_operation(&mut self, operation: Operation) -> Result<Put, StoreError> {
        if !self.stored_operations()?.take(&operation) {
            return Ok(Put::Known);
        }
        self.done.operations += 1;
        self.store.put_operations(Arrived { operations: vec![operation], sums: Vec::new(), place: None });
        Ok(Put::Done)
    }

    fn put_sums(&mut self, mut sums: Sums) -> Result<Put, StoreError> {
        let (stored, span) = (self.stored_operations()?, (sums.start, sums.end));
        sums.rows.retain(|key, sum| stored.take_row(span, (key, sum)));
        if sums.rows.is_empty() {
            return Ok(Put::Known);
        }
        self.done.operation_sums += sums.rows.len() as u64;
        self.store.put_operations(Arrived { operations: Vec::new(), sums: vec![sums], place: None });
        Ok(Put::Done)
    }

    fn stored_operations(&mut self) -> Result<&mut StoredOperations, StoreError> {
        let stored = match self.operations.take() {
            Some(stored) => stored,
            None => StoredOperations::read(self.store)?,
        };
        Ok(self.operations.insert(stored))
    }

    /// What the store has of an agent, read when it is first asked for.
    fn stored(&mut self, id: &AgentId) -> Result<&mut Stored, StoreError> {
        if !self.agents.contains_key(id) {
            let processes = self.store.processes(id, TimeRange::ALL)?;
            let mut stored = Stored {
                processes: processes.into_iter().map(|process| (process.id, process)).collect(),
                ..Stored::default()
            };
            self.store.spans(id, &mut |span, merged| stored.windows.know(span, merged))?;
            self.agents.insert(id.clone(), stored);
        }
        Ok(self.agents.entry(id.clone()).or_default())
    }
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    /// It is in the store now.
    Done,
    /// It was before, or something better.
    Known,
    /// Its agent is not known.
    Orphan,
}

/// Whether `new` says more of an agent than `known`.
fn is_newer_agent(new: &Agent, known: &Agent) -> bool {
    let rank = |agent: &Agent| (agent.attached, agent.ended.map(|(at, _)| at));
    rank(new) > rank(known) || rank(new) == rank(known) && format!("{new:?}") != format!("{known:?}")
}

/// Whether `new`, told in the watch that began at `watch`, says more of a process than `known`, of an agent that is
/// watched since `attached`.
fn is_newer_process((new, watch): (&Process, Timestamp), (known, attached): (&Process, Timestamp)) -> bool {
    match (new.ended, known.ended) {
        (None, None) => new.cpu_ns >= known.cpu_ns && new != known,
        // It lived on: the end was that of the watch before.
        (None, Some(end)) => watch >= end && watch >= attached,
        (Some(end), None) => new.exit.is_some() || end >= attached,
        (Some(end), Some(known_end)) => {
            (end, new.exit.is_some(), new.cpu_ns) > (known_end, known.exit.is_some(), known.cpu_ns)
        }
    }
}
