//! Agents on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::{AgentEndDto, ProbeDto};
use crate::model::{
    agent::{Agent, AgentSource},
    time::Timestamp,
};

/// A process tree under watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Agent)]
pub struct AgentDto {
    /// Identity: the root's pid and its creation time in Unix milliseconds.
    #[schema(example = "4711-1763738400123")]
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// The root process's pid.
    pub pid: u32,
    /// Whether it is watched now.
    pub state: AgentStateDto,
    /// Why it is watched.
    pub source: AgentSourceDto,
    /// The rule that matched its root, where a rule did.
    pub rule: Option<String>,
    /// What it is watched by: what was wished for, less what the host refuses.
    pub probes: Vec<ProbeDto>,
    /// When the root process was created.
    pub created: Timestamp,
    /// Since when it is watched. Reports without a range begin here; what an earlier watch of the same process
    /// saw is read by `since` or `from`.
    pub attached: Timestamp,
    /// When watching ends by itself.
    pub expires: Option<Timestamp>,
    /// When watching ended.
    pub ended: Option<Timestamp>,
    /// Why watching ended.
    pub end_reason: Option<AgentEndDto>,
    /// The kernel's boot id.
    pub boot_id: String,
}

/// Whether an agent is watched now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AgentState)]
pub enum AgentStateDto {
    /// It is.
    Live,
    /// No longer.
    Ended,
}

/// Why an agent is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = AgentSource)]
pub enum AgentSourceDto {
    /// A rule matched its root.
    Rule,
    /// Somebody attached it by pid.
    Attach,
}

impl From<Agent> for AgentDto {
    fn from(agent: Agent) -> Self {
        let (source, rule) = match agent.source {
            AgentSource::Rule(rule) => (AgentSourceDto::Rule, Some(rule)),
            AgentSource::Attach => (AgentSourceDto::Attach, None),
        };
        Self {
            id: agent.id.to_string(),
            name: agent.name,
            pid: agent.root.pid(),
            state: if agent.ended.is_some() { AgentStateDto::Ended } else { AgentStateDto::Live },
            source,
            rule,
            probes: agent.probes.iter().map(ProbeDto::from).collect(),
            created: agent.created,
            attached: agent.attached,
            expires: agent.expires,
            ended: agent.ended.map(|(at, _)| at),
            end_reason: agent.ended.map(|(_, why)| why.into()),
            boot_id: agent.boot_id,
        }
    }
}

/// Every agent that is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentList)]
pub struct AgentListDto {
    /// Live and ended ones, oldest first.
    pub agents: Vec<AgentDto>,
}

/// A wish to watch a process and everything below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AttachRequest)]
pub struct AttachRequestDto {
    /// The root process, in the initial pid namespace.
    #[schema(minimum = 1, maximum = 4_194_304, example = 4711)]
    pub pid: i64,
    /// What to call it; the process's own name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// How long to watch, such as `30s`, `5m` or `1h30m`; until it is detached if absent.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    #[schema(example = "30s")]
    pub duration: Option<String>,
    /// What to watch it by; everything that this host allows if absent, life cycle only if empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<Vec<ProbeDto>>,
    /// Watch by the probes only from when one of the processes executes a program: for a parent that forks, attaches and
    /// then lets its child execute. Processes are told from the attach on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_exec: bool,
}
