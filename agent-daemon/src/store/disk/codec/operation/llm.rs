//! What was read of a call of a language model, as bytes.

use super::owned;
use crate::{
    model::{
        operation::{Llm, LlmSum},
        price::Cost,
        wire::{Evidence, Operation, Partial, Tokens, Usage},
    },
    store::disk::codec::{
        CodecError,
        bytes::{Decoder, Encoder},
    },
};

/// Bits of the flags.
const SERVES: u8 = 1;
const STREAM: u8 = 2;
/// How long connecting took stands at the end.
const CONNECTED: u8 = 4;

/// 0 for none, else 1 and the call.
pub(super) fn encode(to: &mut Encoder, llm: Option<&Llm>) {
    to.u8(u8::from(llm.is_some()));
    let Some(llm) = llm else { return };
    to.text(&llm.provider);
    to.u8(evidence_tag(llm.evidence));
    to.u8(operation_tag(llm.asked));
    to.u8(usage_tag(llm.usage));
    let connected = u8::from(llm.connect_ns.is_some()) * CONNECTED;
    to.u8((u8::from(llm.serves) * SERVES) | (u8::from(llm.stream) * STREAM) | connected);
    to.u8(llm.partial.bits());
    let texts = [&llm.server, &llm.request_model, &llm.response_model, &llm.finish_reason];
    texts.iter().for_each(|text| to.option_text(text.as_deref()));
    let Tokens { input, output, cache_read, cache_write, reasoning } = llm.tokens;
    let times = [llm.first_byte_ns, llm.first_content_ns, llm.gap_mean_ns, llm.gap_p99_ns];
    let tokens = [input, output, cache_read, cache_write, reasoning];
    let rest = [llm.cost.map(|cost| cost.0), llm.retry_of];
    times.into_iter().chain(tokens).chain(rest).for_each(|number| to.option(number));
    to.varint(llm.chunks);
    to.varint(u64::from(llm.retries));
    to.varint(llm.tools.len() as u64);
    llm.tools.iter().for_each(|tool| to.text(tool));
    llm.connect_ns.into_iter().for_each(|connect_ns| to.varint(connect_ns));
}

pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Option<Llm>, CodecError> {
    if !from.flag()? {
        return Ok(None);
    }
    let provider = from.text()?.to_owned();
    let evidence = tagged("evidence", from.u8()?, Evidence::ALL, evidence_tag)?;
    let asked = tagged("operation of a model", from.u8()?, Operation::ALL, operation_tag)?;
    let usage = tagged("usage", from.u8()?, Usage::ALL, usage_tag)?;
    let flags = from.u8()?;
    let partial = Partial::from_bits(from.u8()?);
    let (server, request_model) = (owned(from)?, owned(from)?);
    let (response_model, finish_reason) = (owned(from)?, owned(from)?);
    let (first_byte_ns, first_content_ns) = (from.option()?, from.option()?);
    let (gap_mean_ns, gap_p99_ns) = (from.option()?, from.option()?);
    let tokens = Tokens {
        input: from.option()?,
        output: from.option()?,
        cache_read: from.option()?,
        cache_write: from.option()?,
        reasoning: from.option()?,
    };
    let (cost, retry_of) = (from.option()?.map(Cost), from.option()?);
    Ok(Some(Llm {
        provider,
        evidence,
        asked,
        serves: flags & SERVES != 0,
        server,
        request_model,
        response_model,
        stream: flags & STREAM != 0,
        first_byte_ns,
        first_content_ns,
        gap_mean_ns,
        gap_p99_ns,
        tokens,
        usage,
        cost,
        finish_reason,
        retry_of,
        partial,
        chunks: from.varint()?,
        retries: u32::try_from(from.varint()?).map_err(|_| CodecError::Range("retries"))?,
        tools: (0..from.count()?).map(|_| Ok(from.text()?.to_owned())).collect::<Result<_, CodecError>>()?,
        connect_ns: (flags & CONNECTED != 0).then(|| from.varint()).transpose()?,
    }))
}

/// How many numbers follow: none, all but the last, which is of estimates, or all.
const NO_NUMBERS: u8 = 0;
const TOLD_NUMBERS: u8 = 1;
const ALL_NUMBERS: u8 = 2;

pub(super) fn encode_sum(to: &mut Encoder, sum: &LlmSum) {
    let numbers = sum.numbers();
    let (which, written) = match sum {
        _ if *sum == LlmSum::default() => (NO_NUMBERS, 0),
        LlmSum { estimated: 0, .. } => (TOLD_NUMBERS, numbers.len() - 1),
        _ => (ALL_NUMBERS, numbers.len()),
    };
    to.u8(which);
    numbers.iter().take(written).for_each(|number| to.varint(*number));
}

pub(super) fn decode_sum(from: &mut Decoder<'_>) -> Result<LlmSum, CodecError> {
    let mut numbers = LlmSum::default().numbers();
    let written = match from.u8()? {
        NO_NUMBERS => 0,
        TOLD_NUMBERS => numbers.len() - 1,
        ALL_NUMBERS => numbers.len(),
        other => return Err(CodecError::Unknown("count of numbers of calls of models", other)),
    };
    for number in numbers.iter_mut().take(written) {
        *number = from.varint()?;
    }
    Ok(LlmSum::from(numbers))
}

fn tagged<T: Copy, const N: usize>(
    what: &'static str,
    number: u8,
    all: [T; N],
    tag: fn(T) -> u8,
) -> Result<T, CodecError> {
    all.into_iter().find(|one| tag(*one) == number).ok_or(CodecError::Unknown(what, number))
}

/// Written: never change meaning. The others likewise.
fn evidence_tag(evidence: Evidence) -> u8 {
    match evidence {
        Evidence::Host => 0,
        Evidence::Answer => 1,
        Evidence::Path => 2,
        Evidence::Shape => 3,
    }
}

fn operation_tag(operation: Operation) -> u8 {
    match operation {
        Operation::Chat => 0,
        Operation::TextCompletion => 1,
        Operation::GenerateContent => 2,
        Operation::Embeddings => 3,
    }
}

fn usage_tag(usage: Usage) -> u8 {
    match usage {
        Usage::Sent => 0,
        Usage::NotSent => 1,
        Usage::Unseen => 2,
        Usage::Estimated => 3,
    }
}
