//! What an agent did with GPUs.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::gpu::AgentGpusDto,
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::time::Timestamp,
    store::query,
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

/// GPUs of an agent
///
/// How long work of the agent's processes ran on each GPU, the energy of that time, and the memory that they have.
/// NVML tells processes by the host's pids: a daemon in a pid namespace of its own needs `gpu.host_proc`.
#[utoipa::path(get, path = "/api/v1/agents/{id}/gpus", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = AgentGpusDto, description = "The GPUs"), AgentRefusals))]
pub(super) async fn gpus(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<AgentGpusDto>, Problem> {
    let Params { since, from, to } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| Ok(query::agent_gpus(store, &id, range)?));
    Ok(Json(AgentGpusDto::new(agent.id.to_string(), fold.await?)))
}
