//! The journal: every record that is stored, also as a line of JSON, in files that rotate or in journald. Enough to
//! build the store anew, and what `agentperf store export --format jsonl` writes.
//!
//! It follows the store's writer and never holds it up: records wait in a bounded [`Queue`], and what finds no room,
//! or cannot be written, is counted. Each file stands alone: it tells anew the agents and processes that live, and
//! the stacks that its windows need.

mod data;
mod decode;
mod encode;
mod export;
mod file;
mod import;
mod journald;
mod known;
mod line;
mod queue;
mod reader;
mod recorder;
mod ring;
mod sink;
mod stored;

pub use data::{DataError, Entry};
pub use decode::{Decoder, LineError};
pub use encode::Encoder;
pub use export::{ExportError, Take, export, section_of_export};
pub use import::{Broken, Import, Imported};
pub use line::Line;
pub use reader::{Numbered, Reader};
pub use recorder::Recorder;

use std::{
    io,
    path::Path,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use self::{file::Files, journald::Journald, known::Known, queue::Queue, sink::Sink};
use crate::{
    config,
    journald::SOCKET,
    model::{agent::Agent, record::Record, time::Timestamp},
    store::Follower,
    telemetry::{Loss, Telemetry},
};

/// How often an idle journal looks whether its file is old, and any whether its file is still there.
const BEAT: Duration = Duration::from_secs(1);

/// The journal, as the store's writer knows it.
#[derive(Debug)]
pub struct Journal {
    queue: Arc<Queue>,
    telemetry: Arc<Telemetry>,
    /// What is counted where there is no room.
    loss: Loss,
}

/// The journal's thread. Lines that wait are written before it ends.
#[derive(Debug)]
pub struct JournalThread {
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl Journal {
    /// Starts the journal that is configured, if one is.
    ///
    /// # Errors
    /// Its file cannot be opened, or its thread cannot start.
    pub fn start(
        config: &config::Journal,
        telemetry: &Arc<Telemetry>,
    ) -> io::Result<Option<(Self, JournalThread)>> {
        let now = Timestamp::now();
        let sink = match config.target {
            config::JournalTarget::Off => return Ok(None),
            config::JournalTarget::File => Sink::Files(Files::open(&config.path, config.into(), now)?),
            config::JournalTarget::Journald => Sink::Journald(Journald::new(Path::new(SOCKET), now)?),
        };
        Self::over(sink, ("journal", Loss::JournalDropped), telemetry).map(Some)
    }

    fn over(
        sink: Sink,
        (name, loss): (&'static str, Loss),
        telemetry: &Arc<Telemetry>,
    ) -> io::Result<(Self, JournalThread)> {
        let queue = Arc::new(Queue::default());
        let mut writer = Writer::new(sink, (name, loss), Arc::clone(telemetry));
        let taken = Arc::clone(&queue);
        let work = move || {
            while let Some(entries) = taken.take(BEAT) {
                entries.into_iter().for_each(|entry| writer.write(entry));
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        let journal = Self { queue: Arc::clone(&queue), telemetry: Arc::clone(telemetry), loss };
        Ok((journal, JournalThread { queue, thread }))
    }

    /// Tells of agents that no record will tell of: those that a daemon before this one did not let go.
    pub fn tell(&self, agents: Vec<Agent>) {
        agents.into_iter().for_each(|agent| self.put(Entry::Agent(agent)));
    }

    fn put(&self, entry: Entry) {
        if !self.queue.put(entry) {
            self.telemetry.losses.count(self.loss);
        }
    }
}

impl Follower for Journal {
    fn follow(&self, record: &Record) {
        match record {
            Record::Agent(agent) => self.put(Entry::Agent(agent.clone())),
            Record::Process(agent, process) => {
                // The thread knows since when the agent is watched.
                let (agent, process, watch) = (agent.clone(), process.clone(), process.started);
                self.put(Entry::Process { agent, watch, process });
            }
            Record::Window(window) => self.put(Entry::Window(window.clone())),
            Record::Operations(arrived) => {
                for operation in &arrived.operations {
                    self.put(Entry::Operation(Box::new(operation.clone())));
                }
                arrived.sums.iter().for_each(|sums| self.put(Entry::Sums(sums.clone())));
            }
            Record::Host(window) => self.put(Entry::Host(window.clone())),
            Record::Barrier(_) => {}
        }
    }
}

impl JournalThread {
    /// Waits until all that was told is written.
    pub fn finish(self) {
        self.queue.close();
        let _ = self.thread.join();
    }
}

/// Writes lines, section by section.
#[derive(Debug)]
struct Writer {
    sink: Sink,
    /// What it is called, and what is counted where it fails.
    what: (&'static str, Loss),
    telemetry: Arc<Telemetry>,
    encoder: Encoder,
    known: Known,
    /// No section, or one that lines were lost of.
    broken: bool,
    sections: u64,
    in_trouble: bool,
    /// When it was last looked whether the file is still there.
    looked: Instant,
}

impl Writer {
    fn new(sink: Sink, what: (&'static str, Loss), telemetry: Arc<Telemetry>) -> Self {
        let (encoder, known) = (Encoder::default(), Known::default());
        let looked = Instant::now();
        Self { sink, what, telemetry, encoder, known, broken: true, sections: 0, in_trouble: false, looked }
    }

    fn write(&mut self, entry: Entry) {
        let mut lines = Vec::new();
        let outcome = self.begin(&mut lines).and_then(|()| {
            self.known.write(entry, &mut self.encoder, &mut lines);
            self.sink.write(&lines)
        });
        let (name, loss) = self.what;
        match &outcome {
            Ok(()) if self.in_trouble => tracing::info!("the {name} is written again"),
            Err(error) if !self.in_trouble => {
                tracing::error!(%error, "the {name} cannot be written; records are missing from it");
            }
            _ => {}
        }
        self.in_trouble = outcome.is_err();
        // Names may be lost: they are told anew.
        self.broken = outcome.is_err();
        self.telemetry.losses.add(loss, u64::from(outcome.is_err()));
    }

    /// Whether somebody took the file away; looked at once per beat.
    fn is_gone(&mut self) -> bool {
        let look = self.looked.elapsed() >= BEAT;
        if look {
            self.looked = Instant::now();
        }
        look && self.sink.is_gone()
    }

    /// Begins a section where one is due.
    fn begin(&mut self, lines: &mut Vec<Line>) -> io::Result<()> {
        let now = Timestamp::now();
        let due = self.sink.is_due(now, self.encoder.told()) || self.is_gone();
        if !due && !self.broken {
            return Ok(());
        }
        self.broken = true;
        if due {
            self.sink.rotate(now)?;
        }
        self.sections += 1;
        let section = format!("{:x}-{:x}-{}", now.as_nanosecond(), std::process::id(), self.sections);
        self.known.begin();
        self.encoder.begin(section, now, lines);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
