//! What a tool call cost, as bytes.

use crate::{
    model::{
        operation::{Bill, FileEffect, Tool, ToolEnd, ToolFiles, ToolNetwork, ToolPeer},
        process::Exit,
    },
    store::disk::codec::{
        CodecError,
        bytes::{Decoder, Encoder},
        peer,
        process::{decode_exit, encode_exit},
    },
};

/// Operations of this version and before say nothing of what tools did to files.
const WITHOUT_FILES: u8 = 3;
/// Operations of this version and before say nothing of what tools sent and received.
const WITHOUT_NETWORK: u8 = 4;

/// 0 for none.
pub(super) fn encode(to: &mut Encoder, tool: Option<&Tool>) {
    let Some(Tool { end, exit, bill, files, network }) = tool else { return to.u8(0) };
    to.u8(tag(*end));
    encode_exit(to, *exit);
    encode_bill(to, bill);
    encode_files(to, files.as_ref());
    encode_network(to, network.as_ref());
}

pub(super) fn decode(from: &mut Decoder<'_>, version: u8) -> Result<Option<Tool>, CodecError> {
    let number = from.u8()?;
    if number == 0 {
        return Ok(None);
    }
    let end = ToolEnd::ALL.into_iter().find(|end| tag(*end) == number);
    let end = end.ok_or(CodecError::Unknown("end of a tool call", number))?;
    let exit: Option<Exit> = decode_exit(from)?;
    let bill = decode_bill(from)?;
    let files = if version > WITHOUT_FILES { decode_files(from)? } else { None };
    let network = if version > WITHOUT_NETWORK { decode_network(from)? } else { None };
    Ok(Some(Tool { end, exit, bill, files, network }))
}

fn encode_files(to: &mut Encoder, files: Option<&ToolFiles>) {
    let Some(ToolFiles { created, changed, deleted, renamed, top }) = files else { return to.u8(0) };
    to.u8(1);
    [created, changed, deleted, renamed].into_iter().for_each(|n| to.varint(*n));
    to.varint(top.len() as u64);
    for (effect, path) in top {
        to.u8(effect_tag(*effect));
        to.text(path);
    }
}

fn decode_files(from: &mut Decoder<'_>) -> Result<Option<ToolFiles>, CodecError> {
    if !from.flag()? {
        return Ok(None);
    }
    let [created, changed, deleted, renamed] =
        [from.varint()?, from.varint()?, from.varint()?, from.varint()?];
    let mut top = Vec::new();
    for _ in 0..from.count()? {
        let number = from.u8()?;
        let effect = FileEffect::ALL.into_iter().find(|effect| effect_tag(*effect) == number);
        top.push((effect.ok_or(CodecError::Unknown("effect", number))?, from.text()?.into()));
    }
    Ok(Some(ToolFiles { created, changed, deleted, renamed, top }))
}

fn encode_network(to: &mut Encoder, network: Option<&ToolNetwork>) {
    let Some(ToolNetwork { sent_bytes, received_bytes, top }) = network else { return to.u8(0) };
    to.u8(1);
    to.varint(*sent_bytes);
    to.varint(*received_bytes);
    to.varint(top.len() as u64);
    for ToolPeer { peer, sent_bytes, received_bytes } in top {
        peer::encode(to, peer);
        to.varint(*sent_bytes);
        to.varint(*received_bytes);
    }
}

fn decode_network(from: &mut Decoder<'_>) -> Result<Option<ToolNetwork>, CodecError> {
    if !from.flag()? {
        return Ok(None);
    }
    let (sent_bytes, received_bytes) = (from.varint()?, from.varint()?);
    let count = from.count()?;
    let peer = |_| {
        let peer = peer::decode(from)?;
        Ok(ToolPeer { peer, sent_bytes: from.varint()?, received_bytes: from.varint()? })
    };
    let top = (0..count).map(peer).collect::<Result<_, CodecError>>()?;
    Ok(Some(ToolNetwork { sent_bytes, received_bytes, top }))
}

/// Written: never change meaning.
fn effect_tag(effect: FileEffect) -> u8 {
    match effect {
        FileEffect::Created => 1,
        FileEffect::Changed => 2,
        FileEffect::Deleted => 3,
        FileEffect::Renamed => 4,
    }
}

pub(super) fn encode_bill(to: &mut Encoder, bill: &Bill) {
    to.u8(u8::from(*bill != Bill::default()));
    if *bill == Bill::default() {
        return;
    }
    let Bill { user_ns, system_ns, peak_rss_bytes, .. } = *bill;
    let Bill { read_chars, written_chars, read_bytes, written_bytes, processes, .. } = *bill;
    let cpu_and_memory = [user_ns, system_ns, peak_rss_bytes];
    let rest = [read_chars, written_chars, read_bytes, written_bytes, processes];
    cpu_and_memory.iter().chain(&rest).for_each(|number| to.varint(*number));
}

pub(super) fn decode_bill(from: &mut Decoder<'_>) -> Result<Bill, CodecError> {
    if !from.flag()? {
        return Ok(Bill::default());
    }
    Ok(Bill {
        user_ns: from.varint()?,
        system_ns: from.varint()?,
        peak_rss_bytes: from.varint()?,
        read_chars: from.varint()?,
        written_chars: from.varint()?,
        read_bytes: from.varint()?,
        written_bytes: from.varint()?,
        processes: from.varint()?,
    })
}

/// Written: never change meaning.
fn tag(end: ToolEnd) -> u8 {
    match end {
        ToolEnd::Exited => 1,
        ToolEnd::Left => 2,
        ToolEnd::Unfinished => 3,
        ToolEnd::Unseen => 4,
    }
}
