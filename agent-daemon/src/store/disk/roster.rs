//! All agents that are known, in memory: there are few, and everybody asks for them.

use rusqlite::{Connection, Row};
use rustc_hash::FxHashMap;

use super::{codec::agent, head::Part};
use crate::model::{agent::Agent, id::AgentId, time::Timestamp};

/// The agents by id.
#[derive(Debug)]
pub(super) struct Roster {
    agents: FxHashMap<AgentId, Agent>,
    max: usize,
}

/// What became of an agent that was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is kept.
    Kept,
    /// It is kept; the agent that ended first is not any more.
    InPlaceOfAnother,
    /// There is no room, and all others live.
    Refused,
}

impl Roster {
    /// The agents of the database, and how many could not be read.
    pub(super) fn read(db: &Connection, max: usize) -> rusqlite::Result<(Self, u64)> {
        let mut query = db.prepare("SELECT record FROM agent")?;
        let mut agents = FxHashMap::default();
        let mut unread = 0;
        for record in query.query_map([], |row: &Row<'_>| row.get::<_, Vec<u8>>(0))? {
            match agent::decode(&record?) {
                Ok(agent) => drop(agents.insert(agent.id.clone(), agent)),
                Err(_) => unread += 1,
            }
        }
        Ok((Self { agents, max }, unread))
    }

    /// Takes a new agent or a newer version of one, and tells the part.
    pub(super) fn put(&mut self, agent: Agent, part: &mut Part) -> Put {
        let before = self.agents.get(&agent.id);
        let full = before.is_none() && self.agents.len() >= self.max;
        let gone = if full { self.ended_first() } else { None };
        if full && gone.is_none() {
            return Put::Refused;
        }
        part.put_agent(agent.clone(), before);
        self.agents.insert(agent.id.clone(), agent);
        let Some(gone) = gone else { return Put::Kept };
        self.agents.remove(&gone);
        part.forget(&gone);
        part.forgotten.push(gone);
        Put::InPlaceOfAnother
    }

    fn ended_first(&self) -> Option<AgentId> {
        let ended = self.agents.values().filter_map(|a| a.ended.map(|(at, _)| (at, &a.id)));
        ended.min().map(|(_, id)| id.clone())
    }

    pub(super) fn get(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }

    pub(super) fn remove(&mut self, id: &AgentId) {
        self.agents.remove(id);
    }

    /// All, oldest first.
    pub(super) fn all(&self) -> Vec<Agent> {
        let mut agents: Vec<_> = self.agents.values().cloned().collect();
        agents.sort_by(|a, b| (a.attached, &a.id).cmp(&(b.attached, &b.id)));
        agents
    }

    /// Those that ended at `cutoff` or before.
    pub(super) fn ended_before(&self, cutoff: Timestamp) -> Vec<AgentId> {
        let over = |a: &&Agent| a.ended.is_some_and(|(at, _)| at <= cutoff);
        self.agents.values().filter(over).map(|a| a.id.clone()).collect()
    }
}
