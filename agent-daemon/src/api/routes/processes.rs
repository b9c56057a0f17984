//! An agent's process tree.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::process::{LiveDto, ProcessTreeDto},
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
    /// Processes that lived within this long, such as `60s`.
    since: Option<String>,
    /// Processes that lived at this time or later.
    from: Option<String>,
    /// Processes that were created before this time.
    to: Option<String>,
}

/// The process tree
///
/// Every process of the agent that lived in the range, with its exit code or signal, CPU time, memory, threads and descriptors.
#[utoipa::path(get, path = "/api/v1/agents/{id}/processes", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = ProcessTreeDto, description = "The tree"), AgentRefusals))]
pub(super) async fn processes(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<ProcessTreeDto>, Problem> {
    let Params { since, from, to } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let rows = query::tree(store.processes(&id, range)?);
        Ok((LiveDto::of(&rows), rows.into_iter().map(Into::into).collect()))
    });
    let (live, processes) = fold.await?;
    Ok(Json(ProcessTreeDto { agent: agent.id.to_string(), processes, live }))
}
