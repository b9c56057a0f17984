//! What everybody has in common who makes operations of what agentperf saw by itself.

use std::time::Duration;

use crate::model::{
    hash,
    operation::{Operation, Sums},
    record::{Arrived, Record},
    time::Timestamp,
};

/// An operation's id: the same bytes have the same, and no others, as good as certainly.
pub(super) fn id(bytes: impl IntoIterator<Item = u8>) -> u64 {
    hash::spread(hash::fnv1a(hash::FNV_START, bytes))
}

/// How long something took; nothing where clocks went back.
pub(super) fn age(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// The same, ns.
pub(super) fn age_ns(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(age(from, to).as_nanos()).unwrap_or(u64::MAX)
}

/// What is to be kept, if there is anything.
pub(super) fn record(operations: Vec<Operation>, sums: Vec<Sums>) -> Option<Record> {
    let arrived = Arrived { operations, sums, place: None };
    (!arrived.operations.is_empty()).then(|| Record::Operations(Box::new(arrived)))
}
