//! Where an agent's time went.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::ledger::LedgerDto,
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::RangeQuery,
        state::State,
    },
    model::{probe::Probe, time::Timestamp},
    store::query::{self, CoveredFold, LedgerFold},
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

/// Ledger
///
/// Where every second of the agent went: an exclusive division of the wall clock by cause, whose sum is the wall. What
/// was true at once and is hidden by that (a call to a model under the agent's own work), and the time of threads side
/// by side, stand beside it.
#[utoipa::path(get, path = "/api/v1/agents/{id}/ledger", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = LedgerDto, description = "Causes, overlaps and thread-time"), AgentRefusals))]
pub(super) async fn ledger(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<LedgerDto>, Problem> {
    let Params { since, from, to } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let folds = (CoveredFold::default(), LedgerFold::default());
        let (covered, ledger) = query::over(store, &id, range, folds)?;
        let watched = agent.probes.contains(Probe::Ledger);
        Ok(LedgerDto::new(id.to_string(), watched, covered.map(Into::into), &ledger))
    });
    fold.await.map(Json)
}
