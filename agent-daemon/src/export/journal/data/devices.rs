//! Traffic and block I/O of a window in the journal.

use serde::{Deserialize, Serialize};

use super::{
    DataError,
    latencies::{Latencies, histogram, told},
    peer::PeerData,
    process_id::Id,
};
use crate::model::{
    disk::{DiskOperation, DiskStat},
    network::{NetworkStat, Peer},
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NetworkData {
    process: Id,
    #[serde(flatten)]
    peer: PeerData,
    sent_bytes: u64,
    received_bytes: u64,
    connects: u64,
    accepts: u64,
    /// Errno and count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failures: Vec<(u32, u64)>,
    retransmits: u64,
    connect_ns: u64,
    connect_max_ns: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    connect_log2_ns: Latencies,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DiskData {
    process: Id,
    device: String,
    operation: DiskOperation,
    background: bool,
    count: u64,
    errors: u64,
    bytes: u64,
    queue_ns: u64,
    device_ns: u64,
    max_ns: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    latency_log2_ns: Latencies,
}

impl From<NetworkStat> for NetworkData {
    fn from(row: NetworkStat) -> Self {
        Self {
            process: Id(row.process),
            peer: row.peer.into(),
            sent_bytes: row.sent_bytes,
            received_bytes: row.received_bytes,
            connects: row.connects,
            accepts: row.accepts,
            failures: row.failures,
            retransmits: row.retransmits,
            connect_ns: row.connect_ns,
            connect_max_ns: row.connect_max_ns,
            connect_log2_ns: told(&row.connect_histogram),
        }
    }
}

impl TryFrom<NetworkData> for NetworkStat {
    type Error = DataError;

    fn try_from(row: NetworkData) -> Result<Self, DataError> {
        let peer = Peer::try_from(row.peer)?;
        let mut stat = Self {
            sent_bytes: row.sent_bytes,
            received_bytes: row.received_bytes,
            connects: row.connects,
            accepts: row.accepts,
            retransmits: row.retransmits,
            connect_ns: row.connect_ns,
            connect_max_ns: row.connect_max_ns,
            connect_histogram: histogram(row.connect_log2_ns)?,
            ..Self::new(row.process.0, peer)
        };
        // Each errno once, and in order.
        row.failures.into_iter().for_each(|(errno, count)| stat.fail(errno, count));
        Ok(stat)
    }
}

impl From<DiskStat> for DiskData {
    fn from(row: DiskStat) -> Self {
        let DiskStat { process, device, operation, background, count, errors, .. } = row;
        let DiskStat { bytes, queue_ns, device_ns, max_ns, histogram, .. } = row;
        let (process, device, latency_log2_ns) = (Id(process), device.to_string(), told(&histogram));
        Self {
            process,
            device,
            operation,
            background,
            count,
            errors,
            bytes,
            queue_ns,
            device_ns,
            max_ns,
            latency_log2_ns,
        }
    }
}

impl TryFrom<DiskData> for DiskStat {
    type Error = DataError;

    fn try_from(row: DiskData) -> Result<Self, DataError> {
        Ok(Self {
            count: row.count,
            errors: row.errors,
            bytes: row.bytes,
            queue_ns: row.queue_ns,
            device_ns: row.device_ns,
            max_ns: row.max_ns,
            histogram: histogram(row.latency_log2_ns)?,
            ..Self::new(row.process.0, row.device.into(), row.operation, row.background)
        })
    }
}
