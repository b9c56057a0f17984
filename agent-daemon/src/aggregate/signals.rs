//! Signals between processes of agents and others, and what the kernel killed because memory ran out, made into
//! operations: instants, of kinds of their own. Of those of one window [`MAX_SINGLE`] are kept one by one, the others
//! added up.

use super::{roster::Roster, seen};
use crate::model::{
    id::{AgentId, ProcessId},
    observation::Observation,
    operation::{OOM_KILL, Operation, SIGNAL, Sums},
    record::Record,
    signal::{Outcome, Sender, Signal},
    signal_names::signal_name,
    time::Timestamp,
};

/// Those of a window that are kept one by one.
const MAX_SINGLE: usize = 2000;

/// What was seen since the last window.
#[derive(Default)]
pub(super) struct Signals {
    operations: Vec<Operation>,
    /// What came when there were too many.
    sums: Option<Sums>,
}

/// What happened to a process at one instant.
struct Event<'a> {
    agent: AgentId,
    /// The agent's process that it happened to, or that did it.
    process: ProcessId,
    at: Timestamp,
    kind: &'static str,
    name: &'static str,
    /// Why it is a failure, if it is one.
    error: Option<&'static str>,
    /// Sorted by key.
    labels: Vec<(&'static str, &'a str)>,
    /// Memory that the process had at most.
    bytes: Option<u64>,
}

impl Signals {
    /// Sees a fact before the roster does, which then may forget the process.
    pub(super) fn observe(&mut self, observation: &Observation, roster: &Roster) {
        if let Observation::Signalled(signal) = observation {
            self.sent(signal, roster);
        } else if let Observation::ProcessExited {
            process, at, out_of_memory: true, peak_rss_bytes, ..
        } = observation
        {
            self.killed(*process, *at, *peak_rss_bytes, roster);
        }
    }

    /// Takes what is to be kept, when a window closes.
    pub(super) fn take(&mut self) -> Option<Record> {
        let operations = std::mem::take(&mut self.operations);
        let sums = self.sums.take().into_iter().collect();
        seen::record(operations, sums)
    }

    /// A signal is a fact about the agent whose process got it, and about the one whose process sent it.
    fn sent(&mut self, signal: &Signal, roster: &Roster) {
        let Some(name) = signal_name(signal.number) else { return };
        let agent_of = |process| roster.slot_of(process).and_then(|slot| roster.agent_in(slot));
        let target = (agent_of(signal.target.process), signal.target.process);
        let sender = match &signal.sender {
            Sender::Process(party) => (agent_of(party.process), party.process),
            Sender::Kernel | Sender::Unknown => (None, signal.target.process),
        };
        let second = sender.clone().0.filter(|agent| target.0.as_ref() != Some(agent));
        let facts = [(target.0, target.1), (second, sender.1)];
        let texts = Texts::of(signal);
        for (agent, process) in facts.into_iter().filter_map(|(agent, process)| Some((agent?, process))) {
            let error = (signal.outcome == Outcome::Ends).then_some("ended");
            let labels = texts.labels(signal);
            let (at, kind) = (signal.at, SIGNAL);
            self.keep(Event { agent, process, at, kind, name, error, labels, bytes: None });
        }
    }

    /// The kernel killed a process because memory ran out.
    fn killed(&mut self, process: ProcessId, at: Timestamp, peak_rss_bytes: u64, roster: &Roster) {
        let Some(agent) = roster.slot_of(process).and_then(|slot| roster.agent_in(slot)) else { return };
        let comm = roster.process(process).map_or("", |process| process.comm.as_str());
        let labels = vec![("process.comm", comm)];
        let (kind, name, error) = (OOM_KILL, "out of memory", Some("out_of_memory"));
        self.keep(Event { agent, process, at, kind, name, error, labels, bytes: Some(peak_rss_bytes) });
    }

    fn keep(&mut self, event: Event<'_>) {
        let operation = operation(event);
        if self.operations.len() < MAX_SINGLE {
            return self.operations.push(operation);
        }
        let sums = self.sums.get_or_insert_with(|| Sums::new(operation.start, operation.start));
        sums.add(&operation);
    }
}

/// The numbers of a signal as texts.
struct Texts {
    target: String,
    sender: String,
}

impl Texts {
    fn of(signal: &Signal) -> Self {
        let sender = match &signal.sender {
            Sender::Process(party) => party.process.pid().to_string(),
            Sender::Kernel | Sender::Unknown => String::new(),
        };
        Self { target: signal.target.process.pid().to_string(), sender }
    }

    /// Sorted by key.
    fn labels<'a>(&'a self, signal: &'a Signal) -> Vec<(&'static str, &'a str)> {
        let mut labels = vec![("signal.outcome", signal.outcome.name())];
        match &signal.sender {
            Sender::Process(party) => {
                labels.extend([("signal.sender", "process"), ("signal.sender.comm", &party.comm)]);
                labels.push(("signal.sender.pid", &self.sender));
            }
            Sender::Kernel => labels.push(("signal.sender", "kernel")),
            Sender::Unknown => labels.push(("signal.sender", "unknown")),
        }
        labels.push(("signal.target.comm", &signal.target.comm));
        labels.push(("signal.target.pid", &self.target));
        labels
    }
}

fn operation(event: Event<'_>) -> Operation {
    let Event { agent, process, at, kind, name, error, labels, bytes } = event;
    Operation {
        id: id(&agent, (kind, name), at, &labels),
        kind: kind.to_owned(),
        name: name.to_owned(),
        bytes,
        success: error.is_none(),
        error_type: error.map(str::to_owned),
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        ..Operation::seen(agent, process, at)
    }
}

/// Nothing happens twice to one process by one other at one instant.
fn id(agent: &AgentId, (kind, name): (&str, &str), at: Timestamp, labels: &[(&str, &str)]) -> u64 {
    let texts = [agent.as_str(), kind, name].into_iter().chain(labels.iter().map(|(_, value)| *value));
    let bytes = texts.flat_map(|text| text.bytes().chain([0]));
    seen::id(bytes.chain(at.as_nanosecond().to_le_bytes()))
}
