//! Operations that were added up, as bytes.

use super::{Names, decode_agent, llm, owned, source_of, source_tag, tool};
use crate::{
    model::{
        id::AgentId,
        operation::{Distinct, Sum, SumKey, Sums},
    },
    store::disk::codec::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
};

pub(super) fn encode(to: &mut Encoder, sums: &Sums) {
    to.time(sums.start);
    to.time(sums.end);
    to.varint(sums.rows.len() as u64);
    for (key, sum) in &sums.rows {
        to.text(&key.project);
        to.u8(source_tag(key.source));
        to.text(&key.kind);
        to.text(&key.name);
        to.option_text(key.model.as_deref());
        to.option_text(key.agent.as_ref().map(AgentId::as_str));
        for number in [sum.count, sum.errors, sum.total_ns, sum.max_ns, sum.bytes] {
            to.varint(number);
        }
        let buckets = sum.durations.buckets();
        to.varint(buckets.len() as u64);
        for (bucket, count) in buckets {
            to.varint(u64::from(bucket));
            to.varint(count);
        }
        encode_distinct(to, &sum.users);
        encode_distinct(to, &sum.sessions);
        tool::encode_bill(to, &sum.bill);
        llm::encode_sum(to, &sum.llm);
    }
}

pub(super) fn decode(from: &mut Decoder<'_>, version: u8, names: &mut Names) -> Result<Sums, CodecError> {
    let mut sums = Sums::new(from.time()?, from.time()?);
    for _ in 0..from.count()? {
        let key = SumKey {
            project: names.name(from.text()?),
            source: source_of(from.u8()?)?,
            kind: from.text()?.to_owned(),
            name: from.text()?.to_owned(),
            model: owned(from)?,
            agent: decode_agent(from)?,
        };
        sums.rows.insert(key, decode_sum(from, version)?);
    }
    Ok(sums)
}

fn decode_sum(from: &mut Decoder<'_>, version: u8) -> Result<Sum, CodecError> {
    let mut sum = Sum {
        count: from.varint()?,
        errors: from.varint()?,
        total_ns: from.varint()?,
        max_ns: from.varint()?,
        bytes: from.varint()?,
        ..Sum::default()
    };
    for _ in 0..from.count()? {
        let bucket = u16::try_from(from.varint()?).map_err(|_| CodecError::Range("a bucket"))?;
        sum.durations.add_to_bucket(bucket, from.varint()?);
    }
    sum.users = decode_distinct(from)?;
    sum.sessions = decode_distinct(from)?;
    if version > 1 {
        sum.bill = tool::decode_bill(from)?;
    }
    if version > 2 {
        sum.llm = llm::decode_sum(from)?;
    }
    Ok(sum)
}

/// Hashes in order, each as the difference to the one before.
fn encode_distinct(to: &mut Encoder, distinct: &Distinct) {
    let hashes = distinct.hashes();
    to.varint(hashes.len() as u64);
    hashes.fold(0, |before, hash| {
        to.varint(hash.wrapping_sub(before));
        hash
    });
}

fn decode_distinct(from: &mut Decoder<'_>) -> Result<Distinct, CodecError> {
    let mut distinct = Distinct::default();
    let mut hash = 0u64;
    for _ in 0..from.count()? {
        hash = hash.wrapping_add(from.varint()?);
        distinct.add_hash(hash);
    }
    Ok(distinct)
}
