//! Block I/O on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, names::DiskOperationDto, seconds};
use crate::{model::disk::DiskStat, store::query::DiskBy};

/// What an agent had devices read and write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DiskReport)]
pub struct DiskReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the disk probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// Rows of the range.
    pub rows: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// A page of rows, most time first.
    pub requests: Vec<DiskRequestsDto>,
}

/// Block I/O of one kind, on one device or of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = DiskRequests)]
pub struct DiskRequestsDto {
    /// The device, if asked for by device; `other` stands for those that have no row of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Who caused it, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of who caused it, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// What was done.
    pub operation: DiskOperationDto,
    /// Whether the kernel wrote, later, what processes had left in memory: it is of who last wrote to the file.
    pub background: bool,
    /// Requests that completed, as they were submitted: before any are merged.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// Bytes of those that did not.
    pub bytes: u64,
    /// Time from beginning to end, of all one beside the other.
    pub total_seconds: f64,
    /// What of it was spent before they were handed to the device.
    pub queue_seconds: f64,
    /// What of it was spent at the device.
    pub device_seconds: f64,
    /// The longest.
    pub max_seconds: f64,
    /// Half took no longer. Estimated from powers of two.
    pub p50_seconds: Option<f64>,
    /// 99 % took no longer.
    pub p99_seconds: Option<f64>,
}

impl DiskRequestsDto {
    /// A sum on the wire; `comm` names the process, where it is one's.
    #[must_use]
    pub fn new(row: &DiskStat, by: DiskBy, comm: Option<String>) -> Self {
        let device = if row.device.is_empty() { "other" } else { &*row.device };
        let quantile = |q| row.histogram.quantile(q, row.max_ns).map(|ns| ns / 1e9);
        Self {
            device: (by == DiskBy::Device).then(|| device.to_owned()),
            pid: (by == DiskBy::Process).then(|| row.process.pid()),
            comm,
            operation: row.operation.into(),
            background: row.background,
            count: row.count,
            errors: row.errors,
            bytes: row.bytes,
            total_seconds: seconds(row.total_ns()),
            queue_seconds: seconds(row.queue_ns),
            device_seconds: seconds(row.device_ns),
            max_seconds: seconds(row.max_ns),
            p50_seconds: quantile(0.5),
            p99_seconds: quantile(0.99),
        }
    }
}
