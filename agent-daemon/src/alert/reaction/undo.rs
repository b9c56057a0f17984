//! The worker's way back: what is in force is taken back once its alert is over, its time is, or somebody asks; what cannot
//! be is tried again, and stays written down until it is done.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    ReactionError,
    action::{Held, NotDone},
    audit::{Cause, Entry, State},
    saved::Saved,
    worker::{InForce, Worker},
};
use crate::alert::{eval::Millis, labels::Fingerprint};

/// How often what cannot be taken back is tried again.
const RETRY: Duration = Duration::from_secs(10);

impl Worker {
    pub(super) fn recover(&mut self, saved: Saved) {
        self.audit = saved.audit;
        let same_boot = saved.boot_id == self.tools.boot_id;
        let open: Vec<(u64, State)> =
            self.audit.iter().filter(|e| !e.state.is_over()).map(|e| (e.id, e.state)).collect();
        let mut held = saved.held;
        for (id, state) in open {
            match held.remove(&id) {
                Some(held) if same_boot => {
                    self.in_force.insert(id, InForce { held, due: Instant::now(), cause: Cause::Restart });
                    self.undo(id, Cause::Restart);
                }
                _ if state == State::InForce => {
                    self.undone(id, Cause::Restart, "it has gone with the boot of the host".to_owned());
                }
                _ => self.over(id, State::Failed, "agentperf ended before it was time".to_owned()),
            }
        }
    }

    pub(super) fn end_resolved(&mut self, firing: &BTreeSet<(Fingerprint, Millis)>) {
        let is_over = |id: &u64| {
            let alert = self.audit.get(*id).and_then(|entry| entry.alert.zip(entry.fired_at));
            alert.is_none_or(|alert| !firing.contains(&alert))
        };
        let over: Vec<u64> = self.in_force.keys().copied().filter(is_over).collect();
        for id in over {
            let first_try = self.in_force.get(&id).is_some_and(|held| held.cause == Cause::MaxDuration);
            if first_try {
                self.undo(id, Cause::Resolved);
            }
        }
    }

    /// Takes back what is in force; what cannot be is tried again.
    pub(super) fn undo(&mut self, id: u64, cause: Cause) {
        let Some(known) = self.in_force.get_mut(&id) else { return };
        match known.held.undo(&self.tools) {
            Ok(detail) => {
                self.in_force.remove(&id);
                self.undone(id, cause, detail);
            }
            Err(error) => {
                (known.due, known.cause) = (Instant::now() + RETRY, cause);
                let Some(entry) = self.audit.get_mut(id) else { return };
                let detail = format!("it cannot be taken back for now: {error}");
                if entry.detail != detail {
                    tracing::error!(target: "agentperf::reaction", id, "{detail}");
                    entry.detail = detail;
                    self.save();
                }
            }
        }
    }

    pub(super) fn undone(&mut self, id: u64, cause: Cause, detail: String) {
        if let Some(entry) = self.audit.get_mut(id) {
            entry.cause = Some(cause);
        }
        self.over(id, State::Undone, detail);
    }

    pub(super) fn undo_by_hand(&mut self, id: u64) -> Result<Entry, ReactionError> {
        let state = self.audit.get(id).ok_or(ReactionError::Unknown(id))?.state;
        match state {
            State::Waiting => {
                self.waiting.remove(&id);
                self.over(id, State::Refused, "somebody called it off before it was time".to_owned());
            }
            State::InForce => self.undo(id, Cause::Request),
            _ => return Err(ReactionError::NotInForce(id)),
        }
        let entry = self.audit.get(id).cloned().ok_or(ReactionError::Unknown(id))?;
        if entry.state == State::InForce { Err(ReactionError::Failed(entry.detail)) } else { Ok(entry) }
    }

    /// It failed in the middle: what there is of it is taken back, now or later.
    pub(super) fn half_done(&mut self, id: u64, held: &Held, why: &NotDone) {
        if held.undo(&self.tools).is_ok() {
            self.in_force.remove(&id);
            return self.not_done(id, why);
        }
        if let Some(entry) = self.audit.get_mut(id) {
            entry.detail = why.to_string();
        }
        self.undo(id, Cause::MaxDuration);
    }

    /// Lets go of everything.
    pub(super) fn let_go(&mut self, state: State, cause: Cause, why: &str) {
        for id in std::mem::take(&mut self.waiting).into_keys() {
            self.over(id, state, why.to_owned());
        }
        let ids: Vec<u64> = self.in_force.keys().copied().collect();
        ids.into_iter().for_each(|id| self.undo(id, cause));
    }
}
