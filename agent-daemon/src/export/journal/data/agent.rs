//! An agent in the journal.

use serde::{Deserialize, Serialize};

use super::{DataError, Kind, process_id::Id};
use crate::model::{
    agent::{Agent, AgentEnd, AgentSource},
    probe::Probe,
    time::Timestamp,
};

/// An agent.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct AgentData {
    v: u32,
    agent: String,
    name: String,
    root: Id,
    created: Timestamp,
    attached: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end_reason: Option<EndReason>,
    /// The rule that matched it; none where it was attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    probes: Vec<Probe>,
    boot_id: String,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EndReason {
    Exited,
    Detached,
    Expired,
    Interrupted,
}

impl From<&Agent> for AgentData {
    fn from(agent: &Agent) -> Self {
        Self {
            v: Kind::Agent.version(),
            agent: agent.id.to_string(),
            name: agent.name.clone(),
            root: Id(agent.root),
            created: agent.created,
            attached: agent.attached,
            expires: agent.expires,
            ended: agent.ended.map(|(at, _)| at),
            end_reason: agent.ended.map(|(_, why)| reason(why)),
            rule: match &agent.source {
                AgentSource::Rule(name) => Some(name.clone()),
                AgentSource::Attach => None,
            },
            probes: agent.probes.iter().collect(),
            boot_id: agent.boot_id.clone(),
        }
    }
}

impl TryFrom<AgentData> for Agent {
    type Error = DataError;

    fn try_from(data: AgentData) -> Result<Self, DataError> {
        Ok(Self {
            id: data.agent.parse().map_err(|_| DataError::Value("an agent's id"))?,
            name: data.name,
            root: data.root.0,
            created: data.created,
            attached: data.attached,
            expires: data.expires,
            ended: data.ended.zip(data.end_reason.map(end)),
            source: data.rule.map_or(AgentSource::Attach, AgentSource::Rule),
            probes: data.probes.into_iter().collect(),
            boot_id: data.boot_id,
        })
    }
}

fn reason(why: AgentEnd) -> EndReason {
    match why {
        AgentEnd::Exited => EndReason::Exited,
        AgentEnd::Detached => EndReason::Detached,
        AgentEnd::Expired => EndReason::Expired,
        AgentEnd::Interrupted => EndReason::Interrupted,
    }
}

fn end(reason: EndReason) -> AgentEnd {
    match reason {
        EndReason::Exited => AgentEnd::Exited,
        EndReason::Detached => AgentEnd::Detached,
        EndReason::Expired => AgentEnd::Expired,
        EndReason::Interrupted => AgentEnd::Interrupted,
    }
}
