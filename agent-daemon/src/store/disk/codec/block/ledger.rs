//! The columns of ledgers, since version 2. Sets stand once, sorted, and rows refer to their places.

use super::{
    super::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
    Numbered,
    columns::{Places, at, column, decode_places, next, read_columns},
    total,
};
use crate::model::ledger::{Bit, StateSet};

/// The windows' ledgers.
pub(super) fn encode(to: &mut Encoder, windows: &[Numbered]) {
    let sets: Vec<_> = windows.iter().flat_map(|w| &w.ledger.sets).collect();
    let threads: Vec<_> = windows.iter().flat_map(|w| &w.ledger.threads).collect();
    let places = Places::of(sets.iter().map(|(set, _)| set.bits()).collect());
    places.encode(to);
    windows.iter().for_each(|w| to.varint(w.ledger.sets.len() as u64));
    column(to, &sets, |(set, _)| places.place(set.bits()));
    column(to, &sets, |(_, ns)| *ns);
    windows.iter().for_each(|w| to.varint(w.ledger.threads.len() as u64));
    column(to, &threads, |(bit, _)| u64::from(bit.number()));
    column(to, &threads, |(_, ns)| *ns);
}

/// Reads them into the windows that they are of.
pub(super) fn decode(from: &mut Decoder<'_>, windows: &mut [Numbered]) -> Result<(), CodecError> {
    let places = decode_places(from)?;
    let lengths = windows.iter().map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let [mut set, mut ns] = read_columns(from, total(&lengths)?)?;
    for (window, length) in windows.iter_mut().zip(lengths) {
        let row = |_| Ok((StateSet::from_bits(at(&places, next(&mut set)?)?), next(&mut ns)?));
        window.ledger.sets = (0..length).map(row).collect::<Result<_, CodecError>>()?;
    }
    let lengths = windows.iter().map(|_| from.count()).collect::<Result<Vec<_>, _>>()?;
    let [mut bit, mut ns] = read_columns(from, total(&lengths)?)?;
    for (window, length) in windows.iter_mut().zip(lengths) {
        let row = |_| Ok((bit_of(next(&mut bit)?)?, next(&mut ns)?));
        window.ledger.threads = (0..length).map(row).collect::<Result<_, CodecError>>()?;
    }
    Ok(())
}

fn bit_of(number: u64) -> Result<Bit, CodecError> {
    u8::try_from(number).ok().and_then(Bit::new).ok_or(CodecError::Range("a state"))
}
