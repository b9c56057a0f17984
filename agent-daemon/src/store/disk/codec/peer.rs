//! Whom traffic is with, as bytes.

use std::{net::IpAddr, sync::Arc};

use super::{
    CodecError,
    bytes::{Decoder, Encoder},
};
use crate::model::network::{MAX_HOST, Peer, Protocol, Side};

/// What an address is told by: how many bytes it has.
const NO_ADDRESS: u64 = 0;
const IPV4: u64 = 4;
const IPV6: u64 = 16;

pub(super) fn encode(to: &mut Encoder, peer: &Peer) {
    match peer.address {
        None => to.varint(NO_ADDRESS),
        Some(IpAddr::V4(address)) => {
            to.varint(IPV4);
            to.varint(u64::from(address.to_bits()));
        }
        Some(IpAddr::V6(address)) => {
            let bits = address.to_bits();
            to.varint(IPV6);
            to.varint((bits >> 64) as u64);
            to.varint(bits as u64);
        }
    }
    to.varint(u64::from(peer.port));
    to.varint(peer.protocol.number().into());
    to.varint(u64::from(peer.side == Side::Server));
    to.text(peer.host.as_deref().unwrap_or_default());
}

pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Peer, CodecError> {
    let address = match from.varint()? {
        NO_ADDRESS => None,
        IPV4 => Some(IpAddr::from(from.u32()?.to_be_bytes())),
        IPV6 => {
            let bits = u128::from(from.varint()?) << 64 | u128::from(from.varint()?);
            Some(IpAddr::from(bits.to_be_bytes()))
        }
        _ => return Err(CodecError::Range("an address")),
    };
    let port = u16::try_from(from.varint()?).map_err(|_| CodecError::Range("a port"))?;
    let protocol = Protocol::from_number(from.varint()?).ok_or(CodecError::Range("a protocol"))?;
    let side = match from.varint()? {
        0 => Side::Client,
        1 => Side::Server,
        _ => return Err(CodecError::Range("a side")),
    };
    let host = from.text()?;
    if host.len() > MAX_HOST {
        return Err(CodecError::Range("a host"));
    }
    let host = (!host.is_empty()).then(|| Arc::from(host));
    Ok(Peer { address, port, protocol, side, host })
}
