//! Profiles in the form of pprof and as folded text, for whoever hands them out: the API, what pushes them, and what
//! alerts capture. Depends on no sink.

pub(crate) mod folded;
pub(crate) mod pprof;

use rustc_hash::FxHashMap;

use crate::{
    model::{
        agent::Agent,
        id::ProcessId,
        process::Process,
        stack::{Frame, FrameKind, Stack, StackEnd},
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

/// A frame's name among frames of every world: unknown functions are told apart by their binary, scripts'
/// functions by their file.
pub(crate) fn label(frame: &Frame) -> String {
    let file = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    match frame.kind {
        FrameKind::Kernel => format!("{}_[k]", frame.function),
        FrameKind::Python | FrameKind::Javascript => match &frame.file {
            Some(path) => format!("{} ({})", frame.function, file(path)),
            None => frame.function.clone(),
        },
        FrameKind::Native if frame.function == "[unknown]" => match &frame.binary {
            Some(binary) => format!("[{}]", file(&binary.path).trim_matches(['[', ']'])),
            None => frame.function.clone(),
        },
        FrameKind::Native => frame.function.clone(),
    }
}
