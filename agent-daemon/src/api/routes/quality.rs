//! How well an agent's stacks are seen.

use std::cmp::Reverse;

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::quality::{ProcessQualityDto, QualityReportDto},
        error::Problem,
        extract::{AgentPath, StrictQuery},
        formats::Subject,
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::time::{TimeRange, Timestamp},
    store::query::{self, CoveredFold, QualityFold},
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
}

/// Quality of stacks
///
/// How the walks of each process's stacks ended, and why: what share of the profiles is complete, and what the
/// rest lacks.
#[utoipa::path(get, path = "/api/v1/agents/{id}/stacks/quality", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = QualityReportDto, description = "Shares by process"), AgentRefusals))]
pub(super) async fn quality(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<QualityReportDto>, Problem> {
    let Params { since, from, to } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let subject = Subject::new(agent, store.processes(&id, TimeRange::ALL)?);
        let fold = (CoveredFold::default(), QualityFold::default());
        let (covered, quality) = query::over(store, &id, range, fold)?;
        let row = |(process, quality): (&_, &_)| {
            let process: crate::model::id::ProcessId = *process;
            ProcessQualityDto::new(process.pid(), subject.comm(process).map(str::to_owned), quality)
        };
        let mut processes: Vec<_> = quality.processes.iter().map(row).collect();
        processes.sort_by_key(|p| (Reverse(p.cpu.count + p.off_cpu.count), p.pid));
        Ok(QualityReportDto { agent: id.to_string(), covered: covered.map(Into::into), processes })
    });
    fold.await.map(Json)
}
