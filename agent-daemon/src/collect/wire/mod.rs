//! What agents say: plaintext of the kernel's ring goes in, calls of models and of MCP servers come out as observations.
//!
//! On a thread of its own, so that decoding holds up no event: it looks into the ring every [`EVERY`] while there is an
//! agent. Bytes leave this module only as metadata, and as what is kept of some agents, masked ([`mask`]).
//!
//! A connection that carries nothing of interest is dismissed in the kernel once that has been so for a while
//! ([`connections`]); how much of what a process says is seen is kept for whoever asks ([`Coverage`](crate::telemetry::Coverage)).

mod connections;
mod flights;
mod halves;
mod handshakes;
mod mask;
mod reader;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::sync::mpsc;

use self::reader::Reader;
use crate::{
    config::Content as Rules,
    kernel::{Event, WireRing},
    model::{
        content::Keep,
        id::{ProcessId, Slot},
        ledger::{Flights, Ledger, MarkedLedger},
        observation::Observation,
        probe::{Probe, ProbeSet},
    },
    telemetry::Telemetry,
};

/// How often the ring is looked into.
const EVERY: Duration = Duration::from_millis(20);
/// How long whoever closes a window waits for what was said in it.
const PATIENCE: Duration = Duration::from_millis(500);

/// What waits for the reader.
const QUEUE: usize = 8192;

/// A request that went to a model's host, as sockets tell.
struct ModelRequest {
    slot: Slot,
    process: ProcessId,
    /// When (ns, monotonic).
    at_ns: u64,
    /// Whether a thread of the agent's own sent it.
    is_own: bool,
    /// How long connecting took, if it is the first on its connection and that was seen.
    connect_ns: Option<u64>,
}

/// What the reader is told.
enum Told {
    /// There are agents, or there are none.
    Agents(bool),
    /// An agent comes to this slot, of whom that is kept.
    Begin(Slot, Keep),
    /// A process is gone since then (ns, monotonic): its connections are over.
    Exited(ProcessId, u64),
    /// A process sent a request on a socket that leads to a model.
    ModelRequest(ModelRequest),
    /// Tell the calls of the window that closes then (ns, monotonic).
    Flights(u64, Sender<FxHashMap<Slot, Flights>>),
    /// Say when all that was said is handed on.
    Flush(Sender<()>),
    /// An agent is about to be let go.
    LetGo(Slot),
    /// An agent is let go.
    Forget(Slot),
}

/// The thread that reads what agents say. It ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct WireReader(Option<SyncSender<Told>>);

impl WireReader {
    /// Starts the thread; what it finds goes to `observations`. Where it cannot start, calls are not seen, which the
    /// coverage says.
    pub(super) fn start(
        ring: Option<WireRing>,
        observations: &mpsc::Sender<Observation>,
        telemetry: &Arc<Telemetry>,
        rules: Rules,
    ) -> Self {
        let Some(ring) = ring else { return Self::default() };
        let (tell, told) = sync_channel(QUEUE);
        let reader = Reader::new(ring, observations.clone(), Arc::clone(telemetry), rules);
        let thread = std::thread::Builder::new().name("wire".to_owned());
        match thread.spawn(move || run(reader, &told)) {
            Ok(_) => Self(Some(tell)),
            Err(error) => {
                tracing::error!(%error, "what agents say is not read");
                Self::default()
            }
        }
    }

    /// Never waits: the reader may be waiting for the aggregator, and that for the collector. What it does not hear of,
    /// its bounds make good.
    fn tell(&self, told: Told) {
        // A reader that ended was told to, or had nobody to hand anything to.
        let _ = self.0.as_ref().map(|reader| reader.try_send(told));
    }

    /// There are agents, or there are none.
    pub(super) fn set_agents(&self, any: bool) {
        self.tell(Told::Agents(any));
    }

    /// Something happened to a process: it is gone, or asked a model, as its sockets tell.
    pub(super) fn happened(&self, event: &Event, agents: &FxHashMap<Slot, ProbeSet>) {
        let reads = |slot: &Slot| agents.get(slot).is_some_and(|probes| probes.contains(Probe::Wire));
        match event {
            // Who is not to be read is not missed either.
            Event::ModelRequest { slot, .. } if !reads(slot) => {}
            Event::Exit { process, at, .. } => self.tell(Told::Exited(*process, *at)),
            Event::ModelRequest { slot, process, at_ns, is_own, connect_ns } => {
                let (slot, process, at_ns) = (*slot, *process, *at_ns);
                let (is_own, connect_ns) = (*is_own, *connect_ns);
                self.tell(Told::ModelRequest(ModelRequest { slot, process, at_ns, is_own, connect_ns }));
            }
            Event::Fork { .. }
            | Event::Exec { .. }
            | Event::ThreadExit { .. }
            | Event::ForeignExec { .. }
            | Event::Signal { .. }
            | Event::LibraryLoaded { .. }
            | Event::NewStack { .. }
            | Event::NameAnswer { .. } => {}
        }
    }

    /// An agent comes to `slot`, of whom that is kept.
    pub(super) fn begin(&self, slot: Slot, keep: Keep) {
        self.tell(Told::Begin(slot, keep));
    }

    /// An agent is about to be let go.
    pub(super) fn let_go(&self, slot: Slot) {
        self.tell(Told::LetGo(slot));
    }

    /// An agent is let go.
    pub(super) fn forget(&self, slot: Slot) {
        self.tell(Told::Forget(slot));
    }

    /// The ledgers of a window with what was read of calls to models in the place of what was guessed.
    pub(super) fn settle(
        &self,
        agents: &FxHashMap<Slot, ProbeSet>,
        ledgers: Vec<(Slot, MarkedLedger)>,
    ) -> Vec<(Slot, Ledger)> {
        let now_ns = ledgers.iter().map(|(_, ledger)| ledger.range.1).max().unwrap_or(0);
        let mut flights = self.flights(agents, now_ns);
        let settle = |(slot, ledger): (Slot, MarkedLedger)| {
            (slot, ledger.settle(&flights.remove(&slot).unwrap_or_default()))
        };
        ledgers.into_iter().map(settle).filter(|(_, ledger)| !ledger.is_empty()).collect()
    }

    /// The calls of each agent in the window that closes at `now_ns`, by what was read until now. Waits for them, but not
    /// for ever: what is not told is guessed from connections.
    fn flights(&self, agents: &FxHashMap<Slot, ProbeSet>, now_ns: u64) -> FxHashMap<Slot, Flights> {
        if self.0.is_none() || !agents.values().any(|probes| probes.contains(Probe::Wire)) {
            return FxHashMap::default();
        }
        let (reply, answer) = channel();
        self.tell(Told::Flights(now_ns, reply));
        answer.recv_timeout(PATIENCE).unwrap_or_else(|error| {
            tracing::debug!(%error, "what agents say is read too slowly to wait for");
            FxHashMap::default()
        })
    }

    /// Waits, not for ever, until all that was said is handed on.
    pub(super) fn flush(&self) {
        let (done, is_done) = channel();
        self.tell(Told::Flush(done));
        if self.0.is_some() && is_done.recv_timeout(PATIENCE).is_err() {
            tracing::debug!("what agents say is read too slowly to wait for");
        }
    }
}

fn run(mut reader: Reader, told: &Receiver<Told>) {
    let mut agents = false;
    loop {
        let next = match agents {
            true => told.recv_timeout(EVERY),
            false => told.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(Told::Agents(any)) => agents = any,
            Ok(Told::Begin(slot, keep)) => reader.begin(slot, keep),
            Ok(Told::Exited(process, at_ns)) => reader.exited(process, at_ns),
            Ok(Told::ModelRequest(request)) => reader.model_request(&request),
            // Whoever asked may have stopped waiting.
            Ok(Told::Flights(now_ns, reply)) => drop(reply.send(reader.take_flights(now_ns))),
            Ok(Told::Flush(done)) => {
                reader.read();
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            Ok(Told::LetGo(slot)) => reader.let_go(slot),
            Ok(Told::Forget(slot)) => reader.forget(slot),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if agents && !reader.read() {
            return;
        }
    }
}
