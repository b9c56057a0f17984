//! Who did what to whom, when, and what came of it: each reaction, also those that were refused, and each undoing. The
//! last thousand, over restarts; what is still in force never goes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::action::Kind;
use crate::{
    alert::{eval::Millis, labels::Fingerprint},
    model::time::Timestamp,
};

/// The most entries that are remembered.
pub(super) const MAX_ENTRIES: usize = 1000;
/// The number of the result in the metrics that something is done, or in force.
pub(super) const DONE: usize = 0;

/// A reaction, from when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number: each has another, over restarts too.
    pub id: u64,
    /// What was asked for.
    pub kind: Kind,
    /// The rule whose alert asked; empty where a person did.
    pub rule: String,
    /// The alert.
    pub alert: Option<Fingerprint>,
    /// Since when it fires.
    pub fired_at: Option<Millis>,
    /// The agent's id, as the alert has it; empty where it has none.
    pub agent: String,
    /// When it was asked for.
    pub asked: Timestamp,
    /// What is or was done, in words; empty where it did not come to a plan.
    pub what: String,
    /// What became of it.
    pub state: State,
    /// Until when it is in force at most.
    pub until: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Why it was taken back.
    pub cause: Option<Cause>,
    /// Why it did not come about, or how the undoing went.
    pub detail: String,
    /// Files that were written, in the folder of reactions.
    pub files: Vec<String>,
}

impl Entry {
    /// One that was just asked for, and nothing more is known.
    pub(super) fn new(kind: Kind, asked: Timestamp) -> Self {
        Self {
            id: 0,
            kind,
            rule: String::new(),
            alert: None,
            fired_at: None,
            agent: String::new(),
            asked,
            what: String::new(),
            state: State::Waiting,
            until: None,
            ended: None,
            cause: None,
            detail: String::new(),
            files: Vec::new(),
        }
    }

    /// Writes to the log what became of it.
    pub(super) fn tell(&self) {
        let Self { id, rule, agent, what, detail, .. } = self;
        let action = self.kind.name();
        match self.state {
            State::Failed => {
                tracing::error!(target: "agentperf::reaction", id, action, rule, agent, "failed: {detail}");
            }
            State::Refused => {
                tracing::warn!(target: "agentperf::reaction", id, action, rule, agent, "refused: {detail}");
            }
            State::DryRun => {
                tracing::info!(target: "agentperf::reaction", id, action, rule, agent, "dry run, would be done: {what}");
            }
            State::Undone => {
                let cause = self.cause.map_or("", Cause::words);
                tracing::info!(target: "agentperf::reaction", id, action, rule, agent, "taken back, since {cause}: {detail}");
            }
            State::Done | State::Waiting | State::InForce => {
                tracing::info!(target: "agentperf::reaction", id, action, rule, agent, "done: {what}");
            }
        }
    }
}

/// What became of a reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its time has not come.
    Waiting,
    /// It is in force.
    InForce,
    /// It is done, and there is nothing to be taken back.
    Done,
    /// It was in force, and is taken back.
    Undone,
    /// It must not be done.
    Refused,
    /// It could not be done.
    Failed,
    /// It would have been done.
    DryRun,
}

/// Why something was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its alert fires no more.
    Resolved,
    /// Its time was over.
    MaxDuration,
    /// A person asked for it.
    Request,
    /// Reactions were turned off.
    TurnedOff,
    /// The daemon stopped.
    Stop,
    /// The daemon before had ended without taking it back.
    Restart,
}

impl Cause {
    /// In words, after "taken back: ".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Resolved => "the alert fires no more",
            Self::MaxDuration => "max_duration is over",
            Self::Request => "somebody asked for it",
            Self::TurnedOff => "reactions were turned off",
            Self::Stop => "agentperf stops",
            Self::Restart => "the agentperf before ended without taking it back",
        }
    }
}

impl State {
    /// Whether nothing more will become of it.
    pub(super) const fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::InForce)
    }

    /// Its number as a result in the metrics.
    pub(super) const fn result(self) -> Option<usize> {
        match self {
            Self::Waiting | Self::InForce => None,
            Self::Done => Some(DONE),
            Self::Undone => Some(1),
            Self::Refused => Some(2),
            Self::Failed => Some(3),
            Self::DryRun => Some(4),
        }
    }
}

/// The entries, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Audit {
    /// The number of the next.
    next: u64,
    entries: VecDeque<Entry>,
}

impl Audit {
    /// Adds an entry, which gets its number.
    pub(super) fn add(&mut self, entry: Entry) -> u64 {
        self.next += 1;
        self.entries.push_back(Entry { id: self.next, ..entry });
        if self.entries.len() > MAX_ENTRIES {
            self.forget_one();
        }
        self.next
    }

    /// The oldest of those in which nothing was done; else the oldest that is over. Whoever asks again and again in vain
    /// must not push out what was done.
    fn forget_one(&mut self) {
        let oldest = |is: fn(State) -> bool| self.entries.iter().position(|entry| is(entry.state));
        let in_vain = oldest(|state| matches!(state, State::Refused | State::DryRun));
        if let Some(place) = in_vain.or_else(|| oldest(State::is_over)) {
            self.entries.remove(place);
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::{Audit, MAX_ENTRIES, State};
    use crate::alert::reaction::tests::entry;

    #[test]
    fn the_oldest_go_but_for_what_is_in_force() {
        let mut audit = Audit::default();
        assert_eq!(audit.add(entry(State::InForce)), 1);
        assert_eq!(audit.add(entry(State::Done)), 2);
        for _ in 0..2 * MAX_ENTRIES {
            audit.add(entry(State::Refused));
        }
        assert_eq!(audit.iter().count(), MAX_ENTRIES);
        assert!(audit.get(1).is_some() && audit.get(2).is_some() && audit.get(3).is_none());
        for _ in 0..2 * MAX_ENTRIES {
            audit.add(entry(State::Done));
        }
        assert!(audit.get(1).is_some() && audit.get(2).is_none());
        assert_eq!(audit.iter().count(), MAX_ENTRIES);
        let again: Audit = serde_json::from_str(&serde_json::to_string(&audit).unwrap()).unwrap();
        assert_eq!(again, audit);
    }
}
