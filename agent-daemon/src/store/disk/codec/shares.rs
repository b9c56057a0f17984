//! The shares of a block's sums as bytes. Functions are numbers of texts in the database.

use super::{
    CodecError,
    block::{cause_of, cause_tag},
    bytes::{Decoder, Encoder},
    names::{kind_of, kind_tag},
};
use crate::{
    model::{cuda::CudaCall, id::ProcessId, ledger::Cause, stack::FrameKind},
    store::summary::{Calls, Cuda, Shares, Waits},
};

/// Since 2 with ledgers and calls of CUDA.
const VERSION: u8 = 2;
/// Shares of neither.
const WITHOUT_LEDGERS: u8 = 1;

/// A function by the numbers of its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::store::disk) struct Place {
    pub(in crate::store::disk) kind: FrameKind,
    pub(in crate::store::disk) name: u64,
    pub(in crate::store::disk) path: Option<u64>,
}

/// The shares' bytes.
pub(in crate::store::disk) fn encode(shares: &Shares<Place>) -> Vec<u8> {
    let mut to = Encoder::new(VERSION);
    to.varint(shares.causes.len() as u64);
    for (cause, waits) in &shares.causes {
        to.varint(cause_tag(*cause));
        [waits.blocked_ns, waits.run_queue_ns, waits.count].into_iter().for_each(|n| to.varint(n));
    }
    to.varint(shares.calls.len() as u64);
    for (number, calls) in &shares.calls {
        to.varint(u64::from(*number));
        [calls.count, calls.errors, calls.total_ns].into_iter().for_each(|n| to.varint(n));
    }
    to.varint(shares.processes.len() as u64);
    for (process, ns) in &shares.processes {
        to.varint(process.0);
        to.varint(*ns);
    }
    for functions in [&shares.cpu, &shares.off_cpu] {
        to.varint(functions.len() as u64);
        for (place, ns) in functions {
            to.u8(kind_tag(place.kind));
            to.varint(place.name);
            to.option(place.path);
            to.varint(*ns);
        }
    }
    to.varint(shares.ledger.len() as u64);
    for (cause, ns) in &shares.ledger {
        to.u8(ledger_tag(*cause));
        to.varint(*ns);
    }
    to.varint(shares.cuda.len() as u64);
    for (call, cuda) in &shares.cuda {
        to.u8(call.number());
        [cuda.calls, cuda.errors, cuda.bytes, cuda.wait_ns].into_iter().for_each(|n| to.varint(n));
    }
    to.finish()
}

/// The shares of these bytes.
pub(in crate::store::disk) fn decode(bytes: &[u8]) -> Result<Shares<Place>, CodecError> {
    let (mut from, version) = Decoder::versioned(bytes, VERSION)?;
    let from = &mut from;
    let causes = rows(from, |from| {
        let cause = cause_of(from.varint()?)?;
        let (blocked_ns, run_queue_ns, count) = (from.varint()?, from.varint()?, from.varint()?);
        Ok((cause, Waits { blocked_ns, run_queue_ns, count }))
    })?;
    let calls = rows(from, |from| {
        let number = from.u32()?;
        let (count, errors, total_ns) = (from.varint()?, from.varint()?, from.varint()?);
        Ok((number, Calls { count, errors, total_ns }))
    })?;
    let processes = rows(from, |from| Ok((ProcessId(from.varint()?), from.varint()?)))?;
    let function = |from: &mut Decoder<'_>| {
        let (kind, name, path) = (kind_of(from.u8()?)?, from.varint()?, from.option()?);
        Ok((Place { kind, name, path }, from.varint()?))
    };
    let (cpu, off_cpu) = (rows(from, function)?, rows(from, function)?);
    let (mut ledger, mut cuda) = Default::default();
    if version > WITHOUT_LEDGERS {
        ledger = rows(from, |from| Ok((ledger_cause(from.u8()?)?, from.varint()?)))?;
        cuda = rows(from, |from| {
            let call = CudaCall::from_number(from.u8()?.into()).ok_or(CodecError::Range("a call"))?;
            let (calls, errors) = (from.varint()?, from.varint()?);
            let (bytes, wait_ns) = (from.varint()?, from.varint()?);
            Ok((call, Cuda { calls, errors, bytes, wait_ns }))
        })?;
    }
    from.end().map(|()| Shares { causes, calls, processes, cpu, off_cpu, ledger, cuda })
}

/// How a cause of the ledger is written; never changes.
fn ledger_tag(cause: Cause) -> u8 {
    match cause {
        Cause::AgentCpu => 0,
        Cause::Tool => 1,
        Cause::LlmConnect => 2,
        Cause::LlmFirstToken => 3,
        Cause::LlmStream => 4,
        Cause::RunQueue => 5,
        Cause::Disk => 6,
        Cause::Lock => 7,
        Cause::Network => 8,
        Cause::Gpu => 9,
        Cause::PageFault => 10,
        Cause::Idle => 11,
        Cause::Unknown => 12,
    }
}

fn ledger_cause(tag: u8) -> Result<Cause, CodecError> {
    let cause = Cause::ALL.into_iter().find(|cause| ledger_tag(*cause) == tag);
    cause.ok_or(CodecError::Range("a cause of the ledger"))
}

fn rows<T>(
    from: &mut Decoder<'_>,
    row: impl Fn(&mut Decoder<'_>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    (0..from.count()?).map(|_| row(from)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;
    use crate::model::off_cpu::WaitCause;

    proptest! {
        #[test]
        fn shares_come_back(n in any::<u64>(), kind in 0..4u8, path in any::<bool>()) {
            let place = Place { kind: kind_of(kind).unwrap(), name: n >> 1, path: path.then_some(n >> 3) };
            let shares = Shares {
                causes: WaitCause::ALL.map(|c| (c, Waits { blocked_ns: n, run_queue_ns: 1, count: n >> 9 })).into(),
                calls: vec![(7, Calls { count: n, errors: 0, total_ns: n >> 2 })],
                processes: vec![(ProcessId(n), 3)],
                cpu: vec![(place, n), (place, 1)],
                off_cpu: vec![(place, 9)],
                ledger: Cause::ALL.map(|cause| (cause, n)).into(),
                cuda: CudaCall::ALL.map(|call| (call, Cuda { calls: n, errors: 1, bytes: n >> 7, wait_ns: 2 })).into(),
            };
            prop_assert_eq!(decode(&encode(&shares)), Ok(shares));
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&[&[VERSION], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn shares_without_ledgers_are_still_read() {
        let mut bytes = encode(&Shares { processes: vec![(ProcessId(7), 3)], ..Shares::default() });
        bytes[0] = WITHOUT_LEDGERS;
        bytes.truncate(bytes.len() - 2);
        assert_eq!(decode(&bytes).unwrap().processes, [(ProcessId(7), 3)]);
    }
}
