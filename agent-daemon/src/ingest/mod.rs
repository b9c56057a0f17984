//! Doors in: what applications tell of their own work becomes operations. Each door ([`collect`], [`frontend`], [`otlp`])
//! reads one format into drafts; the [`Desk`] checks a draft against the limits, keeps what is on the allow-list, and
//! hands operations to the store's writer.
//!
//! Limits and invariants: senders are not trusted. A body is read only once its key is known, is bounded before and
//! after decompression, and is never parsed into more memory than a small multiple of its size. Nothing waits for the
//! writer: where its queue has no place for doors, the sender is told to try later. Prompts, queries, headers, bodies and
//! messages of errors are never taken out of a request.

pub mod attributes;
mod body;
pub mod collect;
mod desk;
pub mod frontend;
mod limits;
mod names;
pub mod otlp;
mod projects;
mod pseudonym;
mod record;
pub mod sender;

pub use body::gunzip;
pub use desk::{Desk, Draft, Outcome, Refused};
pub use limits::{MAX_BODY, MAX_RECORDS};
pub use projects::Admitted;

use std::sync::{Arc, atomic::AtomicU64};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    config::Project,
    model::{
        operation::{Operation, Sums},
        record::{Arrived, Record},
        time::Timestamp,
    },
    telemetry::{Loss, Telemetry},
};

/// Places of the writer's queue that doors may take.
const PLACES: usize = 64;

/// Bodies that are read and parsed at once.
const BODIES: usize = 4;

/// Why nothing of a request is accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// No project is configured.
    #[error(
        "no project may send here: give one a name and a key under `projects` in agentperf's configuration \
         (agentperf config example shows how), and send the key as Authorization: Bearer KEY"
    )]
    Closed,
    /// The request shows no key.
    #[error("show a project's key: Authorization: Bearer KEY, or X-Agentperf-Key: KEY")]
    NoKey,
    /// The key is no project's.
    #[error("the key is no project's")]
    WrongKey,
    /// The page's origin is not one of the project's.
    #[error("the project's `origins` do not name the origin of this page")]
    Origin,
    /// The project sends more than it may.
    #[error("project {project} may send {rate} operations a second; try again in {seconds} s")]
    Rate {
        /// Who sends.
        project: String,
        /// Operations a second.
        rate: u32,
        /// When there is room again, s.
        seconds: u64,
    },
    /// There are more requests, or more waits to be stored, than is taken at once.
    #[error("more is being sent than the store takes just now; try again in a second")]
    Busy,
    /// The daemon stops, or has not started yet.
    #[error("agentperf is starting or stopping; try again in a second")]
    Away,
    /// The body is too large.
    #[error("the body may have {MAX_BODY} bytes at most, before and after decompression")]
    TooLarge,
    /// There are too many records in one request.
    #[error("a request may hold {MAX_RECORDS} records at most")]
    TooMany,
    /// The body is not understood.
    #[error("the body is not understood: {0}")]
    Malformed(String),
}

/// What all doors share.
#[derive(Debug)]
pub struct Ingest {
    projects: projects::Projects,
    /// Weak, so that the doors do not keep the writer from ending.
    records: mpsc::WeakSender<Record>,
    places: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    telemetry: Arc<Telemetry>,
    names: names::Known,
    pseudonyms: pseudonym::Pseudonyms,
    cumulative: otlp::Cumulative,
    next_id: AtomicU64,
}

impl Ingest {
    /// Doors for these projects, to the writer behind `records`. Pseudonyms are made with `secret`.
    #[must_use]
    pub fn new(
        projects: &[Project],
        records: &mpsc::Sender<Record>,
        secret: &[u8; 32],
        telemetry: Arc<Telemetry>,
    ) -> Self {
        // Larger than any that an earlier daemon gave.
        let first = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
        Self {
            projects: projects::Projects::new(projects),
            records: records.downgrade(),
            places: Arc::new(Semaphore::new(PLACES)),
            bodies: Arc::new(Semaphore::new(BODIES)),
            telemetry,
            names: names::Known::default(),
            pseudonyms: pseudonym::Pseudonyms::new(secret),
            cumulative: otlp::Cumulative::default(),
            next_id: AtomicU64::new(first),
        }
    }

    /// Doors that are closed: no project is configured.
    #[must_use]
    pub fn closed() -> Self {
        let (records, _) = mpsc::channel(1);
        Self::new(&[], &records, &[0; 32], Arc::default())
    }

    /// The project whose key this is.
    ///
    /// # Errors
    /// There is no key, or it is no project's, or no project is configured.
    pub fn admit(&self, key: Option<&str>) -> Result<Admitted<'_>, IngestError> {
        self.projects.admit(key)
    }

    /// Whether some project names this origin of web pages.
    #[must_use]
    pub fn knows_origin(&self, origin: &str) -> bool {
        self.projects.knows_origin(origin)
    }

    /// The right to read and parse one body, for as long as the permit is held.
    ///
    /// # Errors
    /// Many bodies are being read.
    pub async fn body_permit(&self) -> Result<OwnedSemaphorePermit, IngestError> {
        let waiting = tokio::time::timeout(limits::BODY_PATIENCE, Arc::clone(&self.bodies).acquire_owned());
        waiting.await.ok().and_then(Result::ok).ok_or_else(|| self.throttled(1, IngestError::Busy))
    }

    /// Hands operations to the writer, and waits until they are stored; not for ever.
    ///
    /// # Errors
    /// The writer has too much to do, or is gone.
    pub async fn store(&self, operations: Vec<Operation>, sums: Vec<Sums>) -> Result<(), IngestError> {
        let count = (operations.len() + sums.len()) as u64;
        if count == 0 {
            return Ok(());
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| self.throttled(count, IngestError::Busy))?;
        let records = self.records.upgrade().ok_or(IngestError::Away)?;
        let arrived = Arrived { operations, sums, place: Some(place) };
        let sent = records.try_send(Record::Operations(Box::new(arrived)));
        sent.map_err(|_| self.throttled(count, IngestError::Busy))?;
        let (stored, is_stored) = oneshot::channel();
        // Where the queue has no room for the question, the answer is not waited for.
        let asked = records.try_send(Record::Barrier(stored)).is_ok();
        drop(records);
        if asked {
            let _ = tokio::time::timeout(limits::STORE_PATIENCE, is_stored).await;
        }
        Ok(())
    }

    fn throttled(&self, count: u64, error: IngestError) -> IngestError {
        self.telemetry.losses.add(Loss::OperationThrottled, count);
        error
    }
}

/// Lets whoever fuzzes bring records to a desk of a project of its own; nothing is stored.
pub fn try_desk(take: &mut dyn FnMut(&mut Desk<'_>)) {
    let Ok(key) = crate::config::Secret::new("a key for one who fuzzes".replace(' ', "-").as_str()) else {
        return;
    };
    let project = Project {
        name: "fuzz".to_owned(),
        key: key.clone(),
        origins: Vec::new(),
        rate: 1,
        sample: 1.0,
        labels: Vec::new(),
        plain_users: false,
    };
    let (records, _) = mpsc::channel(1);
    let ingest = Ingest::new(&[project], &records, &[0; 32], Arc::default());
    let Ok(admitted) = ingest.admit(Some(key.expose())) else { return };
    if let Ok(mut desk) = Desk::open(&ingest, admitted, (crate::model::operation::Source::Collect, None), 1) {
        take(&mut desk);
    }
}
