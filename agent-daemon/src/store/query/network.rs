//! Traffic merged over windows: by peer, by process, or by host.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::Fold;
use crate::model::{
    id::ProcessId,
    network::{self, NetworkStat, Peer, Protocol, Side},
    window::Window,
};

/// What traffic is summed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkBy {
    /// Each peer.
    Peer,
    /// Each process.
    Process,
    /// Each host, by its name, else by its address: all its ports together.
    Host,
}

/// Sums traffic.
#[derive(Debug)]
pub struct NetworkFold {
    by: NetworkBy,
    sums: FxHashMap<(ProcessId, Peer), NetworkStat>,
    total: NetworkStat,
    outside: NetworkStat,
}

/// What traffic came to.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkTotals {
    /// The sums, most bytes first. What is not told apart is blank: the process is 0, or the peer is nobody.
    pub rows: Vec<NetworkStat>,
    /// All together.
    pub total: NetworkStat,
    /// What of it left the host: all but unix sockets and loopback.
    pub outside: NetworkStat,
}

/// Whose sums over all processes are: nobody's in particular.
const ALL: ProcessId = ProcessId(0);
/// With whom those over all peers are.
const NOBODY: Peer =
    Peer { address: None, port: 0, protocol: Protocol::Other, side: Side::Client, host: None };

impl NetworkFold {
    /// Sums over each of these.
    #[must_use]
    pub fn new(by: NetworkBy) -> Self {
        let (total, outside) = (NetworkStat::new(ALL, NOBODY), NetworkStat::new(ALL, NOBODY));
        Self { by, sums: FxHashMap::default(), total, outside }
    }
}

/// Rows that are kept apart while they are summed, the largest.
const MAX_ROWS: usize = 20_000;

/// Where the peer is, whatever its port; a name stands for all its addresses.
fn host(peer: &Peer) -> Peer {
    let unix = peer.protocol == Protocol::Unix;
    Peer {
        address: peer.address.filter(|_| peer.host.is_none()),
        protocol: if unix { Protocol::Unix } else { NOBODY.protocol },
        host: peer.host.clone(),
        ..NOBODY
    }
}

impl Fold for NetworkFold {
    type Output = NetworkTotals;

    fn add(&mut self, window: &Window) {
        for stat in &window.network {
            let key = match self.by {
                NetworkBy::Peer => (ALL, stat.peer.clone()),
                NetworkBy::Process => (stat.process, NOBODY),
                NetworkBy::Host => (ALL, host(&stat.peer)),
            };
            let sum = self
                .sums
                .entry(key)
                .or_insert_with_key(|(process, peer)| NetworkStat::new(*process, peer.clone()));
            sum.merge(stat);
            self.total.merge(stat);
            if stat.peer.is_outside() {
                self.outside.merge(stat);
            }
        }
        if self.sums.len() > 2 * MAX_ROWS {
            let mut rows: Vec<NetworkStat> = std::mem::take(&mut self.sums).into_values().collect();
            network::bound(&mut rows, MAX_ROWS);
            for row in rows {
                let sum = self.sums.entry((row.process, row.peer.clone()));
                sum.or_insert_with(|| NetworkStat::new(row.process, row.peer.clone())).merge(&row);
            }
        }
    }

    fn finish(self) -> NetworkTotals {
        let Self { sums, total, outside, .. } = self;
        let mut rows: Vec<NetworkStat> = sums.into_values().collect();
        network::bound(&mut rows, MAX_ROWS);
        rows.sort_by_cached_key(|row| {
            let events = row.connects.saturating_add(row.accepts).saturating_add(row.failed());
            (Reverse(row.bytes()), Reverse(events), row.process, row.peer.clone())
        });
        NetworkTotals { rows, total, outside }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, traffic, window_at},
        query::of,
    };

    fn rows(by: NetworkBy) -> Vec<(u32, Option<String>, u16, u64)> {
        let window = |n: i64, rows: Vec<NetworkStat>| {
            let mut window = window_at(&agent_at(at(0)).id, at(5 * n), 0);
            window.network = rows;
            Arc::new(window)
        };
        let mut named = traffic(100, [10, 0, 0, 2], 443, 1000);
        named.peer.host = Some("a.test".into());
        let mut also = traffic(101, [10, 0, 0, 3], 80, 50);
        also.peer.host = Some("a.test".into());
        let windows = [
            window(0, vec![traffic(100, [127, 0, 0, 1], 80, 7), named]),
            window(1, vec![traffic(101, [127, 0, 0, 1], 80, 8), also]),
        ];
        let totals = of(&windows, NetworkFold::new(by));
        assert_eq!((totals.total.sent_bytes, totals.outside.sent_bytes), (1065, 1050));
        let host = |peer: &Peer| {
            peer.host.as_deref().map(str::to_owned).or(peer.address.map(|address| address.to_string()))
        };
        let row = |row: &NetworkStat| (row.process.pid(), host(&row.peer), row.peer.port, row.sent_bytes);
        totals.rows.iter().map(row).collect()
    }

    #[test]
    fn traffic_adds_up_over_windows_by_what_is_asked_for() {
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            rows(NetworkBy::Peer),
            [(0, name("a.test"), 443, 1000), (0, name("a.test"), 80, 50), (0, name("127.0.0.1"), 80, 15)]
        );
        assert_eq!(rows(NetworkBy::Process), [(100, None, 0, 1007), (101, None, 0, 58)]);
        assert_eq!(rows(NetworkBy::Host), [(0, name("a.test"), 0, 1050), (0, name("127.0.0.1"), 0, 15)]);
    }
}
