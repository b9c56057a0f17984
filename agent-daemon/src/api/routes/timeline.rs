//! An agent's ledger in the order of time.

use std::time::Duration;

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::timeline::TimelineDto,
        error::Problem,
        extract::{AgentPath, StrictQuery},
        openapi::AgentRefusals,
        range::{RangeQuery, duration},
        state::State,
    },
    model::{probe::Probe, time::Timestamp},
    store::query::{self, CoveredFold, TimelineFold},
};

/// How long segments are unless the query says otherwise: as short as windows are, as long as that is not too many.
const RESOLUTION: Duration = Duration::from_secs(1);

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
    /// How long segments are, such as `1m`; as short as windows are if absent. Windows are not divided.
    resolution: Option<String>,
}

/// Timeline
///
/// The ledger in the order of time: segments fit to draw, each with its wall clock divided by cause. Over all segments
/// each cause sums up to what the ledger says of the same range.
#[utoipa::path(get, path = "/api/v1/agents/{id}/timeline", tag = "reports",
    params(("id" = String, Path, description = "The agent's id, PID-STARTMS"), Params),
    responses((status = 200, body = TimelineDto, description = "The segments"), AgentRefusals))]
pub(super) async fn timeline(
    Shared(state): Shared<State>,
    AgentPath(id): AgentPath,
    StrictQuery(params): StrictQuery<Params>,
) -> Result<Json<TimelineDto>, Problem> {
    let Params { since, from, to, resolution } = &params;
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let resolution = resolution.as_deref().map_or(Ok(RESOLUTION), |text| duration("resolution", text))?;
    let agent = state.agent(&id)?;
    let range = range.resolve(&agent, Timestamp::now())?;
    let fold = state.fold(move |store| {
        let folds = (CoveredFold::default(), TimelineFold::new(resolution));
        let (covered, timeline) = query::over(store, &id, range, folds)?;
        let watched = agent.probes.contains(Probe::Ledger);
        Ok(TimelineDto::new(id.to_string(), watched, covered.map(Into::into), &timeline))
    });
    fold.await.map(Json)
}
