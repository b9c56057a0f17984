//! Traffic and block I/O of agents: their sums, and the series of these. An agent that has none has no series.

use super::{
    agent_totals::AgentTotals,
    families::Family,
    series::{Series, seconds},
};
use crate::model::{
    disk::{DiskOperation, DiskStat},
    network::NetworkStat,
    window::Window,
};

/// Where peers are, as the label `place` has it.
const PLACES: [&str; 3] = ["unix", "loopback", "address"];

/// What an agent's processes sent, received and had devices do.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeviceTotals {
    /// Bytes sent and received, by place.
    bytes: [[u64; 2]; PLACES.len()],
    made: u64,
    accepted: u64,
    failed: u64,
    connect_ns: u64,
    retransmits: u64,
    disk: [Requests; DiskOperation::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct Requests {
    count: u64,
    errors: u64,
    bytes: u64,
    ns: u64,
}

impl DeviceTotals {
    pub(super) fn add(&mut self, window: &Window) {
        window.network.iter().for_each(|stat| self.traffic(stat));
        window.disk.iter().for_each(|stat| self.requests(stat));
    }

    fn traffic(&mut self, stat: &NetworkStat) {
        let loopback = stat.peer.address.is_some_and(|address| address.is_loopback());
        let place = if stat.peer.is_unix() {
            0
        } else if loopback {
            1
        } else {
            2
        };
        if let Some([sent, received]) = self.bytes.get_mut(place) {
            *sent = sent.saturating_add(stat.sent_bytes);
            *received = received.saturating_add(stat.received_bytes);
        }
        self.made = self.made.saturating_add(stat.connects);
        self.accepted = self.accepted.saturating_add(stat.accepts);
        self.failed = self.failed.saturating_add(stat.failed());
        self.connect_ns = self.connect_ns.saturating_add(stat.connect_ns);
        self.retransmits = self.retransmits.saturating_add(stat.retransmits);
    }

    fn requests(&mut self, stat: &DiskStat) {
        if let Some(sum) = self.disk.get_mut(usize::from(stat.operation.number())) {
            sum.count = sum.count.saturating_add(stat.count);
            sum.errors = sum.errors.saturating_add(stat.errors);
            sum.bytes = sum.bytes.saturating_add(stat.bytes);
            sum.ns = sum.ns.saturating_add(stat.total_ns());
        }
    }

    fn connections(&self) -> [(&'static str, u64); 3] {
        [("made", self.made), ("accepted", self.accepted), ("failed", self.failed)]
    }

    fn has_traffic(&self) -> bool {
        let bytes = self.bytes.as_flattened().iter().any(|bytes| *bytes > 0);
        bytes || self.connections().iter().any(|(_, count)| *count > 0)
    }
}

/// The series of one agent's traffic and block I/O; `with` adds labels to the agent's.
pub(super) fn of(
    family: Family,
    totals: &AgentTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
) -> Vec<Series> {
    let devices = &totals.devices;
    let one = |value: f64| devices.has_traffic().then(|| (with(&[]), value)).into_iter().collect();
    match family {
        Family::AgentNetworkBytes => bytes(devices, with),
        Family::AgentNetworkConnections => {
            let counted = devices.connections().into_iter().filter(|(_, count)| *count > 0);
            counted.map(|(result, count)| (with(&[result.to_owned()]), count as f64)).collect()
        }
        Family::AgentNetworkConnectSeconds => one(seconds(devices.connect_ns)),
        Family::AgentNetworkRetransmits => one(devices.retransmits as f64),
        Family::AgentDiskBytes => by_operation(devices, with, |sum| sum.bytes as f64),
        Family::AgentDiskRequests => by_operation(devices, with, |sum| sum.count as f64),
        Family::AgentDiskErrors => by_operation(devices, with, |sum| sum.errors as f64),
        Family::AgentDiskSeconds => by_operation(devices, with, |sum| seconds(sum.ns)),
        _ => Vec::new(),
    }
}

fn bytes(devices: &DeviceTotals, with: &impl Fn(&[String]) -> Vec<String>) -> Vec<Series> {
    let mut series = Vec::new();
    for (place, both) in PLACES.iter().zip(devices.bytes).filter(|(_, both)| *both != [0, 0]) {
        for (direction, bytes) in ["sent", "received"].into_iter().zip(both) {
            series.push((with(&[(*place).to_owned(), direction.to_owned()]), bytes as f64));
        }
    }
    series
}

fn by_operation(
    devices: &DeviceTotals,
    with: &impl Fn(&[String]) -> Vec<String>,
    value: impl Fn(&Requests) -> f64,
) -> Vec<Series> {
    let done = DiskOperation::ALL.iter().zip(&devices.disk).filter(|(_, sum)| sum.count > 0);
    done.map(|(operation, sum)| (with(&[operation.name().to_owned()]), value(sum))).collect()
}
