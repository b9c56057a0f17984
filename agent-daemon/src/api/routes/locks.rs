//! What locks an agent waited for.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use super::report::{Page, subject};
use crate::{
    api::{
        dto::locks::{LockDto, LockReportDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{probe::Probe, time::Timestamp},
    store::query::{self, CoveredFold, LockTotal, OffCpuFold},
};

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
    /// How many rows at most, 1 to 1000; 20 if absent.
    limit: Option<usize>,
    /// How many are left out at the beginning, at most 10000.
    offset: Option<usize>,
}

/// Locks
///
/// Where the agent's threads waited for locks, for how long, and who handed them over: the off-CPU time whose cause is
/// `lock`. A futex counts as a lock once a thread that itself waited for it has handed it over.
#[utoipa::path(get, path = "/api/v1/agents/{id}/locks", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = LockReportDto, description = "A page of places"), AgentRefusals))]
pub(super) async fn locks(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<LockReportDto>, Problem> {
    let agent = state.agent(&id)?;
    let Params { since, from, to, .. } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let range = range.resolve(&agent, Timestamp::now())?;
    let page = Page::asked(params.limit, 20, params.offset)?;
    let fold = state.fold(move |store| {
        let subject = subject(store, agent, true)?;
        let folds = (CoveredFold::default(), OffCpuFold::default());
        let (covered, totals) = query::over(store, &id, range, folds)?;
        let rows = query::locks(&totals);
        let shown = |lock: &LockTotal| LockDto::new(lock, subject.comm(lock.process).map(str::to_owned));
        let (shown_rows, next_offset) = page.of(&rows);
        Ok(LockReportDto {
            agent: id.to_string(),
            covered: covered.map(Into::into),
            watched: subject.agent.probes.contains(Probe::OffCpu),
            rows: rows.len() as u64,
            next_offset,
            locks: shown_rows.map(shown).collect(),
        })
    });
    fold.await.map(Json)
}
