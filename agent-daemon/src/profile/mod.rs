//! Profiles in the form of pprof, for whoever hands them out: the API, and what pushes them. Depends on no sink.

pub(crate) mod pprof;

use rustc_hash::FxHashMap;

use crate::{
    model::{
        agent::Agent,
        id::ProcessId,
        process::Process,
        stack::{Stack, StackEnd},
    },
    store::query::ProfileKind,
};

/// Whose profile it is: what stacks do not say themselves.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) agent: Agent,
    /// The root's executable.
    pub(crate) executable: Option<String>,
    comms: FxHashMap<ProcessId, String>,
}

impl Subject {
    pub(crate) fn new(agent: Agent, processes: Vec<Process>) -> Self {
        let root = processes.iter().find(|p| p.id == agent.root);
        let executable = root.and_then(|p| p.executable.clone());
        Self { agent, executable, comms: processes.into_iter().map(|p| (p.id, p.comm)).collect() }
    }

    /// The process's name, where it is still known.
    pub(crate) fn comm(&self, process: ProcessId) -> Option<&str> {
        self.comms.get(&process).map(String::as_str)
    }

    /// A title for people.
    pub(crate) fn title(&self, kind: ProfileKind) -> String {
        let what = match kind {
            ProfileKind::Cpu => "CPU time",
            ProfileKind::OffCpu => "off-CPU time",
        };
        format!("{what} of {} ({})", self.agent.name, self.agent.id)
    }
}

/// What stands at the outer end where frames are known to be missing, or may be wrong.
pub(crate) fn missing(stack: &Stack) -> Option<&'static str> {
    match stack.end {
        StackEnd::Complete => stack.frames.is_empty().then_some("[merged]"),
        StackEnd::FramePointers => Some("[frame pointers]"),
        StackEnd::OrderGuessed => Some("[order guessed]"),
        StackEnd::InterpretedMissing => Some("[frames missing]"),
        StackEnd::Truncated => Some("[truncated]"),
        StackEnd::Gap
        | StackEnd::NoTable
        | StackEnd::NoMapping
        | StackEnd::Unreadable
        | StackEnd::UnknownRule
        | StackEnd::Inconsistent
        | StackEnd::Not64Bit => Some("[broken]"),
        StackEnd::OverBudget => Some("[not walked]"),
        StackEnd::Lost => Some("[lost]"),
        StackEnd::Absent => stack.frames.is_empty().then_some("[no stack]"),
    }
}
