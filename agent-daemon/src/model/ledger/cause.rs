//! Causes, and which of all that is true at once an instant goes to.
//!
//! What the host can change comes first, and what the agent merely waits for behind it. A wait that names a child
//! (`wait4`, a pipe) is strong evidence that the agent waits for its tool; an event loop is weak evidence, since it
//! waits for anything.

use super::state::{Bit, Role, StateSet, ThreadState as S};

/// Where an instant of an agent goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The agent's own code ran.
    AgentCpu,
    /// A tool worked, and the agent waited for it.
    Tool,
    /// A connection to a model was being made.
    LlmConnect,
    /// A model had been asked, and had not begun to answer.
    LlmFirstToken,
    /// A model answered.
    LlmStream,
    /// The agent could have run, but no CPU was free.
    RunQueue,
    /// Disks and file systems.
    Disk,
    /// Threads waited for each other.
    Lock,
    /// Another host than the model's, or a service of this one.
    Network,
    /// A GPU driver.
    Gpu,
    /// Page faults that had to wait.
    PageFault,
    /// Nothing was in flight: the agent waited for a person, a timer or an event.
    Idle,
    /// It could not be told.
    Unknown,
}

impl Cause {
    /// Every cause, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::AgentCpu,
        Self::Tool,
        Self::LlmConnect,
        Self::LlmFirstToken,
        Self::LlmStream,
        Self::RunQueue,
        Self::Disk,
        Self::Lock,
        Self::Network,
        Self::Gpu,
        Self::PageFault,
        Self::Idle,
        Self::Unknown,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentCpu => "agent_cpu",
            Self::Tool => "tool",
            Self::LlmConnect => "llm_connect",
            Self::LlmFirstToken => "llm_first_token",
            Self::LlmStream => "llm_stream",
            Self::RunQueue => "run_queue",
            Self::Disk => "disk",
            Self::Lock => "lock",
            Self::Network => "network",
            Self::Gpu => "gpu",
            Self::PageFault => "page_fault",
            Self::Idle => "idle",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is a phase of a call to a model.
    #[must_use]
    pub fn is_llm(self) -> bool {
        matches!(self, Self::LlmConnect | Self::LlmFirstToken | Self::LlmStream)
    }
}

/// The agent's own work, in the order in which it is blamed.
const LOCAL: [(S, Cause); 5] = [
    (S::Cpu, Cause::AgentCpu),
    (S::RunQueue, Cause::RunQueue),
    (S::PageFault, Cause::PageFault),
    (S::Disk, Cause::Disk),
    (S::Gpu, Cause::Gpu),
];
/// Calls to models, the furthest first.
const FLIGHTS: [(Bit, Cause); 3] = [
    (Bit::LLM_STREAM, Cause::LlmStream),
    (Bit::LLM_FIRST_TOKEN, Cause::LlmFirstToken),
    (Bit::LLM_CONNECT, Cause::LlmConnect),
];
/// What other hosts were asked.
const HOSTS: [Bit; 2] = [Bit::NETWORK_REQUEST, Bit::NETWORK_RESPONSE];
/// The wait names a child.
const STRONG: [S; 2] = [S::Child, S::Ipc];
/// The wait may be for anything.
const WEAK: [S; 4] = [S::Poll, S::Futex, S::Lock, S::Other];
/// The wait is for somebody outside.
const PERSON: [S; 2] = [S::Terminal, S::Outside];
/// States in which a thread does something, or is kept from it.
const WORK: [S; 5] = [S::Cpu, S::RunQueue, S::PageFault, S::Disk, S::Gpu];

impl StateSet {
    /// The one cause that this time goes to.
    #[must_use]
    pub fn cause(self) -> Cause {
        let own = |states: &[S]| self.any(Role::Own, states);
        if let Some((_, cause)) = LOCAL.iter().find(|(state, _)| own(&[*state])) {
            return *cause;
        }
        let tool = self.has_tool();
        if tool && own(&STRONG) {
            return Cause::Tool;
        }
        if let Some((_, cause)) = FLIGHTS.iter().find(|(flight, _)| self.has(*flight) && self.may_wait()) {
            return *cause;
        }
        if tool && own(&WEAK) && !own(&PERSON) {
            return Cause::Tool;
        }
        if own(&[S::Lock]) {
            return Cause::Lock;
        }
        if own(&[S::Network]) || (self.asks_hosts() && own(&WEAK) && !own(&PERSON)) {
            return Cause::Network;
        }
        self.without_blame(tool)
    }

    /// The cause where nothing that the agent waits for explains it. What helpers do unasked, the agent does not wait for: it may
    /// be for somebody else.
    fn without_blame(self, tool: bool) -> Cause {
        let own = |states: &[S]| self.any(Role::Own, states);
        let background = self.any(Role::Tool, &WORK);
        let alone = !own(&S::ALL);
        if background || (alone && tool) {
            Cause::Tool
        } else if own(&[S::Terminal, S::Outside, S::Poll, S::Timer, S::Ipc, S::Child]) {
            Cause::Idle
        } else if own(&[S::Futex]) {
            Cause::Lock
        } else {
            Cause::Unknown
        }
    }

    /// Whether a tool works, as far as can be seen: one lives that is no helper, or a helper serves.
    fn has_tool(self) -> bool {
        let serves = S::ALL.into_iter().filter(|state| !matches!(state, S::Ipc | S::Poll | S::Futex));
        self.has(Bit::TOOL_ALIVE) || serves.into_iter().any(|state| self.has(Bit::of(Role::Tool, state)))
    }

    /// Whether another host was asked, and has not answered whole.
    fn asks_hosts(self) -> bool {
        HOSTS.into_iter().any(|bit| self.has(bit))
    }

    /// Whether a thread of the agent may be waiting for a model: those at a terminal or asleep are not.
    fn may_wait(self) -> bool {
        let elsewhere = [S::Terminal, S::Outside, S::Timer];
        S::ALL.into_iter().any(|state| !elsewhere.contains(&state) && self.has(Bit::of(Role::Own, state)))
    }

    /// What is present and may be hidden: calls to models, tools, and what other hosts were asked.
    pub(super) fn present(self) -> impl Iterator<Item = Cause> {
        let flight = FLIGHTS.into_iter().find(|(flight, _)| self.has(*flight)).map(|(_, cause)| cause);
        let beside = [(self.has_tool(), Cause::Tool), (self.asks_hosts(), Cause::Network)];
        flight.into_iter().chain(beside.into_iter().filter(|(is, _)| *is).map(|(_, cause)| cause))
    }
}
