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

pub use http::ClientError;
pub use spool::SpoolError;

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet, time::timeout};

use self::{
    otlp::Otlp,
    prometheus::Metrics,
    pyroscope::Pyroscope,
    remote_write::{RemoteWrite, RemoteWriteError},
};
use crate::{
    config,
    store::{Follower, Store},
    telemetry::{HostInfo, Telemetry},
};

/// How long stopping waits for the doors, which may be speaking to somebody who does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// `export.remote_write`.
    #[error("export.remote_write: {0}")]
    RemoteWrite(#[from] RemoteWriteError),
    /// `export.otlp`.
    #[error("export.otlp: {0}")]
    Otlp(ClientError),
    /// `export.pyroscope`.
    #[error("export.pyroscope: {0}")]
    Pyroscope(ClientError),
}

/// Every door that is configured, opened.
#[derive(Debug, Default)]
pub struct Doors {
    remote_write: Option<Arc<RemoteWrite>>,
    otlp: Option<Arc<Otlp>>,
    pyroscope: Option<Pyroscope>,
}

/// Doors that send.
#[derive(Debug)]
pub struct Sending {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Doors {
    /// Opens the doors that are configured: none, unless somebody wants one.
    ///
    /// # Errors
    /// One cannot be opened.
    pub fn open(
        config: &config::Export,
        host: &HostInfo,
        metrics: &Arc<Metrics>,
        telemetry: &Arc<Telemetry>,
    ) -> Result<Self, ExportError> {
        if !config.enabled {
            return Ok(Self::default());
        }
        let folder = config.spool_directory.join("remote_write");
        let snapshots = || Arc::clone(metrics);
        let write = &config.remote_write;
        Ok(Self {
            remote_write: RemoteWrite::open(write, &folder, &host.hostname, snapshots(), telemetry)?,
            otlp: Otlp::open(&config.otlp, host, snapshots(), telemetry).map_err(ExportError::Otlp)?,
            pyroscope: Pyroscope::open(&config.pyroscope, telemetry).map_err(ExportError::Pyroscope)?,
        })
    }

    /// Who of them sees every record.
    #[must_use]
    pub fn followers(&self) -> Vec<Arc<dyn Follower>> {
        self.otlp.iter().map(|otlp| -> Arc<dyn Follower> { Arc::<Otlp>::clone(otlp) }).collect()
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
        Sending { tasks, stop }
    }
}

impl Sending {
    /// Sends what is left, for a moment, and stops.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("a receiver does not answer: stopping without it");
        }
    }
}
