//! An agent's calls of CUDA.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    api::{
        dto::cuda::{CudaCallsDto, CudaGpusDto, CudaReportDto, CudaWaitsDto},
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
    store::query::{self, By, Covered, CoveredFold, CudaFold, CudaTotals},
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
        let gpus = query::agent_gpus(store, &id, range)?.gpus;
        let folds = (CoveredFold::default(), CudaFold::new(by));
        let (covered, totals) = query::over(store, &id, range, folds)?;
        Ok(report(&Subject::new(agent, processes), by, covered, &totals, &gpus))
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
