//! How the doors out stand: what was sent, what failed, what waits. Each door has one [`Exporter`], which the API and
//! the metrics show.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::model::time::Timestamp;

/// Longest text that is kept of an error, characters.
const MAX_ERROR: usize = 300;

/// One door out. Items are what it sends: samples, data points, spans, log records, profiles.
#[derive(Debug)]
pub struct Exporter {
    /// Stable name: `remote_write`, `otlp_traces`…
    pub name: &'static str,
    /// Scheme, host and port of the receiver.
    pub receiver: String,
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    spool_bytes: AtomicU64,
    queued: AtomicU64,
    told: Mutex<Told>,
}

/// What was heard last.
#[derive(Clone, Debug, Default)]
struct Told {
    success: Option<Timestamp>,
    error: Option<(Timestamp, String)>,
}

/// How a door stands at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExporterStatus {
    /// Stable name.
    pub name: &'static str,
    /// Scheme, host and port of the receiver.
    pub receiver: String,
    /// Items that the receiver took.
    pub sent: u64,
    /// Attempts to send that failed.
    pub failed: u64,
    /// Items that were given up.
    pub dropped: u64,
    /// Bytes of its spool on disk.
    pub spool_bytes: u64,
    /// Items that wait in memory.
    pub queued: u64,
    /// When the receiver last took something.
    pub last_success: Option<Timestamp>,
    /// When an attempt last failed, and why.
    pub last_error: Option<(Timestamp, String)>,
}

impl Exporter {
    /// A door to this receiver that was not used yet.
    #[must_use]
    pub fn new(name: &'static str, receiver: String) -> Self {
        let (sent, failed, dropped, spool_bytes, queued, told) = Default::default();
        Self { name, receiver, sent, failed, dropped, spool_bytes, queued, told }
    }

    /// The receiver took `items`. Whether it had refused before.
    pub fn sent(&self, items: u64) -> bool {
        self.sent.fetch_add(items, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        let was_failing = told.is_failing();
        told.success = Some(now);
        was_failing
    }

    /// An attempt failed; `why` holds no secret. Whether the attempt before had not.
    pub fn failed(&self, why: &str) -> bool {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let was_fine = !told.is_failing();
        told.error = Some((Timestamp::now(), why.chars().take(MAX_ERROR).collect()));
        was_fine
    }

    /// Counts items that were given up.
    pub fn dropped(&self, items: u64) {
        self.dropped.fetch_add(items, Ordering::Relaxed);
    }

    /// How large the spool is now, bytes.
    pub fn set_spool_bytes(&self, bytes: u64) {
        self.spool_bytes.store(bytes, Ordering::Relaxed);
    }

    /// How many items wait in memory now.
    pub fn set_queued(&self, items: usize) {
        self.queued.store(items as u64, Ordering::Relaxed);
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> ExporterStatus {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ExporterStatus {
            name: self.name,
            receiver: self.receiver.clone(),
            sent: read(&self.sent),
            failed: read(&self.failed),
            dropped: read(&self.dropped),
            spool_bytes: read(&self.spool_bytes),
            queued: read(&self.queued),
            last_success: told.success,
            last_error: told.error,
        }
    }
}

impl Told {
    /// Whether the last attempt failed.
    fn is_failing(&self) -> bool {
        match (&self.error, self.success) {
            (Some((failed, _)), Some(succeeded)) => *failed >= succeeded,
            (error, _) => error.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_fortune_is_told_once() {
        let exporter = Exporter::new("remote_write", "http://127.0.0.1:9090".to_owned());
        assert!(!exporter.sent(1));
        assert!(exporter.failed("refused"));
        assert!(!exporter.failed(&"x".repeat(1000)));
        assert!(exporter.sent(2));
        assert!(!exporter.sent(3));
        let status = exporter.status();
        assert_eq!((status.sent, status.failed), (6, 2));
        assert_eq!(status.last_error.unwrap().1.len(), MAX_ERROR);
    }
}
