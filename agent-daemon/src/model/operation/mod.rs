//! Operations: timed pieces of work that an application names itself: a request, a page load, a call. And the tool calls
//! of agents, which the kernel tells of, and their calls of models and MCP servers, which are read off the wire.
//!
//! Each says by what way it came ([`Source`]), and those that applications tell of, whose key was shown. An operation
//! is tied to a process and its agent only where the daemon saw for itself who sent it.

mod defined;
mod distinct;
mod durations;
mod llm;
mod sums;
mod tool;
mod tool_files;
mod tool_network;

pub use defined::Defined;
pub use distinct::Distinct;
pub use durations::Durations;
pub use llm::{LLM, Llm, LlmSum, MCP, provider_of};
pub use sums::{Sum, SumKey, Sums};
pub use tool::{
    Bill, CHECKPOINT_LOAD, CHECKPOINT_SAVE, OOM_KILL, SERVER, SIGNAL, TOOL, TOOL_REPEATS, Tool, ToolEnd,
};
pub use tool_files::{FileEffect, MAX_TOLD, ToolFiles};
pub use tool_network::{ToolNetwork, ToolPeer};

use std::sync::Arc;

use super::{
    id::{AgentId, ProcessId},
    time::{TimeRange, Timestamp},
};

/// By what way an operation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A span of OpenTelemetry.
    Otlp,
    /// A histogram of OpenTelemetry: sums without single operations.
    OtlpMetrics,
    /// agentperf's own JSON.
    Collect,
    /// A page in a browser.
    Frontend,
    /// No application: the kernel.
    Kernel,
    /// No application: read off the wire.
    Wire,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 6] =
        [Self::Otlp, Self::OtlpMetrics, Self::Collect, Self::Frontend, Self::Kernel, Self::Wire];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::OtlpMetrics => "otlp_metrics",
            Self::Collect => "collect",
            Self::Frontend => "frontend",
            Self::Kernel => "kernel",
            Self::Wire => "wire",
        }
    }

    /// Whether applications tell of such operations: what agentperf saw by itself is counted apart from it, since the same
    /// may have been told.
    #[must_use]
    pub fn is_told(self) -> bool {
        !matches!(self, Self::Kernel | Self::Wire)
    }
}

/// Where an operation stands in a trace of OpenTelemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The operation itself.
    pub span: [u8; 8],
    /// The operation that it is part of.
    pub parent: Option<[u8; 8]>,
}

/// One entry of an operation's call tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// 0 for what the operation called itself, one more for each level below.
    pub depth: u8,
    /// What was called.
    pub name: String,
    /// How long it took, ns.
    pub duration_ns: u64,
}

/// One timed piece of work. Immutable.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Unique in one store.
    pub id: u64,
    /// Whose key the sender showed; empty where the kernel told of it.
    pub project: Arc<str>,
    /// By what way it came.
    pub source: Source,
    /// What sort of work it was: `http_server`, `db`, `llm`, `page_load` and so on, in lower case.
    pub kind: String,
    /// A route template or endpoint, without query string, and without ids where the sender's library knows the template.
    pub name: String,
    /// When it began, by the sender's clock.
    pub start: Timestamp,
    /// How long it took, ns.
    pub duration_ns: u64,
    /// Bytes that were moved, where told.
    pub bytes: Option<u64>,
    /// Whether it went well.
    pub success: bool,
    /// The class of the failure, never its message.
    pub error_type: Option<String>,
    /// HTTP's method.
    pub method: Option<String>,
    /// HTTP's status.
    pub status: Option<u16>,
    /// The language model that was asked.
    pub model: Option<String>,
    /// For whom: a pseudonym, unless the project is configured to keep plain names.
    pub user: Option<String>,
    /// In which session: a pseudonym likewise.
    pub session: Option<String>,
    /// Its place in a trace.
    pub trace: Option<TraceContext>,
    /// What else is told, from an allow-list; sorted by key.
    pub labels: Vec<(String, String)>,
    /// What it was made of, each entry before those below it.
    pub calls: Vec<Call>,
    /// The agent whose process sent it.
    pub agent: Option<AgentId>,
    /// The process that sent it; of a tool call the first of its own.
    pub process: Option<ProcessId>,
    /// What a tool call cost, and how it ended.
    pub tool: Option<Box<Tool>>,
    /// What was read of a call of a model.
    pub llm: Option<Box<Llm>>,
}

impl Operation {
    /// Something that agentperf saw of an agent by itself; it went well, took no time, and nothing else is told of it.
    #[must_use]
    pub fn seen(agent: AgentId, process: ProcessId, start: Timestamp) -> Self {
        Self {
            id: 0,
            project: "".into(),
            source: Source::Kernel,
            kind: String::new(),
            name: String::new(),
            start,
            duration_ns: 0,
            bytes: None,
            success: true,
            error_type: None,
            method: None,
            status: None,
            model: None,
            user: None,
            session: None,
            trace: None,
            labels: Vec::new(),
            calls: Vec::new(),
            agent: Some(agent),
            process: Some(process),
            tool: None,
            llm: None,
        }
    }

    /// What is told under this key.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether an agent's turns are made of such: a call of a model that it made, or a tool call.
    #[must_use]
    pub fn is_work(&self) -> bool {
        let is_served = self.llm.as_ref().is_some_and(|llm| llm.serves);
        match (self.source, self.kind.as_str()) {
            (Source::Wire, LLM) => !is_served,
            (source, kind) => source == Source::Kernel && kind == TOOL,
        }
    }

    /// When it ended.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        let length = std::time::Duration::from_nanos(self.duration_ns);
        self.start.checked_add(length).unwrap_or(Timestamp::MAX)
    }

    /// Whether it belongs to the range: it began in it.
    #[must_use]
    pub fn is_in(&self, range: TimeRange) -> bool {
        range.from <= self.start && self.start < range.to
    }
}

/// What a store shows of operations: one, while it is kept whole, or many that were added up.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a> {
    /// One operation.
    One(&'a Operation),
    /// Operations of a stretch of time, added up.
    Sums(&'a Sums),
}
