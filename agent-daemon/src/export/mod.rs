//! Doors out: what agentperf knows, in the forms that other systems take. Sinks of the store: they read, and never
//! hold up what writes.
//!
//! `prometheus` counts what the writer writes. Its snapshots are what `remote_write` and `otlp` send; `otlp` makes spans
//! and events of the records, too, and `pyroscope` sends profiles of what is stored. `account` is what each tells of
//! itself, `http` how all of them send, `spool` what survives a crash. `journal` and `parquet` are files: lines as they are
//! stored, and tables of what was stored; `select` says which part of it.

mod account;
mod due;
mod http;
pub mod journal;
pub mod otlp;
pub mod parquet;
pub mod prometheus;
pub mod pyroscope;
pub mod remote_write;
pub mod select;
mod spool;

pub use spool::SpoolError;

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use self::{
    journal::{Journal, JournalThread, Recorder},
    otlp::Otlp,
    prometheus::Metrics,
    pyroscope::Pyroscope,
    remote_write::{RemoteWrite, RemoteWriteError},
};
use crate::{
    config::{self, Config},
    ending,
    model::agent::Agent,
    store::{Follower, Store},
    telemetry::{HostInfo, Telemetry},
    tls::TlsError,
};

/// How long stopping waits for the doors, which may be speaking to somebody who does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits for the journal, whose disk may be slow.
const JOURNAL_PATIENCE: Duration = Duration::from_secs(10);

/// Why a door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// `journal`.
    #[error("opening the journal: {0}")]
    Journal(io::Error),
    /// `alerts.reactions.recorder`.
    #[error("starting the flight recorder: {0}")]
    Recorder(io::Error),
    /// `export.remote_write`.
    #[error("export.remote_write: {0}")]
    RemoteWrite(#[from] RemoteWriteError),
    /// `export.otlp`.
    #[error("export.otlp: {0}")]
    Otlp(TlsError),
    /// `export.pyroscope`.
    #[error("export.pyroscope: {0}")]
    Pyroscope(TlsError),
}

/// The metrics, and every door that is configured, opened.
#[derive(Debug)]
pub struct Doors {
    metrics: Arc<Metrics>,
    journal: Option<(Arc<Journal>, JournalThread)>,
    recorder: Option<(Recorder, Arc<Journal>, JournalThread)>,
    remote_write: Option<Arc<RemoteWrite>>,
    otlp: Option<Arc<Otlp>>,
    pyroscope: Option<Pyroscope>,
}

/// Doors that send.
#[derive(Debug)]
pub struct Sending {
    tasks: JoinSet<()>,
    journal: Option<JournalThread>,
    recorder: Option<JournalThread>,
    stop: watch::Sender<bool>,
}

impl Doors {
    /// Opens the doors that are configured. The journal is told of `let_go`, the agents that the daemon before did not
    /// let go itself.
    ///
    /// # Errors
    /// One cannot be opened.
    pub fn open(
        config: &Config,
        host: &HostInfo,
        telemetry: &Arc<Telemetry>,
        let_go: Vec<Agent>,
    ) -> Result<Self, DoorError> {
        let max_series = config.metrics.max_series;
        let metrics = Metrics::new(max_series, Arc::clone(telemetry), host.clone(), config.budget);
        let metrics = Arc::new(metrics);
        let journal = Journal::start(&config.journal, telemetry).map_err(DoorError::Journal)?;
        let journal = journal.map(|(journal, thread)| (Arc::new(journal), thread));
        if let Some((journal, _)) = &journal {
            journal.tell(let_go);
        }
        let recorder = open_recorder(&config.alerts.reactions, telemetry)?;
        let mut doors = Self { metrics, journal, recorder, remote_write: None, otlp: None, pyroscope: None };
        if config.export.enabled {
            doors.open_senders(&config.export, host, telemetry)?;
        }
        Ok(doors)
    }

    fn open_senders(
        &mut self,
        config: &config::Export,
        host: &HostInfo,
        telemetry: &Arc<Telemetry>,
    ) -> Result<(), DoorError> {
        let folder = config.spool_directory.join("remote_write");
        let (write, snapshots) = (&config.remote_write, || Arc::clone(&self.metrics));
        self.remote_write = RemoteWrite::open(write, &folder, &host.hostname, snapshots(), telemetry)?;
        self.otlp = Otlp::open(&config.otlp, host, snapshots(), telemetry).map_err(DoorError::Otlp)?;
        self.pyroscope = Pyroscope::open(&config.pyroscope, telemetry).map_err(DoorError::Pyroscope)?;
        Ok(())
    }

    /// What `/metrics` shows.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// The flight recorder, if there is one.
    #[must_use]
    pub fn recorder(&self) -> Option<Recorder> {
        self.recorder.as_ref().map(|(recorder, ..)| recorder.clone())
    }

    /// Who of them sees every record.
    #[must_use]
    pub fn followers(&self) -> Vec<Arc<dyn Follower>> {
        let mut followers: Vec<Arc<dyn Follower>> = vec![Arc::<Metrics>::clone(&self.metrics)];
        followers.extend(self.journal.iter().map(|(j, _)| -> Arc<dyn Follower> { Arc::<Journal>::clone(j) }));
        let recorder = self.recorder.iter();
        followers.extend(recorder.map(|(_, j, _)| -> Arc<dyn Follower> { Arc::<Journal>::clone(j) }));
        followers.extend(self.otlp.iter().map(|o| -> Arc<dyn Follower> { Arc::<Otlp>::clone(o) }));
        followers
    }

    /// Starts sending, beside the current runtime's other tasks.
    #[must_use]
    pub fn start(self, store: &Arc<dyn Store>) -> Sending {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        if let Some(remote_write) = self.remote_write {
            tasks.spawn(remote_write.run(stopped.clone()));
        }
        if let Some(otlp) = self.otlp {
            tasks.spawn(otlp.run(Arc::clone(store), stopped.clone()));
        }
        if let Some(pyroscope) = self.pyroscope {
            tasks.spawn(pyroscope.run(Arc::clone(store), stopped));
        }
        let journal = self.journal.map(|(_, thread)| thread);
        Sending { tasks, journal, recorder: self.recorder.map(|(.., thread)| thread), stop }
    }
}

fn open_recorder(
    config: &config::Reactions,
    telemetry: &Arc<Telemetry>,
) -> Result<Option<(Recorder, Arc<Journal>, JournalThread)>, DoorError> {
    let Some(bytes) = config.recorder else { return Ok(None) };
    let (recorder, journal, thread) = Recorder::start(bytes, telemetry).map_err(DoorError::Recorder)?;
    Ok(Some((recorder, Arc::new(journal), thread)))
}

impl Sending {
    /// Writes and sends what is left, for a moment, and stops.
    pub async fn stop(mut self) {
        for thread in self.journal.take().into_iter().chain(self.recorder.take()) {
            write_out(thread).await;
        }
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("a receiver does not answer: stopping without it");
        }
    }
}

/// Waits until the journal holds what it was told; not for ever, since its disk or journald may not answer.
async fn write_out(journal: JournalThread) {
    if !ending::is_in_time(JOURNAL_PATIENCE, "journal-end", || journal.finish()).await {
        tracing::warn!("the journal cannot be written: stopping without the rest of it");
    }
}
