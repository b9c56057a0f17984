//! What the one who attaches probes to functions is told: which processes belong to which agent, and what becomes of
//! them. Where uprobes cannot be had it is nobody, and nothing is told.

use std::{sync::Arc, thread::JoinHandle};

use super::mapped::Mapped;
use crate::{
    kernel::{Event, Uprobes, WireServers},
    model::{
        id::{ProcessId, Slot},
        probe::ProbeSet,
    },
    telemetry::Telemetry,
    uprobes::Attacher,
};

/// Tells the attacher, where there is one.
pub(super) struct Attaching(Option<Attacher>);

/// The attacher and its thread, for those who tell it more, and wait for it.
pub type AttacherThread = (Attacher, JoinHandle<()>);

impl Attaching {
    /// Starts the attacher.
    pub(super) fn start(
        uprobes: Option<Uprobes>,
        servers: Option<WireServers>,
        telemetry: &Arc<Telemetry>,
    ) -> (Self, Option<AttacherThread>) {
        let Some(uprobes) = uprobes else { return (Self(None), None) };
        match Attacher::spawn(uprobes, servers, Arc::clone(telemetry)) {
            Ok((attacher, thread)) => (Self(Some(attacher.clone())), Some((attacher, thread))),
            Err(error) => {
                tracing::error!(%error, "no probes are attached to functions");
                (Self(None), None)
            }
        }
    }

    /// An agent is watched by these probes.
    pub(super) fn watched(&self, slot: Slot, probes: ProbeSet) {
        self.0.iter().for_each(|attacher| attacher.watched(slot, probes));
    }

    /// An agent is let go.
    pub(super) fn released(&self, slot: Slot) {
        self.0.iter().for_each(|attacher| attacher.released(slot));
    }

    /// A running process was taken into an agent.
    pub(super) fn joined(&self, process: ProcessId, slot: Slot) {
        self.0.iter().for_each(|attacher| attacher.joined(process, slot));
    }

    /// Something happened to a process of an agent; `mapped` knows of it already.
    pub(super) fn happened(&self, event: &Event, mapped: &Mapped) {
        let Some(attacher) = &self.0 else { return };
        match event {
            Event::Fork { slot, process, parent, .. } => attacher.forked(*parent, *process, *slot),
            Event::Exec { process, .. } => attacher.executed(*process, mapped.execs(*process)),
            Event::Exit { process, .. } => attacher.exited(*process),
            Event::ThreadExit { .. }
            | Event::ForeignExec { .. }
            | Event::Signal { .. }
            | Event::NewStack { .. }
            | Event::LibraryLoaded { .. }
            | Event::ModelRequest { .. }
            | Event::NameAnswer { .. } => {}
        }
    }
}
