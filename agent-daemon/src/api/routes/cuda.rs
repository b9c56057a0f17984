//! An agent's calls of CUDA.

use axum::{Json, extract::State as Shared};

use super::{calls_by::Params, report::subject};
use crate::{
    api::{
        dto::cuda::{CudaCallsDto, CudaGpusDto, CudaReportDto, CudaWaitsDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        formats::Subject,
        openapi::AgentRefusals,
        state::State,
    },
    model::probe::Probe,
    store::query::{self, By, Covered, CoveredFold, CudaFold, CudaTotals},
};

/// Calls of CUDA
///
/// Launches, copies, allocations and waits of the agent's processes by CUDA's driver API; how long they waited for the
/// GPU, asleep or spinning; and, where NVML tells of the agent's processes, how long the GPU idled while they worked.
#[utoipa::path(get, path = "/api/v1/agents/{id}/cuda", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = CudaReportDto, description = "Calls, waits and use of the GPU"), AgentRefusals))]
pub(super) async fn cuda(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<CudaReportDto>, Problem> {
    let agent = state.agent(&id)?;
    let (range, by) = (params.range(&agent)?, params.by());
    let fold = state.fold(move |store| {
        let subject = subject(store, agent, by == By::Process)?;
        let gpus = query::agent_gpus(store, &id, range)?.gpus;
        let folds = (CoveredFold::default(), CudaFold::new(by));
        let (covered, totals) = query::over(store, &id, range, folds)?;
        Ok(report(&subject, by, covered, &totals, &gpus))
    });
    fold.await.map(Json)
}

fn report(
    subject: &Subject,
    by: By,
    covered: Option<Covered>,
    totals: &CudaTotals,
    gpus: &[query::AgentGpu],
) -> CudaReportDto {
    let covered_ns =
        covered.map_or(0, |covered| covered.range.to.duration_since(covered.range.from).as_nanos());
    let covered_ns = u64::try_from(covered_ns).unwrap_or(0);
    let watched = |probe| subject.agent.probes.contains(probe);
    let asleep = watched(Probe::OffCpu).then_some(totals.asleep_ns);
    let waits = CudaWaitsDto::new(&totals.calls, covered_ns, asleep);
    let calls = totals.calls.iter().map(|sum| {
        let process = (by == By::Process).then_some(sum.process);
        let comm = process.and_then(|process| subject.comm(process)).map(str::to_owned);
        CudaCallsDto::new(sum, process, comm)
    });
    CudaReportDto {
        agent: subject.agent.id.to_string(),
        covered: covered.map(Into::into),
        watched: watched(Probe::Cuda),
        calls: calls.collect(),
        gpus: CudaGpusDto::new(gpus, covered_ns, &waits),
        waits,
    }
}
