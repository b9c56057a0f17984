//! Operations as bytes: those that are kept one by one, then those that were added up. Texts stand as they are: the
//! compressor finds what is alike.

mod llm;
mod sums;
mod tool;

use std::{collections::BTreeSet, sync::Arc};

use super::{
    CodecError,
    bytes::{Decoder, Encoder},
};
use crate::model::{
    id::{AgentId, ProcessId},
    operation::{Call, Operation, Source, Sums, TraceContext},
};

/// The first has no tool calls, the second no calls of models, the third nothing of what tools did to files, the
/// fourth nothing of what they sent and received.
const VERSION: u8 = 5;

/// What is in a block of operations.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::store::disk) struct Operations {
    /// One by one.
    pub(in crate::store::disk) single: Vec<Operation>,
    /// Added up.
    pub(in crate::store::disk) sums: Vec<Sums>,
}

/// The bytes of some operations.
pub(in crate::store::disk) fn encode(single: &[Operation], sums: &[Sums]) -> Vec<u8> {
    let mut to = Encoder::new(VERSION);
    to.varint(single.len() as u64);
    single.iter().for_each(|operation| encode_one(&mut to, operation));
    to.varint(sums.len() as u64);
    sums.iter().for_each(|sums| sums::encode(&mut to, sums));
    to.finish()
}

/// The operations of these bytes.
pub(in crate::store::disk) fn decode(bytes: &[u8]) -> Result<Operations, CodecError> {
    let (mut from, version) = Decoder::versioned(bytes, VERSION)?;
    let mut names = Names::default();
    let mut found = Operations::default();
    for _ in 0..from.count()? {
        found.single.push(decode_one(&mut from, version, &mut names)?);
    }
    for _ in 0..from.count()? {
        found.sums.push(sums::decode(&mut from, version, &mut names)?);
    }
    from.end().map(|()| found)
}

fn encode_one(to: &mut Encoder, operation: &Operation) {
    to.varint(operation.id);
    to.text(&operation.project);
    to.u8(source_tag(operation.source));
    to.text(&operation.kind);
    to.text(&operation.name);
    to.time(operation.start);
    to.varint(operation.duration_ns);
    to.option(operation.bytes);
    to.u8(u8::from(operation.success));
    to.option_text(operation.error_type.as_deref());
    to.option_text(operation.method.as_deref());
    to.option(operation.status.map(u64::from));
    to.option_text(operation.model.as_deref());
    to.option_text(operation.user.as_deref());
    to.option_text(operation.session.as_deref());
    encode_trace(to, operation.trace);
    to.varint(operation.labels.len() as u64);
    for (key, value) in &operation.labels {
        to.text(key);
        to.text(value);
    }
    to.varint(operation.calls.len() as u64);
    for call in &operation.calls {
        to.u8(call.depth);
        to.text(&call.name);
        to.varint(call.duration_ns);
    }
    to.option_text(operation.agent.as_ref().map(AgentId::as_str));
    to.option(operation.process.map(|process| process.0));
    tool::encode(to, operation.tool.as_deref());
    llm::encode(to, operation.llm.as_deref());
}

fn decode_one(from: &mut Decoder<'_>, version: u8, names: &mut Names) -> Result<Operation, CodecError> {
    Ok(Operation {
        id: from.varint()?,
        project: names.name(from.text()?),
        source: source_of(from.u8()?)?,
        kind: from.text()?.to_owned(),
        name: from.text()?.to_owned(),
        start: from.time()?,
        duration_ns: from.varint()?,
        bytes: from.option()?,
        success: from.flag()?,
        error_type: owned(from)?,
        method: owned(from)?,
        status: from.option()?.map(u16::try_from).transpose().map_err(|_| CodecError::Range("a status"))?,
        model: owned(from)?,
        user: owned(from)?,
        session: owned(from)?,
        trace: decode_trace(from)?,
        labels: (0..from.count()?).map(|_| label(from)).collect::<Result<_, _>>()?,
        calls: (0..from.count()?).map(|_| call(from)).collect::<Result<_, _>>()?,
        agent: decode_agent(from)?,
        process: from.option()?.map(ProcessId),
        tool: if version > 1 { tool::decode(from, version)?.map(Box::new) } else { None },
        llm: if version > 2 { llm::decode(from)?.map(Box::new) } else { None },
    })
}

fn label(from: &mut Decoder<'_>) -> Result<(String, String), CodecError> {
    Ok((from.text()?.to_owned(), from.text()?.to_owned()))
}

fn call(from: &mut Decoder<'_>) -> Result<Call, CodecError> {
    Ok(Call { depth: from.u8()?, name: from.text()?.to_owned(), duration_ns: from.varint()? })
}

/// 0 for none, 1 for one without a parent, 2 for one with a parent.
fn encode_trace(to: &mut Encoder, trace: Option<TraceContext>) {
    let Some(TraceContext { trace, span, parent }) = trace else { return to.u8(0) };
    to.u8(1 + u8::from(parent.is_some()));
    to.rest(&trace);
    to.rest(&span);
    parent.iter().for_each(|parent| to.rest(parent));
}

fn decode_trace(from: &mut Decoder<'_>) -> Result<Option<TraceContext>, CodecError> {
    let parents = match from.u8()? {
        0 => return Ok(None),
        1 => false,
        2 => true,
        other => return Err(CodecError::Unknown("place in a trace", other)),
    };
    let (trace, span) = (from.array()?, from.array()?);
    let parent = if parents { Some(from.array()?) } else { None };
    Ok(Some(TraceContext { trace, span, parent }))
}

fn decode_agent(from: &mut Decoder<'_>) -> Result<Option<AgentId>, CodecError> {
    let agent = from.option_text()?.map(str::parse).transpose();
    agent.map_err(|_| CodecError::Range("an agent's id"))
}

fn owned(from: &mut Decoder<'_>) -> Result<Option<String>, CodecError> {
    Ok(from.option_text()?.map(str::to_owned))
}

/// Written: never change meaning.
fn source_tag(source: Source) -> u8 {
    match source {
        Source::Otlp => 0,
        Source::OtlpMetrics => 1,
        Source::Collect => 2,
        Source::Frontend => 3,
        Source::Kernel => 4,
        Source::Wire => 5,
    }
}

fn source_of(tag: u8) -> Result<Source, CodecError> {
    let found = Source::ALL.into_iter().find(|source| source_tag(*source) == tag);
    found.ok_or(CodecError::Unknown("source", tag))
}

/// The few names that all operations share, each once in memory.
#[derive(Default)]
struct Names(BTreeSet<Arc<str>>);

impl Names {
    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;
    use crate::store::fixture::{at, llm_call_at, operation_at, sums_at, tool_call_at};

    #[test]
    fn operations_come_back() {
        let mut plain = operation_at(at(7), 5);
        (plain.trace, plain.agent, plain.process, plain.tool) = (None, None, None, None);
        (plain.user, plain.session, plain.labels, plain.calls) = (None, None, Vec::new(), Vec::new());
        let mut single = vec![operation_at(at(0), 1), plain, tool_call_at(at(1), 3), tool_call_at(at(2), 10)];
        single.extend((1..=6).map(|n| llm_call_at(at(3), n)));
        let mut sums = vec![sums_at(at(60), 9), sums_at(at(120), 0)];
        sums.iter_mut().for_each(|sums| sums.add(&tool_call_at(at(61), 4)));
        sums.iter_mut().for_each(|sums| sums.add(&llm_call_at(at(61), 4)));
        let bytes = encode(&single, &sums);
        assert_eq!(decode(&bytes), Ok(Operations { single, sums }));
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn tool_calls_from_before_their_traffic_was_told_are_understood() {
        let mut call = tool_call_at(at(1), 3);
        call.tool.as_mut().unwrap().network = None;
        let mut bytes = encode(std::slice::from_ref(&call), &[]);
        // The last bytes say that there is no traffic, no call of a model, and that there are no sums.
        let kept = bytes.len() - 3;
        assert_eq!(bytes.split_off(kept), [0, 0, 0]);
        bytes.extend([0, 0]);
        bytes[0] = 4;
        assert_eq!(decode(&bytes), Ok(Operations { single: vec![call], sums: Vec::new() }));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<usize>(), with in any::<u8>()) {
            for version in 1..=VERSION {
                let _ = decode(&[&[version], bytes.as_slice()].concat());
            }
            let mut damaged = encode(&[operation_at(at_zero(), 1), tool_call_at(at_zero(), 3)], &[sums_at(at_zero(), 3)]);
            let length = damaged.len();
            damaged[at % length] = with;
            let _ = decode(&damaged);
        }
    }

    fn at_zero() -> crate::model::time::Timestamp {
        at(0)
    }
}
