//! What a tool call cost, as bytes.

use crate::{
    model::{
        operation::{Bill, Tool, ToolEnd},
        process::Exit,
    },
    store::disk::codec::{
        CodecError,
        bytes::{Decoder, Encoder},
        process::{decode_exit, encode_exit},
    },
};

/// 0 for none.
pub(super) fn encode(to: &mut Encoder, tool: Option<&Tool>) {
    let Some(Tool { end, exit, bill }) = tool else { return to.u8(0) };
    to.u8(tag(*end));
    encode_exit(to, *exit);
    encode_bill(to, bill);
}

pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Option<Tool>, CodecError> {
    let number = from.u8()?;
    if number == 0 {
        return Ok(None);
    }
    let end = ToolEnd::ALL.into_iter().find(|end| tag(*end) == number);
    let end = end.ok_or(CodecError::Unknown("end of a tool call", number))?;
    let exit: Option<Exit> = decode_exit(from)?;
    Ok(Some(Tool { end, exit, bill: decode_bill(from)? }))
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
