//! Whom traffic is with, in the journal.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::DataError;
use crate::model::network::{MAX_HOST, Peer, Protocol, Side};

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PeerData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    port: u16,
    protocol: Protocol,
    side: Side,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

impl From<Peer> for PeerData {
    fn from(peer: Peer) -> Self {
        let Peer { address, port, protocol, side, host } = peer;
        Self { address, port, protocol, side, host: host.as_deref().map(str::to_owned) }
    }
}

impl TryFrom<PeerData> for Peer {
    type Error = DataError;

    fn try_from(data: PeerData) -> Result<Self, DataError> {
        let PeerData { address, port, protocol, side, host } = data;
        if host.as_ref().is_some_and(|host| host.len() > MAX_HOST) {
            return Err(DataError::Value("a host"));
        }
        Ok(Self { address, port, protocol, side, host: host.map(Into::into) })
    }
}
