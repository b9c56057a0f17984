//! An agent's syscalls.

use axum::{Json, extract::State as Shared};

use super::{calls_by::Params, report::subject};
use crate::{
    api::{
        dto::syscall::{SyscallDto, SyscallReportDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        state::State,
    },
    model::probe::Probe,
    store::query::{self, By, CoveredFold, SyscallFold},
};

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
    let agent = state.agent(&id)?;
    let (range, by) = (params.range(&agent)?, params.by());
    let fold = state.fold(move |store| {
        let subject = subject(store, agent, by == By::Process)?;
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
