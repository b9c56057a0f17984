//! An agent's syscalls.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    api::{
        dto::syscall::{SyscallDto, SyscallReportDto},
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
    store::query::{self, By, CoveredFold, SyscallFold},
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
    /// What the calls are summed over; all processes if absent.
    #[param(inline)]
    by: Option<Over>,
}

/// What calls are summed over.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Over {
    /// All processes of the agent.
    Agent,
    /// Each process by itself.
    Process,
}

/// Syscalls
///
/// Counts, errors by name, times and latencies of every syscall.
#[utoipa::path(get, path = "/api/v1/agents/{id}/syscalls", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = SyscallReportDto, description = "The calls, most time first"), AgentRefusals))]
pub(super) async fn syscalls(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<SyscallReportDto>, Problem> {
    let Params { since, from, to, by } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let by = match by {
        Some(Over::Process) => By::Process,
        Some(Over::Agent) | None => By::Agent,
    };
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let processes = match by {
            By::Process => store.processes(&id, TimeRange::ALL)?,
            By::Agent => Vec::new(),
        };
        let subject = Subject::new(agent, processes);
        let fold = (CoveredFold::default(), SyscallFold::new(by));
        let (covered, totals) = query::over(store, &id, range, fold)?;
        let comm = |t: &query::SyscallTotal| t.process.and_then(|p| subject.comm(p)).map(str::to_owned);
        Ok(SyscallReportDto {
            agent: id.to_string(),
            covered: covered.map(Into::into),
            watched: subject.agent.probes.contains(Probe::Syscalls),
            syscalls: totals.iter().map(|t| SyscallDto::new(t, comm(t))).collect(),
        })
    });
    fold.await.map(Json)
}
