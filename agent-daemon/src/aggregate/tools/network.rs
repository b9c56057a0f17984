//! What one tool call sent and received, while it is open. Bounded: [`MAX_PEERS`] peers of a call are told apart; what went
//! beyond is in the sums alone.

use rustc_hash::FxHashMap;

use crate::model::{
    network::{NetworkStat, Peer},
    operation::{MAX_TOLD, ToolNetwork, ToolPeer},
};

/// Peers of a call that are told apart.
const MAX_PEERS: usize = 64;

/// The traffic of a call.
#[derive(Default)]
pub(super) struct CallNetwork {
    sent_bytes: u64,
    received_bytes: u64,
    /// Bytes sent to each and received from it.
    peers: FxHashMap<Peer, (u64, u64)>,
}

impl CallNetwork {
    /// Adds what a process of the call sent and received in a window.
    pub(super) fn add(&mut self, row: &NetworkStat) {
        self.sent_bytes = self.sent_bytes.saturating_add(row.sent_bytes);
        self.received_bytes = self.received_bytes.saturating_add(row.received_bytes);
        if let Some((sent, received)) = self.peers.get_mut(&row.peer) {
            *sent = sent.saturating_add(row.sent_bytes);
            *received = received.saturating_add(row.received_bytes);
        } else if self.peers.len() < MAX_PEERS {
            self.peers.insert(row.peer.clone(), (row.sent_bytes, row.received_bytes));
        }
    }

    /// Whether anything was sent to a host, this one included.
    pub(super) fn has_sent_to_hosts(&self) -> bool {
        self.peers.iter().any(|(peer, (sent, _))| *sent > 0 && !peer.is_unix())
    }

    /// What the call came to: of its peers those with most bytes.
    pub(super) fn finish(self) -> ToolNetwork {
        let Self { sent_bytes, received_bytes, peers } = self;
        let told = |(peer, (sent_bytes, received_bytes))| ToolPeer { peer, sent_bytes, received_bytes };
        let mut top: Vec<ToolPeer> = peers.into_iter().map(told).collect();
        let bytes = |peer: &ToolPeer| peer.sent_bytes.saturating_add(peer.received_bytes);
        top.sort_unstable_by(|a, b| bytes(b).cmp(&bytes(a)).then_with(|| a.peer.cmp(&b.peer)));
        top.truncate(MAX_TOLD);
        ToolNetwork { sent_bytes, received_bytes, top }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::traffic;

    #[test]
    fn few_of_many_are_told_and_all_added_up() {
        let mut network = CallNetwork::default();
        for port in 0..1000 {
            network.add(&traffic(101, [10, 0, 0, 1], port, 1));
        }
        network.add(&traffic(102, [10, 0, 0, 1], 7, 49));
        let told = network.finish();
        assert_eq!((told.sent_bytes, told.received_bytes, told.top.len()), (1049, 2098, MAX_TOLD));
        let first = &told.top[0];
        assert_eq!((first.peer.port, first.sent_bytes, first.received_bytes), (7, 50, 100));
        let rest = 1049 - 50 - (MAX_TOLD as u64 - 1);
        assert_eq!(told.others(), (rest, 2 * rest));
    }
}
