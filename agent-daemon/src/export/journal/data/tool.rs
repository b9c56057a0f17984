//! What a tool call cost, in the journal.

use serde::{Deserialize, Serialize};

use super::{DataError, peer::PeerData};
use crate::model::{
    network::Peer,
    operation::{Bill, FileEffect, Tool, ToolEnd, ToolFiles, ToolNetwork, ToolPeer},
    process::Exit,
};

/// How a tool call ended and what it cost.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct ToolData {
    end: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<u8>,
    #[serde(default)]
    core_dumped: bool,
    bill: BillData,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<FilesData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<NetworkData>,
}

/// What a tool call did to files.
#[derive(Debug, Serialize, Deserialize)]
struct FilesData {
    created: u64,
    changed: u64,
    deleted: u64,
    renamed: u64,
    /// Some of them: what was done, and the path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    top: Vec<(String, String)>,
}

/// What a tool call sent and received.
#[derive(Debug, Serialize, Deserialize)]
struct NetworkData {
    sent_bytes: u64,
    received_bytes: u64,
    /// Peers with most bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    top: Vec<ToolPeerData>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ToolPeerData {
    #[serde(flatten)]
    peer: PeerData,
    sent_bytes: u64,
    received_bytes: u64,
}

/// What tool calls cost.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct BillData {
    user_ns: u64,
    system_ns: u64,
    peak_rss_bytes: u64,
    read_chars: u64,
    written_chars: u64,
    read_bytes: u64,
    written_bytes: u64,
    processes: u64,
}

impl From<&Tool> for ToolData {
    fn from(tool: &Tool) -> Self {
        let (exit_code, signal, core_dumped) = match tool.exit {
            None => (None, None, false),
            Some(Exit::Code(code)) => (Some(code), None, false),
            Some(Exit::Signal { number, core_dumped }) => (None, Some(number), core_dumped),
        };
        let (end, bill) = (tool.end.name().to_owned(), tool.bill.into());
        let files = tool.files.as_ref().map(FilesData::from);
        let network = tool.network.as_ref().map(NetworkData::from);
        Self { end, exit_code, signal, core_dumped, bill, files, network }
    }
}

impl TryFrom<ToolData> for Tool {
    type Error = DataError;

    fn try_from(data: ToolData) -> Result<Self, DataError> {
        let end = ToolEnd::ALL.into_iter().find(|end| end.name() == data.end);
        let exit = match (data.exit_code, data.signal) {
            (Some(code), None) => Some(Exit::Code(code)),
            (None, Some(number)) => Some(Exit::Signal { number, core_dumped: data.core_dumped }),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(DataError::Value("a tool call that ended in two ways")),
        };
        let end = end.ok_or(DataError::Value("an end of a tool call"))?;
        let files = data.files.map(ToolFiles::try_from).transpose()?;
        let network = data.network.map(ToolNetwork::try_from).transpose()?;
        Ok(Self { end, exit, bill: data.bill.into(), files, network })
    }
}

impl From<&ToolFiles> for FilesData {
    fn from(files: &ToolFiles) -> Self {
        let ToolFiles { created, changed, deleted, renamed, ref top } = *files;
        let top = top.iter().map(|(effect, path)| (effect.name().to_owned(), path.to_string())).collect();
        Self { created, changed, deleted, renamed, top }
    }
}

impl TryFrom<FilesData> for ToolFiles {
    type Error = DataError;

    fn try_from(data: FilesData) -> Result<Self, DataError> {
        let FilesData { created, changed, deleted, renamed, top } = data;
        let effect = |(name, path): (String, String)| {
            Ok((FileEffect::from_name(&name).ok_or(DataError::Value("an effect on a file"))?, path.into()))
        };
        let top = top.into_iter().map(effect).collect::<Result<_, DataError>>()?;
        Ok(Self { created, changed, deleted, renamed, top })
    }
}

impl From<&ToolNetwork> for NetworkData {
    fn from(network: &ToolNetwork) -> Self {
        let ToolNetwork { sent_bytes, received_bytes, ref top } = *network;
        let peer = |ToolPeer { peer, sent_bytes, received_bytes }: &ToolPeer| ToolPeerData {
            peer: peer.clone().into(),
            sent_bytes: *sent_bytes,
            received_bytes: *received_bytes,
        };
        Self { sent_bytes, received_bytes, top: top.iter().map(peer).collect() }
    }
}

impl TryFrom<NetworkData> for ToolNetwork {
    type Error = DataError;

    fn try_from(data: NetworkData) -> Result<Self, DataError> {
        let NetworkData { sent_bytes, received_bytes, top } = data;
        let peer = |ToolPeerData { peer, sent_bytes, received_bytes }| {
            Ok(ToolPeer { peer: Peer::try_from(peer)?, sent_bytes, received_bytes })
        };
        let top = top.into_iter().map(peer).collect::<Result<_, DataError>>()?;
        Ok(Self { sent_bytes, received_bytes, top })
    }
}

impl From<Bill> for BillData {
    fn from(bill: Bill) -> Self {
        let Bill { user_ns, system_ns, peak_rss_bytes, .. } = bill;
        let Bill { read_chars, written_chars, read_bytes, written_bytes, processes, .. } = bill;
        Self {
            user_ns,
            system_ns,
            peak_rss_bytes,
            read_chars,
            written_chars,
            read_bytes,
            written_bytes,
            processes,
        }
    }
}

impl From<BillData> for Bill {
    fn from(data: BillData) -> Self {
        let BillData { user_ns, system_ns, peak_rss_bytes, .. } = data;
        let BillData { read_chars, written_chars, read_bytes, written_bytes, processes, .. } = data;
        Self {
            user_ns,
            system_ns,
            peak_rss_bytes,
            read_chars,
            written_chars,
            read_bytes,
            written_bytes,
            processes,
        }
    }
}
