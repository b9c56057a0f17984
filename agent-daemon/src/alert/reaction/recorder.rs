//! Writes down what the flight recorder has: the last minutes of all agents and of the host, in full detail, as lines
//! that `agentperf store import` reads. The recorder itself is a door out; here is only when it is asked.

use std::{sync::Arc, time::Duration};

use super::{
    action::{Dump, Kind, NotDone, Pace, Plan, React, Step, Subject, Tools},
    folder::Name,
};
use crate::model::{id::AgentId, time::Timestamp};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FlightRecorder {
    /// How long before the alert began the dump begins, as far as the recorder reaches back.
    pub(super) last: Duration,
    pub(super) pace: Pace,
}

impl React for FlightRecorder {
    fn kind(&self) -> Kind {
        Kind::FlightRecorder
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn plan(&self, subject: &Subject, tools: &Tools) -> Result<Plan, NotDone> {
        let dump = recorder(tools)?;
        let since = subject.fired.checked_sub(self.last).unwrap_or(subject.fired);
        let what = format!("a dump of what was recorded since {since}");
        let (number, agent) = (subject.reaction, subject.agent.clone());
        let write = move |tools: &Tools| write(&dump, (number, Some(&agent)), since, tools);
        Ok(Plan { what, step: Step::Write(Box::new(write)) })
    }
}

/// The recorder, if there is one.
pub(super) fn recorder(tools: &Tools) -> Result<Arc<Dump>, NotDone> {
    let off = || NotDone::refused("there is no flight recorder (alerts.reactions.recorder)");
    tools.dump.clone().ok_or_else(off)
}

/// Writes a dump of the time since then.
pub(super) fn write(
    dump: &Arc<Dump>,
    (reaction, agent): (u64, Option<&AgentId>),
    since: Timestamp,
    tools: &Tools,
) -> Result<Vec<String>, NotDone> {
    let name = Name { reaction, agent, part: "recorder", ending: "jsonl.zst" };
    let written = tools.folder.put(&name, |to| dump(since, to).map(drop));
    written.map(|file| vec![file]).map_err(|error| NotDone::failed("the dump cannot be written", error))
}
