//! Traffic on the wire.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    CoveredDto,
    names::{ProtocolDto, SideDto},
    seconds,
};
use crate::{
    model::{
        errno_names::errno_name,
        network::{NetworkStat, Peer},
        operation::{ToolNetwork, ToolPeer},
    },
    store::query::NetworkBy,
};

/// What an agent sent and received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = NetworkReport)]
pub struct NetworkReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the network probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// All traffic together.
    pub total: NetworkAmountsDto,
    /// What of it was with other hosts: all but unix sockets and loopback.
    pub outside: NetworkAmountsDto,
    /// Rows of the range.
    pub rows: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// A page of rows, most bytes first.
    pub peers: Vec<NetworkDto>,
}

/// Traffic with one peer, with one host, or of one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Network)]
pub struct NetworkDto {
    /// The address of the peer, where it is known; of several with one name, by host, none is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    pub address: Option<IpAddr>,
    /// The port, if asked for by peer: the peer's where the process is the client, else the process's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// What carries it, if asked for by peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<ProtocolDto>,
    /// Who turned to whom, if asked for by peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<SideDto>,
    /// The name that a process of the agent looked up when it got the address, or the name of a host of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where the peer is, unless asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceDto>,
    /// Whose, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of whose, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub amounts: NetworkAmountsDto,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PeerPlace)]
pub enum PlaceDto {
    /// On the same host, at the end of a unix socket; which process it is is not told.
    Unix,
    /// On the same host, by an address of loopback.
    Loopback,
    /// At another address.
    Address,
    /// Not known: a datagram socket that serves anybody, or rows that have none of their own.
    Unknown,
}

/// Bytes, connections and how they went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = NetworkAmounts)]
pub struct NetworkAmountsDto {
    /// Bytes that calls sent. Headers of the network are not counted.
    pub sent_bytes: u64,
    /// Bytes that calls received.
    pub received_bytes: u64,
    /// Connections of TCP made.
    pub connections_made: u64,
    /// Connections of TCP accepted on a port that the agent listens on.
    pub connections_accepted: u64,
    /// Connections of TCP that failed, by the error's name; `given_up` where the process itself ended the attempt.
    pub connections_failed: BTreeMap<String, u64>,
    /// Times that segments of TCP were sent again.
    pub retransmits: u64,
    /// From the first packet to the connection's being made, the mean; null where none was made.
    pub connect_mean_seconds: Option<f64>,
    /// Half of the connections took no longer to make. Estimated from powers of two.
    pub connect_p50_seconds: Option<f64>,
    /// 99 % took no longer.
    pub connect_p99_seconds: Option<f64>,
    /// The longest; null where none was made.
    pub connect_max_seconds: Option<f64>,
}

/// What a tool call sent and received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolNetwork)]
pub struct ToolNetworkDto {
    /// Bytes that it sent, to whomever.
    pub sent_bytes: u64,
    /// Bytes that it received, from whomever.
    pub received_bytes: u64,
    /// Peers, most bytes first; ten at most.
    pub top: Vec<ToolPeerDto>,
    /// Bytes that it sent to others.
    pub other_sent_bytes: u64,
    /// Bytes that it received from others.
    pub other_received_bytes: u64,
}

/// A peer of a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ToolPeer)]
pub struct ToolPeerDto {
    /// Its address, where it is known.
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    pub address: Option<IpAddr>,
    /// Its port where the tool is the client, else the tool's own; 0 where there is none.
    pub port: u16,
    /// What carries the traffic.
    pub protocol: ProtocolDto,
    /// Who turned to whom.
    pub side: SideDto,
    /// The name that a process of the agent looked up when it got the address.
    pub host: Option<String>,
    /// Where the peer is.
    pub place: PlaceDto,
    /// Bytes that the tool sent.
    pub sent_bytes: u64,
    /// Bytes that it received.
    pub received_bytes: u64,
}

impl From<&ToolNetwork> for ToolNetworkDto {
    fn from(network: &ToolNetwork) -> Self {
        let (other_sent_bytes, other_received_bytes) = network.others();
        let ToolNetwork { sent_bytes, received_bytes, ref top } = *network;
        let top = top.iter().map(ToolPeerDto::from).collect();
        Self { sent_bytes, received_bytes, top, other_sent_bytes, other_received_bytes }
    }
}

impl From<&ToolPeer> for ToolPeerDto {
    fn from(ToolPeer { peer, sent_bytes, received_bytes }: &ToolPeer) -> Self {
        Self {
            address: peer.address,
            port: peer.port,
            protocol: peer.protocol.into(),
            side: peer.side.into(),
            host: peer.host.as_deref().map(str::to_owned),
            place: PlaceDto::of(peer),
            sent_bytes: *sent_bytes,
            received_bytes: *received_bytes,
        }
    }
}

impl NetworkDto {
    /// A sum on the wire; `comm` names the process, where it is one's.
    #[must_use]
    pub fn new(row: &NetworkStat, by: NetworkBy, comm: Option<String>) -> Self {
        let of_peer = by == NetworkBy::Peer;
        let of_process = by == NetworkBy::Process;
        Self {
            address: row.peer.address,
            port: of_peer.then_some(row.peer.port).filter(|port| *port != 0),
            protocol: of_peer.then(|| row.peer.protocol.into()),
            side: of_peer.then(|| row.peer.side.into()),
            host: row.peer.host.as_deref().map(str::to_owned),
            place: (!of_process).then(|| PlaceDto::of(&row.peer)),
            pid: of_process.then(|| row.process.pid()),
            comm,
            amounts: row.into(),
        }
    }
}

impl PlaceDto {
    fn of(peer: &Peer) -> Self {
        match peer.address {
            _ if peer.is_unix() => Self::Unix,
            Some(address) if address.is_loopback() => Self::Loopback,
            Some(_) => Self::Address,
            None if peer.host.is_some() => Self::Address,
            None => Self::Unknown,
        }
    }
}

impl From<&NetworkStat> for NetworkAmountsDto {
    fn from(row: &NetworkStat) -> Self {
        let made = row.connects > 0;
        let quantile = |q| row.connect_histogram.quantile(q, row.connect_max_ns).map(|ns| ns / 1e9);
        Self {
            sent_bytes: row.sent_bytes,
            received_bytes: row.received_bytes,
            connections_made: row.connects,
            connections_accepted: row.accepts,
            connections_failed: row.failures.iter().map(|(errno, n)| (failure(*errno), *n)).collect(),
            retransmits: row.retransmits,
            connect_mean_seconds: made.then(|| seconds(row.connect_ns) / row.connects as f64),
            connect_p50_seconds: quantile(0.5),
            connect_p99_seconds: quantile(0.99),
            connect_max_seconds: made.then(|| seconds(row.connect_max_ns)),
        }
    }
}

fn failure(errno: u32) -> String {
    match errno {
        0 => "given_up".to_owned(),
        errno => errno_name(errno).map_or_else(|| format!("errno_{errno}"), str::to_owned),
    }
}
