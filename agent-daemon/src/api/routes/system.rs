//! The host: what kind it is, and what it did.

use axum::{Json, extract::State as Shared};
use serde::Deserialize;

use crate::{
    api::{
        dto::{system::SystemMetricsDto, system_info::SystemInfoDto},
        error::Problem,
        extract::{Nothing, StrictQuery},
        openapi::Refusals,
        range::RangeQuery,
        state::State,
    },
    model::time::Timestamp,
    store::query,
};

/// The most points of an answer.
const MOST: usize = 1000;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Params {
    /// How far back, such as `60s`.
    since: Option<String>,
    /// Start of the range; without any range, the last hour.
    from: Option<String>,
    /// End of the range.
    to: Option<String>,
    /// How many points at most, 1 to 1000; 60 if absent. There are at least half as many where there are windows enough.
    #[param(minimum = 1, maximum = 1000)]
    points: Option<usize>,
}

/// The host
///
/// What kind of host this is: operating system, kernel, CPUs, memory, GPUs, and whether it is a virtual machine or a
/// container.
#[utoipa::path(get, path = "/api/v1/system/info", tag = "host",
    responses((status = 200, body = SystemInfoDto, description = "The host"), Refusals))]
pub(super) async fn info(Shared(state): Shared<State>, _: StrictQuery<Nothing>) -> Json<SystemInfoDto> {
    Json(SystemInfoDto::new(&state.host, &state.system, state.telemetry.gpus(), Timestamp::now()))
}

/// What the host did
///
/// CPU time by mode and CPU, load, pressure, memory, file systems, disks, network interfaces and GPUs over a range, and how it
/// went. Recorded once per window; old windows are merged into minutes and hours, whose amounts are the sums.
#[utoipa::path(get, path = "/api/v1/system/metrics", tag = "host", params(Params),
    responses((status = 200, body = SystemMetricsDto, description = "The range"), Refusals))]
pub(super) async fn metrics(
    Shared(state): Shared<State>,
    StrictQuery(Params { since, from, to, points }): StrictQuery<Params>,
) -> Result<Json<SystemMetricsDto>, Problem> {
    let points = points.unwrap_or(60);
    if !(1..=MOST).contains(&points) {
        return Err(Problem::bad_request(format_args!("`points` must be a number from 1 to {MOST}")));
    }
    let range = RangeQuery { since: since.as_deref(), from: from.as_deref(), to: to.as_deref() };
    let range = range.resolve_recent(Timestamp::now())?;
    let fold = state.fold(move |store| Ok(query::host_history(store, range, points)?));
    fold.await.map(|history| Json(SystemMetricsDto::new(history)))
}
