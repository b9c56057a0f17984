//! Processes whose command lines the operator wants to be operations of their own, from exec to exit.
//!
//! What such a process executes later, and what its descendants execute, is part of it: `bash -c 'make all'` is one `make`.
//! A process whose exit nobody saw, or whose agent is let go before it, tells nothing: how it ended is not known.
//!
//! Bounds: [`MAX_OPEN`] processes are followed, [`MAX_WAITING`] operations wait for their window, [`MAX_NAMES`] names of each
//! kind; what is beyond is counted as a loss, or called `other`.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    roster::Roster,
    seen::{self, age_ns},
    tools::{call_name, error_type},
};
use crate::{
    config::{Definition, Found, Regex},
    model::{
        id::{AgentId, ProcessId, Slot},
        observation::Observation,
        operation::{Defined, Operation},
        process::Exit,
        record::Record,
        time::Timestamp,
    },
    telemetry::{Loss, Telemetry},
};

/// Processes that are followed at once.
const MAX_OPEN: usize = 4096;
/// Operations that wait for their window to close.
const MAX_WAITING: usize = 10_000;
/// Different names of one kind.
const MAX_NAMES: usize = 200;
/// How far up is looked for an ancestor that is followed.
const MAX_ANCESTORS: usize = 64;
/// The name of those that came when there were too many names.
const OTHER: &str = "other";

/// Who is looked for, who was found.
pub(super) struct Commands {
    wanted: Vec<(Regex, Arc<Defined>)>,
    /// By process and the number of the definition.
    open: FxHashMap<(ProcessId, usize), Open>,
    over: Vec<Operation>,
    /// By the number of their definition.
    names: FxHashSet<(usize, String)>,
    telemetry: Arc<Telemetry>,
}

/// A process that runs such a command.
struct Open {
    slot: Slot,
    agent: AgentId,
    name: String,
    start: Timestamp,
}

impl Commands {
    pub(super) fn new(definitions: &[Definition], telemetry: Arc<Telemetry>) -> Self {
        let wanted = definitions.iter().filter_map(|definition| match &definition.found {
            Found::Command(regex) => Some((regex.clone(), Arc::clone(&definition.defined))),
            Found::Paths(_) => None,
        });
        let (open, over, names) = (FxHashMap::default(), Vec::new(), FxHashSet::default());
        Self { wanted: wanted.collect(), open, over, names, telemetry }
    }

    /// Sees a fact about a process before the roster does.
    pub(super) fn observe(&mut self, observation: &Observation, roster: &Roster) {
        if self.wanted.is_empty() {
            return;
        }
        match observation {
            Observation::ProcessExecuted { process, at, comm, args, .. } => {
                self.executed(*process, *at, (comm, args), roster);
            }
            Observation::ProcessExited { process, at, exit, .. } => self.exited(*process, *at, *exit),
            Observation::ProcessVanished { process, .. } => {
                (0..self.wanted.len()).for_each(|wanted| drop(self.open.remove(&(*process, wanted))));
            }
            _ => {}
        }
    }

    fn executed(
        &mut self,
        process: ProcessId,
        at: Timestamp,
        (comm, args): (&str, &[String]),
        roster: &Roster,
    ) {
        let line = args.join(" ");
        let Some(wanted) = self.wanted.iter().position(|(regex, _)| regex.is_match(&line)) else { return };
        let slot = roster.slot_of(process);
        let Some((slot, agent)) = slot.and_then(|slot| Some((slot, roster.agent_in(slot)?))) else { return };
        if self.is_part_of(process, wanted, roster) {
            return;
        }
        if self.open.len() >= MAX_OPEN {
            return self.telemetry.losses.count(Loss::OperationDropped);
        }
        let name = self.known(wanted, call_name(args, comm));
        self.open.insert((process, wanted), Open { slot, agent, name, start: at });
    }

    /// Whether the process or an ancestor runs such a command already.
    fn is_part_of(&self, process: ProcessId, wanted: usize, roster: &Roster) -> bool {
        let parent = |process: &ProcessId| roster.process(*process).and_then(|process| process.parent);
        let line = std::iter::successors(Some(process), parent).take(MAX_ANCESTORS);
        line.into_iter().any(|process| self.open.contains_key(&(process, wanted)))
    }

    /// The name, if it is one of the first of its kind.
    fn known(&mut self, wanted: usize, name: String) -> String {
        let key = (wanted, name);
        let has_room = || self.names.iter().filter(|(number, _)| *number == wanted).count() < MAX_NAMES;
        if !self.names.contains(&key) {
            if !has_room() {
                return OTHER.to_owned();
            }
            self.names.insert(key.clone());
        }
        key.1
    }

    fn exited(&mut self, process: ProcessId, at: Timestamp, exit: Exit) {
        let losses = &self.telemetry.losses;
        for (wanted, (_, defined)) in self.wanted.iter().enumerate() {
            let Some(open) = self.open.remove(&(process, wanted)) else { continue };
            let operation = operation(process, open, defined, (at, exit));
            match defined.keeps(operation.id) {
                false => losses.count(Loss::OperationUnsampled),
                true if self.over.len() >= MAX_WAITING => losses.count(Loss::OperationDropped),
                true => self.over.push(operation),
            }
        }
    }

    /// Takes those that are over, when a window closes.
    pub(super) fn take(&mut self) -> Option<Record> {
        seen::record(std::mem::take(&mut self.over), Vec::new())
    }

    /// The agent in `slot` is let go.
    pub(super) fn leave(&mut self, slot: Slot) {
        self.open.retain(|_, open| open.slot != slot);
    }
}

fn operation(process: ProcessId, open: Open, defined: &Defined, (at, exit): (Timestamp, Exit)) -> Operation {
    let error_type = error_type(exit);
    let start = open.start.as_nanosecond().to_le_bytes();
    let bytes = process.0.to_le_bytes().into_iter().chain(start).chain(defined.kind.bytes());
    Operation {
        id: seen::id(bytes),
        kind: defined.kind.clone(),
        name: open.name,
        duration_ns: age_ns(open.start, at),
        success: error_type.is_none(),
        error_type,
        labels: defined.labels.clone(),
        ..Operation::seen(open.agent, process, open.start)
    }
}
