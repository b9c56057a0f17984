//! Who waits for whom, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    blocked_names::{ChainEndDto, EvidenceDto, TargetKindDto},
    stack::StackDto,
    syscall::call_name,
};
use crate::model::{
    blocked::{Blocked, Chain, Link, Target, ThreadWait, Waits},
    time::Timestamp,
};

/// Who an agent waits for at this moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BlockedOn)]
pub struct BlockedOnDto {
    /// Whose.
    pub agent: String,
    /// The moment.
    pub at: Timestamp,
    /// Whether no thread of the agent's own ran or could have run then.
    pub blocked: bool,
    /// Threads of the agent's own. Those of pools that are parked have no chain.
    pub own_threads: usize,
    /// The chains, the one that says most first; 16 at most.
    pub chains: Vec<ChainDto>,
    /// False where more descriptors or threads had to be looked at than are: then an end may be wrong.
    pub complete: bool,
}

/// A thread of the agent's own, who it waits for, and so on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BlockedChain)]
pub struct ChainDto {
    /// Each waits for the next one.
    pub links: Vec<LinkDto>,
    /// Why the last one is the last: what it does, or what it waits for that is no thread of an agent.
    pub end: ChainEndDto,
}

/// One thread of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BlockedLink)]
pub struct LinkDto {
    /// Its process.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// The thread's name.
    pub comm: String,
    /// The agent that it belongs to.
    pub agent: Option<String>,
    /// Whose work it does: own, tool or helper.
    pub role: String,
    /// What it does or waits for, as the ledger says it; null where it has not been seen at a switch yet.
    pub state: Option<String>,
    /// Since when; null where waits are not timed (without the probe `off_cpu`), and on a CPU.
    pub since: Option<Timestamp>,
    /// For how long.
    pub seconds: Option<f64>,
    /// The system call in progress.
    pub syscall: Option<String>,
    /// What it waits for, what leads to the next link first; 16 at most.
    pub waits_for: Vec<TargetDto>,
    /// How it is known that it waits for the next link; null at the end.
    pub by: Option<EvidenceDto>,
    /// Where it waits; null until a window has been stored since the wait began.
    pub stack: Option<StackDto>,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BlockedTarget)]
pub struct TargetDto {
    /// The descriptor, where it is one.
    pub descriptor: Option<u32>,
    /// What it is.
    pub kind: TargetKindDto,
    /// Its name: a path, the address of a socket's other end, an inode, a pid.
    pub name: Option<String>,
}

impl BlockedOnDto {
    /// Who is waited for, on the wire; `stack` tells where a thread waits.
    #[must_use]
    pub fn new(
        agent: String,
        waits: &Waits,
        found: &Blocked,
        stack: impl Fn(&ThreadWait) -> Option<StackDto>,
    ) -> Self {
        let link = |link: &Link| LinkDto {
            pid: link.thread.process.pid(),
            tid: link.thread.tid,
            comm: link.comm.clone(),
            agent: waits.agents.get(&link.thread.slot).map(ToString::to_string),
            role: link.thread.role.name().to_owned(),
            state: link.thread.state.map(|state| state.name().to_owned()),
            since: link.thread.since,
            seconds: link.thread.since.map(|since| found.at.duration_since(since).as_secs_f64().max(0.0)),
            syscall: link.thread.syscall.map(call_name),
            waits_for: link.waits_for.iter().map(TargetDto::from).collect(),
            by: link.by.map(Into::into),
            stack: stack(&link.thread),
        };
        let chain =
            |chain: &Chain| ChainDto { links: chain.links.iter().map(link).collect(), end: chain.end.into() };
        Self {
            agent,
            at: found.at,
            blocked: found.blocked,
            own_threads: found.own_threads,
            chains: found.chains.iter().map(chain).collect(),
            complete: found.complete,
        }
    }
}

impl From<&Target> for TargetDto {
    fn from(target: &Target) -> Self {
        Self { descriptor: target.descriptor, kind: target.kind.into(), name: target.name.clone() }
    }
}
