//! What a door out tells of itself: counters for the metrics and the API, and one line in the log when its fortune
//! changes, not one for each attempt.

use std::sync::Arc;

use crate::telemetry::{Exporter, Loss, Telemetry};

/// The books of one door.
#[derive(Clone, Debug)]
pub(super) struct Account {
    exporter: Arc<Exporter>,
    telemetry: Arc<Telemetry>,
}

impl Account {
    /// Opens the books of a door to this receiver.
    pub(super) fn open(name: &'static str, receiver: String, telemetry: &Arc<Telemetry>) -> Self {
        let exporter = Arc::new(Exporter::new(name, receiver));
        telemetry.add_exporter(Arc::clone(&exporter));
        Self { exporter, telemetry: Arc::clone(telemetry) }
    }

    /// The receiver took `items`.
    pub(super) fn sent(&self, items: u64) {
        if self.exporter.sent(items) {
            tracing::info!(
                exporter = self.exporter.name,
                receiver = self.exporter.receiver,
                "sending works again"
            );
        }
    }

    /// An attempt failed; it is made again. `why` holds no secret.
    pub(super) fn failed(&self, why: &str) {
        if self.exporter.failed(why) {
            let (exporter, receiver) = (self.exporter.name, &self.exporter.receiver);
            tracing::warn!(exporter, receiver, why, "sending fails; trying again");
        }
    }

    /// The receiver refused `items` for good. `why` holds no secret.
    pub(super) fn refused(&self, items: u64, why: &str) {
        if self.exporter.failed(why) {
            let (exporter, receiver) = (self.exporter.name, &self.exporter.receiver);
            tracing::warn!(exporter, receiver, why, "refused, and dropped");
        }
        self.dropped(items);
    }

    /// Items are given up.
    pub(super) fn dropped(&self, items: u64) {
        if items > 0 {
            self.exporter.dropped(items);
            self.telemetry.losses.add(Loss::ExportDropped, items);
        }
    }

    /// Ends of the spool's files were cut off.
    pub(super) fn cut(&self, ends: u64) {
        if ends > 0 {
            tracing::warn!(exporter = self.exporter.name, ends, "the spool was damaged, and cut off there");
            self.telemetry.losses.add(Loss::SpoolTailCut, ends);
        }
    }

    pub(super) fn set_spool_bytes(&self, bytes: u64) {
        self.exporter.set_spool_bytes(bytes);
    }

    pub(super) fn set_queued(&self, items: usize) {
        self.exporter.set_queued(items);
    }
}
