//! When each agent waited for its models, by what was read: calls as stretches between marks that the kernel programs
//! made as the bytes went by (see [`MarkedLedger`](crate::model::ledger::MarkedLedger)), for the ledger of a window.
//!
//! What a process says is read if each request that it sends to a model's host was seen as plaintext. Where one was not,
//! the ledger's guess stands beside what was read.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::{
    kernel::wire::{Said, Way},
    model::{
        id::{ProcessId, Slot},
        ledger::{Flight, Flights, Instant, Mark},
        wire::{LlmCall, Role},
    },
    wire::UnderWay,
};

/// Marks of an agent that are remembered: those of four windows at the least, of each of which the kernel programs make
/// `agent_common::ledger::MARKS_PER_WINDOW`. What began before these began before the window.
const MARKS: usize = 8192;
/// Calls of an agent in one window; of more, those beyond are not in its ledger.
const CALLS: usize = 4096;
/// Processes of an agent that are known to send.
const SENDERS: usize = 4096;
/// How far apart plaintext and what goes on the socket may be, ns: event loops send later, and where it is not known that
/// a host is asked by TLS, the handshake and the end of the connection look like requests.
const APART: u64 = 2_000_000_000;

/// All agents.
#[derive(Default)]
pub(super) struct FlightBook(FxHashMap<Slot, Agent>);

/// One agent.
#[derive(Default)]
struct Agent {
    /// When each mark was made, in order.
    marks: VecDeque<Instant>,
    /// Calls that ended since the last window, and in it.
    ended: [Vec<Flight>; 2],
    senders: FxHashMap<ProcessId, Sender>,
    /// Whether a request was sent in this window that was not seen.
    unseen: bool,
    /// Whether any call was ever read.
    reads: bool,
}

/// A process that sends.
#[derive(Clone, Copy, Default)]
struct Sender {
    /// When plaintext of it was last seen (ns, monotonic).
    at_ns: u64,
    /// Whether what it sent last was sent by a thread of the agent's own.
    is_own: bool,
    /// When it sent the first request to a model's host of which no plaintext was seen yet.
    awaited_ns: Option<u64>,
}

impl Sender {
    /// Plaintext of it was seen; whether a request went before that was not.
    fn seen(&mut self, at_ns: u64) -> bool {
        self.at_ns = at_ns;
        // The plaintext of a request is told when the library's function returns, which is after the socket's.
        self.awaited_ns.take().is_some_and(|awaited_ns| awaited_ns.abs_diff(at_ns) > APART)
    }

    /// It sent a request; whether one went before that was not seen.
    fn requested(&mut self, at_ns: u64) -> bool {
        let is_seen = self.at_ns.saturating_add(APART) >= at_ns;
        // Several at once are seen together.
        let awaited = self.awaited_ns.filter(|awaited_ns| awaited_ns.abs_diff(at_ns) <= APART);
        let unseen = self.awaited_ns.is_some() && awaited.is_none();
        self.awaited_ns = awaited.or((!is_seen).then_some(at_ns));
        unseen
    }

    /// Whether its last request was not seen.
    fn is_blind(&self, now_ns: u64) -> bool {
        self.awaited_ns.is_some_and(|awaited_ns| now_ns > awaited_ns.saturating_add(APART))
    }
}

impl FlightBook {
    /// Plaintext went by, which `tells` or does not that what its process says to models is seen.
    pub(super) fn said(&mut self, said: &Said<'_>, tells: bool) {
        let agent = self.0.entry(said.slot).or_default();
        if let Some(mark) = said.mark {
            agent.mark(mark, said.at_ns);
        }
        if let Some(sender) = agent.sender(said.key.process).filter(|_| tells && said.way != Way::Closed) {
            if said.way == Way::Sent {
                sender.is_own = said.mark.is_some();
            }
            let unseen = sender.seen(said.at_ns);
            agent.unseen |= unseen;
        }
    }

    /// A request went to a model's host, as sockets tell.
    pub(super) fn requested(&mut self, slot: Slot, process: ProcessId, at_ns: u64) {
        let agent = self.0.entry(slot).or_default();
        let Some(sender) = agent.sender(process) else { return agent.unseen = true };
        let unseen = sender.requested(at_ns);
        agent.unseen |= unseen;
    }

    /// A call is over.
    pub(super) fn ended(&mut self, (slot, process): (Slot, ProcessId), call: &LlmCall) {
        let Some(agent) = self.0.get_mut(&slot).filter(|_| call.role == Role::Client) else { return };
        let since = |ns: u64| call.started_ns.saturating_add(ns);
        let content = call.first_content_ns.filter(|_| call.stream).or(call.first_byte_ns);
        let (first, over) = (content.map(since), since(call.duration_ns));
        if let Some(flight) = agent.flight(process, (call.started_ns, first, Some(over)))
            && agent.ended[1].len() < CALLS
        {
            agent.ended[1].push(flight);
        }
    }

    /// The calls of each agent for the ledger of the window that closes at `now_ns`, with those that go on.
    pub(super) fn take(
        &mut self,
        now_ns: u64,
        under_way: &[UnderWay],
        owner: impl Fn(u64) -> Option<(Slot, ProcessId)>,
    ) -> FxHashMap<Slot, Flights> {
        let mut open: FxHashMap<Slot, Vec<Flight>> = FxHashMap::default();
        for call in under_way {
            let Some((slot, process)) = owner(call.connection) else { continue };
            let Some(agent) = self.0.get_mut(&slot) else { continue };
            let flight = agent.flight(process, (call.asked_ns, call.first_ns, None));
            open.entry(slot).or_default().extend(flight);
        }
        let agents = self.0.iter_mut();
        agents
            .map(|(slot, agent)| (*slot, agent.take(now_ns, open.remove(slot).unwrap_or_default())))
            .collect()
    }

    /// An agent comes to `slot`. What was said by the one before, and is told late, is none of its.
    pub(super) fn begin(&mut self, slot: Slot) {
        self.0.insert(slot, Agent::default());
    }

    /// A process is gone.
    pub(super) fn exited(&mut self, process: ProcessId) {
        for agent in self.0.values_mut() {
            agent.senders.remove(&process);
        }
    }

    /// An agent is let go.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }
}

impl Agent {
    fn mark(&mut self, mark: Mark, at_ns: u64) {
        let last = self.marks.back().copied();
        if last.is_some_and(|(last, _)| mark <= last) {
            return;
        }
        if self.marks.len() >= MARKS {
            self.marks.pop_front();
        }
        // Threads side by side are told in any order.
        self.marks.push_back((mark, last.map_or(at_ns, |(_, last)| at_ns.max(last))));
    }

    /// The sender, if there is room for it.
    fn sender(&mut self, process: ProcessId) -> Option<&mut Sender> {
        let room = self.senders.len() < SENDERS || self.senders.contains_key(&process);
        room.then(|| self.senders.entry(process).or_default())
    }

    /// A call of the agent's own: asked, answered, over.
    fn flight(
        &mut self,
        process: ProcessId,
        (asked, first, over): (u64, Option<u64>, Option<u64>),
    ) -> Option<Flight> {
        if !self.senders.get(&process).is_some_and(|sender| sender.is_own) {
            return None;
        }
        self.reads = true;
        let at = |ns: u64| (self.mark_at(ns), ns);
        Some(Flight { asked: at(asked), first: first.map(at), over: over.map(at) })
    }

    /// The last mark that was made by then; one before all others where none is known.
    fn mark_at(&self, at_ns: u64) -> Mark {
        let after = self.marks.partition_point(|(_, at)| *at <= at_ns);
        let last = after.checked_sub(1).and_then(|last| self.marks.get(last));
        last.map_or(Mark(0), |(mark, _)| *mark)
    }

    fn take(&mut self, now_ns: u64, open: Vec<Flight>) -> Flights {
        let blind = self.senders.values().any(|sender| sender.is_blind(now_ns));
        let unseen = std::mem::take(&mut self.unseen);
        let complete = self.reads && !blind && !unseen;
        let [before, ended] = &mut self.ended;
        let calls = before.drain(..).chain(ended.iter().copied()).chain(open).collect();
        // A stretch that ends while a window is closed is the next one's.
        *before = std::mem::take(ended);
        Flights { calls, complete }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::wire::WireKey;

    const SLOT: Slot = Slot(1);
    const OWN: ProcessId = ProcessId(7);
    const NOW: u64 = 100 * APART;

    fn said(book: &mut FlightBook, process: ProcessId, way: Way, at_ns: u64, mark: Option<u32>) {
        let key = WireKey { process, address: 1, opened_ns: 1 };
        let mark = mark.map(Mark);
        book.said(
            &Said { key, slot: SLOT, at_ns, way, position: 0, source: 0, mark, is_open: false, bytes: b"x" },
            true,
        );
    }

    fn take(book: &mut FlightBook, process: ProcessId, first_ns: Option<u64>) -> Flights {
        let call = UnderWay { connection: 3, asked_ns: 100, first_ns };
        book.take(NOW, &[call], |_| Some((SLOT, process))).remove(&SLOT).unwrap()
    }

    #[test]
    fn a_call_is_found_between_its_marks() {
        let mut book = FlightBook::default();
        said(&mut book, OWN, Way::Received, 50, Some(1));
        said(&mut book, OWN, Way::Sent, 100, Some(2));
        let flights = take(&mut book, OWN, None);
        assert_eq!(flights.calls, [Flight { asked: (Mark(2), 100), first: None, over: None }]);
        assert!(flights.complete);
        said(&mut book, OWN, Way::Received, 400, Some(3));
        said(&mut book, OWN, Way::Received, 401, Some(3));
        assert_eq!(take(&mut book, OWN, Some(401)).calls[0].first, Some((Mark(3), 401)));
    }

    #[test]
    fn tools_that_ask_models_are_tools() {
        let mut book = FlightBook::default();
        said(&mut book, OWN, Way::Sent, 100, None);
        let flights = take(&mut book, OWN, None);
        assert!(flights.calls.is_empty() && !flights.complete);
    }

    #[test]
    fn a_request_that_was_not_seen_leaves_the_guess() {
        let (mut book, other) = (FlightBook::default(), ProcessId(8));
        said(&mut book, OWN, Way::Sent, 100, Some(1));
        book.requested(SLOT, OWN, 100 + APART);
        assert!(take(&mut book, OWN, None).complete, "it was seen");
        book.requested(SLOT, other, NOW - 5);
        assert!(take(&mut book, OWN, None).complete, "its plaintext may be on its way");
        book.requested(SLOT, other, NOW - 2 * APART);
        assert!(!take(&mut book, OWN, None).complete);
        assert!(!take(&mut book, OWN, None).complete, "it may wait for its answer yet");
        said(&mut book, other, Way::Sent, NOW, None);
        assert!(!take(&mut book, OWN, None).complete, "in this window, one was not seen");
        assert!(take(&mut book, OWN, None).complete);
    }

    #[test]
    fn what_is_told_late_of_an_agent_is_not_the_next_ones() {
        let mut book = FlightBook::default();
        said(&mut book, OWN, Way::Sent, 100, Some(9));
        book.forget(SLOT);
        said(&mut book, OWN, Way::Received, 200, Some(10));
        book.requested(SLOT, OWN, 300);
        book.begin(SLOT);
        said(&mut book, OWN, Way::Sent, NOW - 5, Some(2));
        let call = UnderWay { connection: 3, asked_ns: NOW - 5, first_ns: None };
        let flights = book.take(NOW, &[call], |_| Some((SLOT, OWN))).remove(&SLOT).unwrap();
        assert_eq!(flights.calls, [Flight { asked: (Mark(2), NOW - 5), first: None, over: None }]);
        assert!(flights.complete, "nothing is awaited of the one before");
    }

    #[test]
    fn plaintext_that_is_told_after_its_request_is_its() {
        let mut book = FlightBook::default();
        said(&mut book, OWN, Way::Sent, 100, Some(1));
        // The library's function has not returned yet.
        book.requested(SLOT, OWN, 5 * APART);
        book.requested(SLOT, OWN, 5 * APART + 9);
        said(&mut book, OWN, Way::Sent, 5 * APART - 7, Some(2));
        assert!(take(&mut book, OWN, None).complete);
    }
}
