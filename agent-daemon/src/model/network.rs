//! Network: what a process sent to whom and received from whom, and how connecting went.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{id::ProcessId, syscall::Histogram};

/// What carries traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP, and MPTCP.
    Tcp,
    /// UDP, and what is built on it.
    Udp,
    /// Unix sockets.
    Unix,
    /// Another protocol of IP.
    Other,
}

impl Protocol {
    /// Every protocol, in order.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Unix, Self::Other];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::Other => "other",
        }
    }

    /// Its number, by which stores know it.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The protocol with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied()
    }
}

/// Who turned to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The process turned to the peer.
    Client,
    /// The peer turned to the process.
    Server,
}

/// Whom traffic is with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// Its address; none for unix sockets, where it is not known, and where rows were merged.
    pub address: Option<IpAddr>,
    /// Its port, where the process is the client; else the process's own.
    pub port: u16,
    /// What carries the traffic.
    pub protocol: Protocol,
    /// Who turned to whom.
    pub side: Side,
    /// The name that a process of the agent had looked up when it got this address.
    pub host: Option<Arc<str>>,
}

impl Peer {
    /// Whether it is at the end of a unix socket.
    #[must_use]
    pub fn is_unix(&self) -> bool {
        self.protocol == Protocol::Unix
    }

    /// Whether it is, as far as is known, on another host: neither by a unix socket nor by loopback.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        !self.is_unix() && self.address.is_some_and(|address| !address.is_loopback())
    }
}

/// The length that a name of a host may have, bytes.
pub const MAX_HOST: usize = 253;

/// Traffic of one process with one peer in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkStat {
    /// Whose.
    pub process: ProcessId,
    /// With whom.
    pub peer: Peer,
    /// Bytes that calls sent.
    pub sent_bytes: u64,
    /// Bytes that calls received.
    pub received_bytes: u64,
    /// Connections made to the peer.
    pub connects: u64,
    /// Connections accepted from it.
    pub accepts: u64,
    /// Connections that failed, by errno; 0 where the process gave up.
    pub failures: Vec<(u32, u64)>,
    /// Times that segments were sent again.
    pub retransmits: u64,
    /// Time that connecting took, over all connections made, ns.
    pub connect_ns: u64,
    /// The longest, ns.
    pub connect_max_ns: u64,
    /// These times.
    pub connect_histogram: Histogram,
}

/// Keeps the `most` rows of most traffic; of the others those of one protocol and side become one, so that sums stay true. Returns
/// how many.
pub fn bound(rows: &mut Vec<NetworkStat>, most: usize) -> usize {
    if rows.len() <= most {
        return 0;
    }
    let weight = |row: &NetworkStat| row.bytes().saturating_add(row.connects).saturating_add(row.failed());
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(weight(row)));
    let small = rows.split_off(most);
    let mut others: BTreeMap<(Protocol, Side), NetworkStat> = BTreeMap::new();
    for row in &small {
        let (protocol, side) = (row.peer.protocol, row.peer.side);
        let peer = || Peer { address: None, port: 0, protocol, side, host: None };
        let other = others.entry((protocol, side)).or_insert_with(|| NetworkStat::new(ProcessId(0), peer()));
        other.merge(row);
    }
    rows.extend(others.into_values());
    small.len()
}

impl NetworkStat {
    /// No traffic yet.
    #[must_use]
    pub fn new(process: ProcessId, peer: Peer) -> Self {
        Self {
            process,
            peer,
            sent_bytes: 0,
            received_bytes: 0,
            connects: 0,
            accepts: 0,
            failures: Vec::new(),
            retransmits: 0,
            connect_ns: 0,
            connect_max_ns: 0,
            connect_histogram: Histogram::default(),
        }
    }

    /// Adds the traffic of another row.
    pub fn merge(&mut self, other: &Self) {
        self.sent_bytes = self.sent_bytes.saturating_add(other.sent_bytes);
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
        self.connects = self.connects.saturating_add(other.connects);
        self.accepts = self.accepts.saturating_add(other.accepts);
        self.retransmits = self.retransmits.saturating_add(other.retransmits);
        self.connect_ns = self.connect_ns.saturating_add(other.connect_ns);
        self.connect_max_ns = self.connect_max_ns.max(other.connect_max_ns);
        self.connect_histogram.merge(&other.connect_histogram);
        for &(errno, count) in &other.failures {
            self.fail(errno, count);
        }
    }

    /// Adds connections that failed.
    pub fn fail(&mut self, errno: u32, count: u64) {
        match self.failures.binary_search_by_key(&errno, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, sum)) = self.failures.get_mut(at) {
                    *sum = sum.saturating_add(count);
                }
            }
            Err(at) => self.failures.insert(at, (errno, count)),
        }
    }

    /// Connections that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.iter().map(|(_, count)| *count).fold(0, u64::saturating_add)
    }

    /// Bytes both ways.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sent_bytes.saturating_add(self.received_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back() {
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::from_number(protocol.number().into()), Some(protocol));
        }
        assert_eq!(Protocol::from_number(4), None);
    }

    #[test]
    fn failures_add_up_by_errno() {
        let peer = Peer { address: None, port: 1, protocol: Protocol::Tcp, side: Side::Client, host: None };
        let mut sum = NetworkStat::new(ProcessId(1), peer);
        sum.fail(111, 1);
        sum.fail(110, 2);
        let other = sum.clone();
        sum.merge(&other);
        assert_eq!(sum.failures, [(110, 4), (111, 2)]);
        assert_eq!(sum.failed(), 6);
    }
}
