//! The longest waits of a range, and whom they were for.

use axum::{Json, extract::State as Shared};
use rustc_hash::FxHashSet;
use serde::Deserialize;

use crate::{
    api::{
        dto::off_cpu::{LongWaitDto, LongestWaitsDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{
        agent::Agent,
        probe::Probe,
        process::Process,
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        query::{self, CoveredFold, LongWait, LongWaitsFold},
    },
};

/// Waits that are shown unless `limit` says otherwise.
const LIMIT: usize = 10;

/// The most waits that are shown.
const MAX_LIMIT: usize = 100;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, since the agent was attached.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// Waits to show, the longest; 10 if absent, 100 at most.
    #[param(maximum = 100)]
    limit: Option<usize>,
}

/// Longest waits
///
/// The longest waits of the agent's threads in a range, each with its stack and the process that ended it; and, as far as it is
/// likely, what that process waited for itself meanwhile, and so on. Sleeps, waits at terminals, parked threads and event loops
/// that nobody is known to have woken are left out. When a wait ended is known to the window.
#[utoipa::path(get, path = "/api/v1/agents/{id}/blocked-on/longest", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = LongestWaitsDto, description = "The waits, with their chains"), AgentRefusals))]
pub(super) async fn longest(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(Params { since, from, to, limit }): StrictQuery<Params>,
) -> Result<Json<LongestWaitsDto>, Problem> {
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let limit = limit.unwrap_or(LIMIT);
    if limit > MAX_LIMIT {
        return Err(Problem::bad_request(format_args!("`limit` may be {MAX_LIMIT} at most")));
    }
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| report(store, &agent, range, limit));
    fold.await.map(Json)
}

fn report(
    store: &dyn Store,
    agent: &Agent,
    range: TimeRange,
    limit: usize,
) -> Result<LongestWaitsDto, Problem> {
    let fold = (CoveredFold::default(), LongWaitsFold::default());
    let (covered, waits) = query::over(store, &agent.id, range, fold)?;
    let processes = store.processes(&agent.id, TimeRange::ALL)?;
    let mut shown = FxHashSet::default();
    let mut chains = Vec::new();
    for first in 0..waits.len() {
        if chains.len() == limit {
            break;
        }
        if shown.contains(&first) {
            continue;
        }
        let links = query::chain(&waits, first);
        shown.extend(links.iter().copied());
        chains.push(
            links
                .into_iter()
                .filter_map(|link| waits.get(link))
                .map(|wait| named(wait, &processes))
                .collect(),
        );
    }
    Ok(LongestWaitsDto {
        agent: agent.id.to_string(),
        covered: covered.map(Into::into),
        watched: agent.probes.contains(Probe::OffCpu),
        chains,
    })
}

/// A wait with the names of who waited and who ended it.
fn named(wait: &LongWait, processes: &[Process]) -> LongWaitDto {
    let comm =
        processes.iter().find(|process| process.id == wait.process).map(|process| process.comm.clone());
    // The pid may have been another one's before, or since.
    let lived = |process: &&Process| {
        Some(process.id.pid()) == wait.waker
            && process.started < wait.to
            && process.ended.is_none_or(|ended| ended >= wait.from)
    };
    let waker = processes.iter().find(lived).map(|process| process.comm.clone());
    LongWaitDto::new(wait, comm, waker)
}
