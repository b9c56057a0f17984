//! What stands under `data` in a line of the journal: stable names, each kind with the version of its shape in `v`.
//! docs/journal.md describes them for readers. A field may be added to a version; one that changes or goes is a new
//! version, and older ones are understood for ever.
//!
//! A new kind of record joins the journal, the export and the import here: a file beside this one, a row in
//! [`Kind::ALL`], an arm in [`Entry`], in [`decode`](super::decode) and in [`encode`](super::encode), and how it is
//! merged into a store in [`import`](super::import).

pub(super) mod agent;
mod devices;
mod file;
mod gpu;
pub(super) mod hexadecimal;
pub(super) mod host;
mod http;
mod latencies;
mod llm;
pub(super) mod names;
pub(super) mod operation;
mod peer;
pub(super) mod process;
pub(super) mod process_id;
pub(super) mod tool;
pub(super) mod window;

use serde::{Deserialize, Serialize};

use crate::model::{
    agent::Agent,
    host::HostWindow,
    id::AgentId,
    operation::{Operation, Sums},
    process::Process,
    time::Timestamp,
    window::Window,
};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A section begins: stacks are told anew.
    Section,
    /// Frames and stacks that later lines of the section refer to.
    Names,
    /// An agent, new or changed.
    Agent,
    /// A process of an agent, new or changed.
    Process,
    /// A closed window.
    Window,
    /// An operation.
    Operation,
    /// Operations that were added up: one row.
    OperationSum,
    /// A closed window of the host.
    Host,
}

impl Kind {
    /// Every kind.
    pub(super) const ALL: [Self; 8] = [
        Self::Section,
        Self::Names,
        Self::Agent,
        Self::Process,
        Self::Window,
        Self::Operation,
        Self::OperationSum,
        Self::Host,
    ];

    /// The line's `logger`.
    pub(super) fn logger(self) -> &'static str {
        match self {
            Self::Section => "agentperf.section",
            Self::Names => "agentperf.names",
            Self::Agent => "agentperf.agent",
            Self::Process => "agentperf.process",
            Self::Window => "agentperf.window",
            Self::Operation => "agentperf.operation",
            Self::OperationSum => "agentperf.operation_sum",
            Self::Host => "agentperf.host",
        }
    }

    /// The newest version of its shape.
    pub(super) fn version(self) -> u32 {
        1
    }

    /// The kind that a `logger` stands for.
    pub(super) fn of(logger: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.logger() == logger)
    }
}

/// One record of a journal, as the store takes it.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An agent.
    Agent(Agent),
    /// A process.
    Process {
        /// Whose.
        agent: AgentId,
        /// Since when the agent was watched when this was told.
        watch: Timestamp,
        /// The process.
        process: Process,
    },
    /// A window.
    Window(Window),
    /// An operation.
    Operation(Box<Operation>),
    /// Operations that were added up. A line holds one row of them.
    Sums(Sums),
    /// A window of the host.
    Host(Box<HostWindow>),
}

/// Where a section begins.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SectionData {
    pub(super) v: u32,
    pub(super) section: String,
    /// The version of the agentperf that wrote it.
    pub(super) agentperf: String,
}

/// Why `data` is no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// A newer agentperf wrote it.
    #[error("version {0} is newer than this agentperf knows")]
    TooNew(u32),
    /// A value that there cannot be.
    #[error("{0} cannot be")]
    Value(&'static str),
    /// It refers to names that were not told before it.
    #[error("it refers to {0}, which the section has not told")]
    Dangling(&'static str),
    /// A section tells more names than are remembered.
    #[error("the section tells too many names")]
    TooMany,
}
