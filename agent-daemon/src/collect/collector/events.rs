//! The event ring: what is taken out of it, and who is told.

use std::time::Instant;

use super::{Collector, OUTBOX};
use crate::{
    kernel::Event,
    model::{id::ProcessId, stack::StackEnd},
    telemetry::Loss,
};

/// Events that are taken off the ring at once: about as many as it has room for.
const MAX_AT_ONCE: usize = 1 << 16;

impl Collector {
    /// Takes events off the ring while the outbox has room, but not for ever: of some nothing goes to the outbox. Tells whether
    /// the ring is empty.
    pub(super) fn drain_events(&mut self) -> bool {
        self.kernel.flush_log();
        for _ in 0..MAX_AT_ONCE {
            if self.outbox.len() >= OUTBOX {
                return false;
            }
            match self.kernel.next_event() {
                None => return true,
                Some(Ok(event)) => self.event(event),
                Some(Err(error)) => {
                    self.telemetry.losses.count(Loss::UndecodableRecord);
                    tracing::debug!(%error, "a record of the event ring");
                }
            }
        }
        false
    }

    fn event(&mut self, event: Event) {
        self.wire.happened(&event, &self.agents);
        match &event {
            // Left in the ring by an agent that has been let go: nobody asks for its processes any more.
            Event::Fork { slot, .. } if !self.agents.contains_key(slot) => return,
            Event::Fork { process, parent, .. } => self.mapped.forked(*parent, *process),
            Event::Exec { process, .. } => self.mapped.executed(*process, Instant::now()),
            Event::LibraryLoaded { process } => return self.mapped.loaded(*process, Instant::now()),
            Event::Exit { process, .. } => self.mapped.exited(*process),
            Event::NewStack { process, stack } => self.look_at(*process, *stack),
            Event::ModelRequest { slot, .. } if !self.agents.contains_key(slot) => return,
            Event::ModelRequest { is_own: false, .. } => return,
            Event::ModelRequest { slot, .. } => return self.verdicts.find_helpers(&mut self.kernel, *slot),
            // Of one that has been let go, as above.
            Event::NameAnswer { slot, .. } if !self.agents.contains_key(slot) => return,
            Event::NameAnswer { slot, bytes } => self.host_names.answered(*slot, bytes, Instant::now()),
            Event::ThreadExit { .. } | Event::ForeignExec { .. } | Event::Signal { .. } => {}
        }
        self.attaching.happened(&event, &self.mapped);
        self.outbox.extend(self.lifecycle.event(event, &self.clock, &mut self.live));
    }

    /// Reads what a new stack needs while its process lives: the names of its interpreted frames, or mappings.
    fn look_at(&mut self, process: ProcessId, stack: u64) {
        match self.kernel.user_stack(stack) {
            Ok(stack) if stack.end == StackEnd::NoMapping => self.mapped.asked(process, Instant::now()),
            Ok(stack) => drop(self.interpreters.name(process, &stack)),
            Err(error) => tracing::debug!(%error, "a stack could not be read"),
        }
    }
}
