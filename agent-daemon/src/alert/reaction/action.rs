//! What all ways to react have in common. Each has a file of its own; a new one is such a file, a [`Kind`] and a key in
//! [`config`](super::config).
//!
//! An action first makes a plan, which changes nothing: a dry run ends there. One that changes something on the host
//! holds it ([`Held`]); that is written down before it is done, so that whoever comes after a crash can take it back.

use std::{fmt, io, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{cgroup::Cgroups, folder::Folder, limit, pause, process::Proc};
use crate::{
    model::{id::AgentId, time::Timestamp},
    store::Store,
};

/// A way to react.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Writes profiles of the agent.
    CaptureProfile,
    /// Writes the last minutes in full detail.
    FlightRecorder,
    /// Limits CPU and memory of the agent's cgroup.
    Limit,
    /// Stops the agent's processes, for a while.
    Pause,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::CaptureProfile, Self::FlightRecorder, Self::Limit, Self::Pause];

    /// As files, answers and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaptureProfile => "capture_profile",
            Self::FlightRecorder => "flight_recorder",
            Self::Limit => "limit",
            Self::Pause => "pause",
        }
    }
}

/// Writes what the flight recorder has of the time since then, compressed; how many bytes that were.
pub type Dump = dyn Fn(Timestamp, &mut dyn io::Write) -> io::Result<u64> + Send + Sync;

/// What actions work with.
pub(super) struct Tools {
    pub(super) store: Arc<dyn Store>,
    pub(super) proc: Proc,
    /// `None` where no cgroup2 is mounted.
    pub(super) cgroups: Option<Cgroups>,
    pub(super) folder: Folder,
    /// `None` where there is no flight recorder.
    pub(super) dump: Option<Arc<Dump>>,
    /// How long a window is.
    pub(super) window: Duration,
    /// This boot's id: what is held does not outlast it.
    pub(super) boot_id: String,
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotDone {
    /// It must not be.
    #[error("{0}")]
    Refused(String),
    /// It could not be.
    #[error("{0}")]
    Failed(String),
}

impl NotDone {
    pub(super) fn refused(why: impl fmt::Display) -> Self {
        Self::Refused(why.to_string())
    }

    pub(super) fn failed(what: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}

/// Whom it is about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The number of the reaction.
    pub(super) reaction: u64,
    pub(super) agent: AgentId,
    /// When its alert began to fire.
    pub(super) fired: Timestamp,
}

/// When an action is done, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long after the alert began.
    pub(super) after: Duration,
    /// How long it is in force at most; `None`: it leaves nothing to be taken back.
    pub(super) max_duration: Option<Duration>,
    /// How long after its end the same agent has peace from the same action.
    pub(super) min_interval: Duration,
}

/// One way to react, as a file asks for it.
pub(super) trait React: fmt::Debug + Send + Sync {
    fn kind(&self) -> Kind;
    fn pace(&self) -> Pace;
    /// Looks at what there is. Changes nothing.
    ///
    /// # Errors
    /// It must not or cannot be done.
    fn plan(&self, subject: &Subject, tools: &Tools) -> Result<Plan, NotDone>;
}

/// What is to be done.
pub(super) struct Plan {
    /// In words, without a subject: `cpu.max 50000 100000 instead of max 100000 in /agents/a`.
    pub(super) what: String,
    pub(super) step: Step,
}

/// How.
pub(super) enum Step {
    /// Changes something, until that is taken back.
    Hold(Held),
    /// Writes files and returns their names.
    Write(Box<Write>),
}

/// Writes files and returns their names.
pub(super) type Write = dyn FnOnce(&Tools) -> Result<Vec<String>, NotDone>;

/// Makes what is held outlast a crash.
pub(super) type Record<'r> = dyn FnMut(&Held) -> io::Result<()> + 'r;

/// What is held, and how it was before: enough to take it back, also for a later daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Held {
    Limit(limit::Held),
    Pause(pause::Held),
}

impl Held {
    /// Does it, recorded before. Where it fails in the middle, what there is of it must be taken back.
    pub(super) fn apply(
        &mut self,
        subject: &Subject,
        tools: &Tools,
        record: &mut Record<'_>,
    ) -> Result<(), NotDone> {
        match self {
            Self::Limit(held) => held.apply(tools, &mut |held| record(&Self::Limit(held.clone()))),
            Self::Pause(held) => {
                held.apply(&subject.agent, tools, &mut |held| record(&Self::Pause(held.clone())))
            }
        }
    }

    /// Takes it back, but for what somebody else changed meanwhile. How that went, in words.
    ///
    /// # Errors
    /// It cannot be taken back for now.
    pub(super) fn undo(&self, tools: &Tools) -> io::Result<String> {
        match self {
            Self::Limit(held) => held.undo(tools),
            Self::Pause(held) => held.undo(tools),
        }
    }
}
