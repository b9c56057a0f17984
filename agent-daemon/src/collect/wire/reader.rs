//! Takes plaintext out of the ring, has it decoded, and hands on what comes of it.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::mpsc;

use super::{
    ModelRequest,
    connections::{Connections, Owner},
    flights::FlightBook,
    halves::Halves,
    handshakes::Handshakes,
    mask::mask,
};
use crate::{
    collect::clock::Clock,
    config::Content as Rules,
    kernel::{
        WireRing,
        wire::{Said, Way, WireKey, source},
    },
    model::{
        content::Keep,
        id::{ProcessId, Slot},
        ledger::Flights,
        observation::Observation,
        time::Timestamp,
        wire::{Role, Seen, WireObserved, WireRecord},
    },
    telemetry::{Loss, Telemetry},
    wire::{Chunk, Direction, Losses, Opened, Piece, Transport, Wire},
};

/// Records of the ring that are taken before what came of them is handed on.
const BATCH: usize = 256;

/// The reader's state.
pub(super) struct Reader {
    ring: WireRing,
    wire: Wire,
    connections: Connections,
    halves: Halves,
    flights: FlightBook,
    handshakes: Handshakes,
    clock: Clock,
    observations: mpsc::Sender<Observation>,
    telemetry: Arc<Telemetry>,
    /// What is kept of the agent in a slot, by rules of which the reader knows what they mask.
    keeps: FxHashMap<Slot, Keep>,
    rules: Rules,
    /// Slots whose agents were let go: what the kernel side still tells of them would be told a second time.
    left: FxHashSet<Slot>,
    /// The decoders' losses that are counted already.
    counted: Losses,
}

impl Reader {
    pub(super) fn new(
        ring: WireRing,
        observations: mpsc::Sender<Observation>,
        telemetry: Arc<Telemetry>,
        rules: Rules,
    ) -> Self {
        Self {
            ring,
            wire: Wire::default(),
            connections: Connections::new(),
            halves: Halves::default(),
            flights: FlightBook::default(),
            handshakes: Handshakes::default(),
            clock: Clock::new(),
            observations,
            telemetry,
            keeps: FxHashMap::default(),
            rules,
            left: FxHashSet::default(),
            counted: Losses::default(),
        }
    }

    /// Reads the ring until it is empty; tells whether anybody listens.
    pub(super) fn read(&mut self) -> bool {
        loop {
            let Self { ring, wire, connections, halves, flights, telemetry, keeps, left, .. } = self;
            let mut idle = Vec::new();
            let mut each = |said: &Said<'_>| {
                if left.contains(&said.slot) {
                    return;
                }
                let keep = keeps.get(&said.slot).copied().unwrap_or_default();
                let taken = take(said, keep, (wire, connections));
                let tells = tells(said, &taken);
                flights.said(said, tells);
                telemetry
                    .coverage
                    .note((said.key.process, said.slot), |seen| note(seen, said, &taken, tells));
                idle.extend(taken.is_idle.then_some(said.key));
            };
            let (taken, damaged) = ring.read(BATCH, |said| halves.pass(said, &telemetry.losses, &mut each));
            self.telemetry.losses.add(Loss::UndecodableRecord, damaged as u64);
            idle.into_iter().for_each(|key| self.dismiss(key));
            if !self.hand_on() {
                return false;
            }
            if taken < BATCH {
                self.count_losses();
                return true;
            }
        }
    }

    /// Nothing more of this connection: up to the ends of the bodies on it, where they are known, else until there may be a
    /// request.
    fn dismiss(&mut self, key: WireKey) {
        // It may have begun a request since.
        let Some(number) = self.connections.number(&key).filter(|number| !self.wire.is_wanted(*number))
        else {
            return;
        };
        let standing = self.wire.standing(number);
        let dismissed = if standing.bodies_end == [0; 2] {
            self.connections.remove(&key);
            self.wire.dismiss(number);
            if standing.is_entered_once {
                self.telemetry.losses.count(Loss::WireUnfollowed);
            }
            self.ring.dismiss(key, standing.is_served)
        } else {
            self.connections.pass_over(&key);
            self.wire.pass_over(number);
            self.ring.skip(key, standing.bodies_end)
        };
        if let Err(error) = dismissed {
            tracing::debug!(%error, "a connection could not be dismissed");
        }
    }

    /// Hands on what was derived.
    fn hand_on(&mut self) -> bool {
        self.wire.mask_waiting(|said| mask(said, &self.rules));
        for mut record in self.wire.records() {
            let (connection, started_ns) = match &record {
                WireRecord::Llm(call) => (call.origin.connection, call.started_ns),
                WireRecord::Mcp(call) => (call.origin.connection, call.started_ns),
                WireRecord::Http(exchange) => (exchange.origin.connection, exchange.started_ns),
            };
            let Some(Owner { slot, process, is_plain, .. }) = self.connections.owner(connection) else {
                self.telemetry.losses.count(Loss::WireCallDropped);
                continue;
            };
            // Who asks a model tells of it: where both sides are watched, that is one call all the same. Of what answers
            // it, the exchange over HTTP is told.
            if matches!(&record, WireRecord::Llm(call) if call.role == Role::Server) {
                continue;
            }
            if let WireRecord::Llm(call) = &mut record {
                if call.is_first && call.role == Role::Client {
                    call.connect_ns = self.handshakes.take(process, started_ns);
                }
                self.flights.ended((slot, process), call);
            }
            self.telemetry.coverage.note((process, slot), |seen| match &record {
                WireRecord::Llm(_) => seen.llm_calls += 1,
                WireRecord::Mcp(_) => seen.mcp_calls += 1,
                WireRecord::Http(_) => {}
            });
            let (said, masked) = match &mut record {
                WireRecord::Llm(call) => (call.said.take(), None),
                WireRecord::Mcp(call) => (call.said.take(), call.content.take()),
                WireRecord::Http(_) => (None, None),
            };
            let content = masked.or_else(|| mask(*said?, &self.rules).map(Box::new));
            let started = self.clock.event(started_ns);
            let mut observed = WireObserved { slot, process, started, record, content };
            if let WireRecord::Http(exchange) = &mut observed.record {
                exchange.assume_port(is_plain);
            }
            let observed = Observation::Wire(Box::new(observed));
            if self.observations.blocking_send(observed).is_err() {
                return false;
            }
        }
        true
    }

    /// A process is gone: what it said last may still be in the ring.
    pub(super) fn exited(&mut self, process: ProcessId, at_ns: u64) {
        self.read();
        for number in self.connections.remove_all(process) {
            let has_end = self.connections.owner(number).is_some_and(|owner| owner.has_end);
            // One that may have ended long ago has ended when it was last heard of.
            self.wire.close(number, if has_end { at_ns } else { 0 });
        }
        self.wire.owner_ended(process.0, at_ns);
        self.hand_on();
        self.halves.exited(process);
        self.flights.exited(process);
        self.handshakes.exited(process);
        let tls = self.telemetry.attachments.tls_of_ended(process);
        if self.telemetry.coverage.exited(process, Timestamp::now(), tls) {
            self.telemetry.losses.count(Loss::WireUnread);
        }
    }

    /// A process asked a model, as its sockets tell. Its plaintext is in the ring by now, if it is seen at all.
    pub(super) fn model_request(&mut self, request: &ModelRequest) {
        let ModelRequest { slot, process, at_ns, is_own, connect_ns } = *request;
        let now = Timestamp::now();
        self.telemetry.coverage.note((process, slot), |seen| {
            seen.model_requests += 1;
            seen.last_model_request = Some(now);
            seen.unseen_since.get_or_insert(now);
        });
        if let Some(connect_ns) = connect_ns {
            self.handshakes.over(process, at_ns, connect_ns);
        }
        self.read();
        // Tools wait for themselves: the ledger knows nothing of what they ask.
        if is_own {
            self.flights.requested(slot, process, at_ns);
        }
    }

    /// The calls of each agent in the window that closes at `now_ns`, and those that go on.
    pub(super) fn take_flights(&mut self, now_ns: u64) -> FxHashMap<Slot, Flights> {
        self.read();
        let (under_way, connections) = (self.wire.under_way(), &self.connections);
        let owner = |connection| connections.owner(connection).map(|owner| (owner.slot, owner.process));
        self.flights.take(now_ns, &under_way, owner)
    }

    /// An agent comes to `slot`: what is in the ring by now is of the one before.
    pub(super) fn begin(&mut self, slot: Slot, keep: Keep) {
        self.read();
        self.left.remove(&slot);
        self.keeps.insert(slot, keep);
        self.flights.begin(slot);
    }

    /// An agent is about to be let go: what goes on on its connections is told as far as it came.
    pub(super) fn let_go(&mut self, slot: Slot) {
        self.read();
        self.left.insert(slot);
        self.keeps.remove(&slot);
        for number in self.connections.remove_slot(slot) {
            self.wire.let_go(number);
        }
        // Of whom nobody knows whose it is, nothing can be told either.
        let connections = &self.connections;
        let is_of = |number| connections.owner(number).is_none_or(|owner| owner.slot == slot);
        self.wire.let_go_waiting(is_of);
        self.hand_on();
    }

    /// An agent is let go.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.let_go(slot);
        self.halves.forget(slot);
        self.flights.forget(slot);
        self.telemetry.coverage.forget(slot);
    }

    fn count_losses(&mut self) {
        let (before, now) = (self.counted, self.wire.losses());
        let losses = &self.telemetry.losses;
        let unfollowed = |l: &Losses| l.connections + l.exchanges + l.lost_directions + l.long_heads;
        losses.add(Loss::WireUnfollowed, unfollowed(&now) - unfollowed(&before));
        losses.add(Loss::WireCallDropped, now.records - before.records);
        let messages = |l: &Losses| l.rpc_messages + l.rpc_calls;
        losses.add(Loss::WireMessageDropped, messages(&now) - messages(&before));
        losses.add(Loss::ContentDropped, now.contents - before.contents);
        self.counted = now;
    }
}

/// What became of what was said.
#[derive(Default)]
struct Taken {
    /// It is the first on its connection.
    is_new: bool,
    /// Something of interest is under way on it that the process asked for.
    is_wanted: bool,
    /// There was nothing of interest for so long that it is to be dismissed.
    is_idle: bool,
}

/// Has what was said decoded.
fn take(said: &Said<'_>, keep: Keep, (wire, connections): (&mut Wire, &mut Connections)) -> Taken {
    let direction = match said.way {
        Way::Sent => Direction::Sent,
        Way::Received => Direction::Received,
        Way::Tied | Way::Sealed => return Taken::default(),
        Way::Closed => {
            if let Some(number) = connections.remove(&said.key) {
                wire.close(number, said.at_ns);
            }
            return Taken::default();
        }
    };
    let met = connections.meet(said.key, said.slot, said.source);
    if met.is_new {
        let (connection, owner) = (met.number, said.key.process.0);
        let transport = if said.source == source::STDIO { Transport::Stdio } else { Transport::Stream };
        wire.open(Opened { connection, owner, transport, keep });
    }
    let (connection, at_ns, offset) = (met.number, said.at_ns, Some(said.position));
    let turns = wire.turns();
    wire.take(&Chunk { connection, direction, offset, at_ns, piece: Piece::Bytes(said.bytes) });
    let (is_wanted, standing) = (wire.is_wanted(connection), wire.standing(connection));
    let is_live = is_wanted || wire.turns() != turns;
    let waits = standing.is_busy && standing.bodies_end == [0; 2];
    let is_idle = connections.carried(&said.key, said.bytes.len() as u64, is_live, waits);
    // Who is asked in the clear may ask models by a TLS that is not seen.
    Taken { is_new: met.is_new, is_wanted: is_wanted && !standing.is_served, is_idle }
}

/// Whether it tells that what its process says to models is seen. Who says other things without TLS may still ask models
/// by a TLS that is not.
fn tells(said: &Said<'_>, taken: &Taken) -> bool {
    match said.source {
        source::STDIO => false,
        source::SOCKET => taken.is_wanted,
        _ => true,
    }
}

fn note(seen: &mut Seen, said: &Said<'_>, taken: &Taken, tells: bool) {
    let bytes = said.bytes.len() as u64;
    match said.way {
        Way::Sent => seen.sent_bytes += bytes,
        Way::Received => seen.received_bytes += bytes,
        Way::Closed | Way::Tied | Way::Sealed => return,
    }
    seen.connections += u64::from(taken.is_new);
    seen.plain_connections += u64::from(taken.is_new && said.source == source::SOCKET);
    seen.last_seen = Some(Timestamp::now());
    if tells {
        seen.unseen_since = None;
        seen.is_told = true;
        seen.is_read |= said.way == Way::Sent && begins_request(said.bytes);
    }
}

/// Whether this is the beginning of a request of HTTP/1, or of a connection of HTTP/2.
fn begins_request(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    line.len() < bytes.len() && version.starts_with(b"HTTP/")
}
