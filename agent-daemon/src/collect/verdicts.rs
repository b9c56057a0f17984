//! What processes turned out to be, on its way to the kernel programs: some at a time, since each time every thread of the
//! host is looked at. Likewise, helpers are told from tools.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::{
    kernel::Kernel,
    model::{
        id::{ProcessId, Slot},
        ledger::Verdict,
    },
};

/// How often verdicts are carried out, and helpers sought, at most.
const EVERY: Duration = Duration::from_millis(20);
/// Verdicts that may wait: of more, the processes go on as tools.
const MOST: usize = 4096;

/// Verdicts that wait.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    waiting: Vec<(ProcessId, Verdict)>,
    /// When they are to be carried out.
    pub(super) due: Option<Instant>,
    last: Option<Instant>,
    /// When helpers were sought, of each agent.
    sought: FxHashMap<Slot, Instant>,
}

impl Verdicts {
    /// One more.
    pub(super) fn add(&mut self, process: ProcessId, verdict: Verdict) {
        if self.waiting.len() < MOST {
            self.waiting.push((process, verdict));
            let now = Instant::now();
            self.due.get_or_insert(self.last.map_or(now, |last| now.max(last + EVERY)));
        }
    }

    /// Tells helpers from tools, of an agent that has asked its model. Not for each of many requests at once: the next
    /// one does as well.
    pub(super) fn find_helpers(&mut self, kernel: &mut Kernel, slot: Slot) {
        if !self.are_to_be_sought(slot, Instant::now()) {
            return;
        }
        if let Err(error) = kernel.find_helpers(slot) {
            tracing::debug!(%error, "helpers could not be told from tools");
        }
        self.sought.insert(slot, Instant::now());
    }

    fn are_to_be_sought(&self, slot: Slot, now: Instant) -> bool {
        self.sought.get(&slot).is_none_or(|sought| now.saturating_duration_since(*sought) >= EVERY)
    }

    /// An agent is let go.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.sought.remove(&slot);
    }

    /// Carries them out.
    pub(super) fn carry_out(&mut self, kernel: &mut Kernel) {
        self.due = None;
        self.last = Some(Instant::now());
        if let Err(error) = kernel.tell_verdicts(&std::mem::take(&mut self.waiting)) {
            tracing::debug!(%error, "processes go on as tools that are none");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_asks_often_holds_up_no_other() {
        let (mut verdicts, now) = (Verdicts::default(), Instant::now());
        verdicts.sought.insert(Slot(1), now);
        assert!(!verdicts.are_to_be_sought(Slot(1), now + EVERY / 2));
        assert!(verdicts.are_to_be_sought(Slot(2), now + EVERY / 2));
        assert!(verdicts.are_to_be_sought(Slot(1), now + EVERY));
        verdicts.forget(Slot(1));
        assert!(verdicts.are_to_be_sought(Slot(1), now));
    }
}
