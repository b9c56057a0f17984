//! What reports with many rows share: which page of them is asked for, the names of
//! processes, and which agent and range are meant.

use crate::{
    api::{error::Problem, formats::Subject, range::RangeQuery, state::State},
    model::{
        agent::Agent,
        id::AgentId,
        time::{TimeRange, Timestamp},
    },
    store::Store,
};

/// The most rows of a page, and groups of a summary.
const MAX_LIMIT: usize = 1000;
/// The farthest that a page may begin: what is before it is held meanwhile.
const MAX_OFFSET: usize = 10_000;

/// A page of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    /// The page that is asked for, of `default` rows where that is not said.
    pub(super) fn asked(
        limit: Option<usize>,
        default: usize,
        offset: Option<usize>,
    ) -> Result<Self, Problem> {
        Ok(Self { limit: self::limit(limit, default)?, offset: self::offset(offset)? })
    }

    /// The rows on it, and where the next one begins, if there is one.
    pub(super) fn of<T>(self, rows: &[T]) -> (impl Iterator<Item = &T>, Option<usize>) {
        let next = self.offset.saturating_add(self.limit);
        (rows.iter().skip(self.offset).take(self.limit), (next < rows.len()).then_some(next))
    }
}

/// The agent that is asked for, if one is, and the range: without any, that agent's present watch, or the last hour.
pub(super) fn of_agent_or_all(
    state: &State,
    agent: Option<&str>,
    range: RangeQuery<'_>,
) -> Result<(Option<AgentId>, TimeRange), Problem> {
    let agent: Option<AgentId> = agent.map(str::parse).transpose().map_err(Problem::bad_request)?;
    let now = Timestamp::now();
    let range = match &agent {
        Some(agent) => range.resolve(&state.agent(agent)?, now)?,
        None => range.resolve_recent(now)?,
    };
    Ok((agent, range))
}

/// Where a page begins.
pub(super) fn offset(asked: Option<usize>) -> Result<usize, Problem> {
    let offset = asked.unwrap_or(0);
    if offset <= MAX_OFFSET {
        return Ok(offset);
    }
    Err(Problem::bad_request(format_args!("`offset` may be {MAX_OFFSET} at most: ask for a shorter range")))
}

/// How many are on a page.
pub(super) fn limit(asked: Option<usize>, default: usize) -> Result<usize, Problem> {
    let limit = asked.unwrap_or(default);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::bad_request(format_args!("`limit` must be a number from 1 to {MAX_LIMIT}")))
}

/// The agent, with its processes where these are told apart.
pub(super) fn subject(store: &dyn Store, agent: Agent, by_process: bool) -> Result<Subject, Problem> {
    let processes = if by_process { store.processes(&agent.id, TimeRange::ALL)? } else { Vec::new() };
    Ok(Subject::new(agent, processes))
}
