//! What all connections have in common: the numbers of exchanges, links between calls, records, and what was dropped.

use super::{mcp::Calls, retries::Retries, said::Room};
use crate::model::{
    content::{Held, Keep, Unmasked},
    wire::{McpCall, WireRecord},
};

/// Records that wait to be taken; more are dropped and counted.
const MOST_RECORDS: usize = 65_536;

/// What was dropped, counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Records that nobody took in time.
    pub records: u64,
    /// Connections that were let go because there were too many.
    pub connections: u64,
    /// Exchanges that were let go because their connection had too many at once.
    pub exchanges: u64,
    /// Times that a direction of a connection could not be followed on.
    pub lost_directions: u64,
    /// Heads of messages that were too long.
    pub long_heads: u64,
    /// Messages of JSON-RPC that found no room.
    pub rpc_messages: u64,
    /// Requests of JSON-RPC that were forgotten before their answer came.
    pub rpc_calls: u64,
    /// Calls whose content found no room.
    pub contents: u64,
}

/// What is derived.
#[derive(Default)]
pub(super) struct Derived {
    exchanges: u64,
    /// Exchanges that are over.
    pub(super) ended: u64,
    pub(super) calls: Calls,
    pub(super) retries: Retries,
    pub(super) losses: Losses,
    records: Vec<WireRecord>,
    room: Room,
}

impl Derived {
    /// The number of one more exchange.
    pub(super) fn exchange(&mut self) -> u64 {
        self.exchanges += 1;
        self.exchanges
    }

    /// How often an exchange has begun or ended.
    pub(super) fn turns(&self) -> u64 {
        self.exchanges.saturating_add(self.ended)
    }

    /// Room for what is said in a call, if that is kept.
    pub(super) fn hold(&mut self, keep: Keep) -> Option<Held> {
        let held = keep.is_any().then(|| self.room.admit(keep))?;
        self.losses.contents += u64::from(held.is_none());
        held
    }

    /// What a tool is to be called with, if that is kept. It waits with the call, and needs room once that is told.
    pub(super) fn admit(&mut self, mut said: Box<Unmasked>, keep: Keep) -> Option<Box<Unmasked>> {
        said.keep = keep;
        keep.is_any().then_some(said)
    }

    /// Room for what a tool was called with, if there is some.
    fn settle(&mut self, call: &mut McpCall) {
        let kept = call.said.as_ref().map(|said| said.keep);
        let Some(keep) = kept.or(call.content.as_ref().map(|content| content.keep)) else { return };
        let Some(held) = self.hold(keep) else {
            (call.said, call.content) = (None, None);
            return;
        };
        call.said.iter_mut().for_each(|said| said.held = held.clone());
        call.content.iter_mut().for_each(|content| content.held = held.clone());
    }

    /// Time has passed: what was waited for too long is told.
    pub(super) fn pass(&mut self, now_ns: u64) {
        let late = self.calls.pass(now_ns);
        late.into_iter().for_each(|record| self.record(record));
    }

    pub(super) fn record(&mut self, mut record: WireRecord) {
        if let WireRecord::Mcp(call) = &mut record {
            self.settle(call);
        }
        match self.records.len() < MOST_RECORDS {
            true => self.records.push(record),
            false => self.losses.records += 1,
        }
    }

    pub(super) fn records(&mut self) -> Vec<WireRecord> {
        std::mem::take(&mut self.records)
    }
}
