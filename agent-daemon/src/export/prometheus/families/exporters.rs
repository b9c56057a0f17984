//! The metrics of the doors out.

use prometheus_client::registry::Unit::Bytes;

use super::{
    Family as F,
    Kind::{Counter, Gauge},
    Row, row,
};

/// Labels of everything that is told of one door out.
const EXPORTER: &[&str] = &["exporter"];

pub(super) static ROWS: [Row; 5] = [
    row(
        F::ExportSent,
        "export_sent",
        None,
        Counter,
        EXPORTER,
        "Samples, data points, spans, events or profiles that a receiver took",
    ),
    row(F::ExportFailures, "export_failures", None, Counter, EXPORTER, "Attempts to send that failed"),
    row(
        F::ExportDropped,
        "export_dropped",
        None,
        Counter,
        EXPORTER,
        "What was to be sent and was given up: refused, or too much was waiting",
    ),
    row(F::ExportSpoolBytes, "export_spool", Some(Bytes), Gauge, EXPORTER, "What waits on disk to be sent"),
    row(F::ExportQueue, "export_queue", None, Gauge, EXPORTER, "Items that wait in memory to be sent"),
];
