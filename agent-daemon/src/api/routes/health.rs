//! Whether the daemon lives, for supervisors and probes.

use axum::{Json, extract::State as Shared};

use crate::api::{
    dto::{problem::ProblemDto, status::HealthDto},
    error::Problem,
    openapi::Refusals,
    state::State,
};

/// Lives
///
/// Answers as long as the daemon can answer at all.
#[utoipa::path(get, path = "/healthz", tag = "health",
    responses((status = 200, body = HealthDto, description = "It lives"), Refusals))]
pub(super) async fn healthz() -> Json<HealthDto> {
    Json(HealthDto { status: "ok".to_owned() })
}

/// Is ready
///
/// Ready once the kernel programs are loaded and agents can be watched.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses(
        (status = 200, body = HealthDto, description = "It is ready"),
        (status = 503, body = ProblemDto, content_type = "application/problem+json", description = "Not yet, or no longer"),
        Refusals,
    ))]
pub(super) async fn readyz(Shared(state): Shared<State>) -> Result<Json<HealthDto>, Problem> {
    if *state.ready.borrow() {
        Ok(Json(HealthDto { status: "ready".to_owned() }))
    } else {
        Err(Problem::unavailable("agentperf is starting or shutting down"))
    }
}
