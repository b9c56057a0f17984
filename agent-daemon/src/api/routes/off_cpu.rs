//! What an agent's threads waited for.

use std::cmp::Reverse;

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::off_cpu::{CauseDto, OffCpuReportDto, WaitDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        formats::Subject,
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{
        probe::Probe,
        time::{TimeRange, Timestamp},
    },
    store::{
        Store,
        query::{self, CoveredFold, OffCpuFold},
    },
};

/// Stacks that are shown unless `limit` says otherwise.
const LIMIT: usize = 20;

/// The most stacks that are shown.
const MAX_LIMIT: usize = 1000;

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
    /// Stacks to show, the heaviest; 20 if absent, 1000 at most.
    #[param(maximum = 1000)]
    limit: Option<usize>,
}

/// Off-CPU time
///
/// What the agent's threads waited for: totals, causes, and the heaviest waits with their stacks. Time on
/// the run queue is kept apart from time blocked.
#[utoipa::path(get, path = "/api/v1/agents/{id}/off-cpu", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = OffCpuReportDto, description = "Totals, causes and stacks"), AgentRefusals))]
pub(super) async fn off_cpu(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<OffCpuReportDto>, Problem> {
    let Params { since, from, to, limit } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let limit = limit.unwrap_or(LIMIT);
    if limit > MAX_LIMIT {
        return Err(Problem::bad_request(format_args!("`limit` may be {MAX_LIMIT} at most")));
    }
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let subject = Subject::new(agent, store.processes(&id, TimeRange::ALL)?);
        report(store, &subject, range, limit)
    });
    fold.await.map(Json)
}

fn report(
    store: &dyn Store,
    subject: &Subject,
    range: TimeRange,
    limit: usize,
) -> Result<OffCpuReportDto, Problem> {
    let agent = &subject.agent;
    let fold = (CoveredFold::default(), OffCpuFold::default());
    let (covered, totals) = query::over(store, &agent.id, range, fold)?;
    let mut causes: Vec<_> = totals.causes.iter().collect();
    causes.sort_by_key(|(cause, total)| (Reverse(total.ns()), **cause));
    let wait = |wait| WaitDto::new(wait, subject.comm(wait.process).map(str::to_owned));
    Ok(OffCpuReportDto {
        agent: agent.id.to_string(),
        covered: covered.map(Into::into),
        watched: agent.probes.contains(Probe::OffCpu),
        totals: (&totals).into(),
        causes: causes.into_iter().map(|(cause, total)| CauseDto::new(*cause, total)).collect(),
        stacks: totals.stacks.iter().take(limit).map(wait).collect(),
        stacks_total: totals.stacks.len(),
    })
}
