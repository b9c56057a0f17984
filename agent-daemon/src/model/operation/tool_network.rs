//! What a tool call sent and received. Bounded: sums of all, peers of a few.

use crate::model::network::Peer;

/// What a tool call sent and received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNetwork {
    /// Bytes that it sent, to whomever.
    pub sent_bytes: u64,
    /// Bytes that it received, from whomever.
    pub received_bytes: u64,
    /// Peers, most bytes first; [`MAX_TOLD`](super::MAX_TOLD) at most.
    pub top: Vec<ToolPeer>,
}

/// A peer of a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPeer {
    /// Whom.
    pub peer: Peer,
    /// Bytes that it was sent.
    pub sent_bytes: u64,
    /// Bytes that were received from it.
    pub received_bytes: u64,
}

impl ToolNetwork {
    /// Bytes sent and received with those who are not told of.
    #[must_use]
    pub fn others(&self) -> (u64, u64) {
        let told = |bytes: fn(&ToolPeer) -> u64| self.top.iter().map(bytes).fold(0, u64::saturating_add);
        (
            self.sent_bytes.saturating_sub(told(|peer| peer.sent_bytes)),
            self.received_bytes.saturating_sub(told(|peer| peer.received_bytes)),
        )
    }
}
