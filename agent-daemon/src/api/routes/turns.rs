//! An agent's turns.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::turn::TurnListDto,
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::{RangeQuery, duration},
        state::State,
    },
    model::time::Timestamp,
    store::query::{self, CoveredFold},
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
    /// How long the agent must have been idle, waiting for a person or a timer, for a new turn to begin; `5s` if absent.
    gap: Option<String>,
}

/// Turns
///
/// The agent's life divided by its idle gaps: a turn begins when it begins to work after it waited for a person, and ends
/// when it waits again. It is busy while it calls a model, while a tool call goes on, and in windows without either of
/// which it was idle for less than half. Each turn has its calls, tools, tokens and ledger.
#[utoipa::path(get, path = "/api/v1/agents/{id}/turns", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = TurnListDto, description = "The turns, the first first"), AgentRefusals))]
pub(super) async fn turns(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<TurnListDto>, Problem> {
    let Params { since, from, to, gap } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let gap = gap.as_deref().map_or(Ok(query::TURN_GAP), |text| duration("gap", text))?;
    let range = range.resolve(&state.agent(&id)?, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let covered = query::over(store, &id, range, CoveredFold::default())?;
        let turns = query::turns(store, &id, range, gap)?;
        Ok(TurnListDto::new(id.to_string(), covered.map(Into::into), gap, &turns))
    });
    fold.await.map(Json)
}
