//! Reactions: what alerts did by themselves, the files that they wrote, and the ways to take one back or to ask the flight
//! recorder by hand.

use axum::{
    Json,
    extract::{Path, State as Shared},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::task::spawn_blocking;

use crate::{
    alert::reaction::ReactionError,
    api::{
        dto::{
            problem::ProblemDto,
            reaction::{ReactionDto, ReactionListDto},
        },
        error::Problem,
        extract::{Nothing, StrictQuery},
        openapi::Refusals,
        state::State,
    },
};

/// The reactions
///
/// What alerts did by themselves, what they would have done, and what was refused, the newest first.
#[utoipa::path(get, path = "/api/v1/alerts/reactions", tag = "alerts",
    responses((status = 200, body = ReactionListDto, description = "The reactions"), Refusals))]
pub(super) async fn list(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
) -> Result<Json<ReactionListDto>, Problem> {
    let (entries, view) = (state.alerts.reactions().entries(), state.alerts.view());
    let (enabled, dry_run) = view.reactions;
    let reactions = entries.iter().rev().map(ReactionDto::from).collect();
    Ok(Json(ReactionListDto { enabled, dry_run, reactions }))
}

/// Take a reaction back
///
/// Limits become what they were, paused processes go on; what waits for its time is called off.
#[utoipa::path(post, path = "/api/v1/alerts/reactions/{id}/undo", tag = "alerts",
    params(("id" = u64, Path, description = "The reaction's number")),
    responses((status = 200, body = ReactionDto, description = "It is taken back"),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such reaction"),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "It is not in force, or cannot be taken back"),
        (status = 503, body = ProblemDto, content_type = "application/problem+json", description = "Alerts are off or busy, or the daemon stops"),
        Refusals))]
pub(super) async fn undo(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    _: StrictQuery<Nothing>,
) -> Result<Json<ReactionDto>, Problem> {
    let entry = state.alerts.reactions().undo(number(&id)?).await?;
    Ok(Json(ReactionDto::from(&entry)))
}

/// Dump the flight recorder
///
/// Writes all that it has into a file, which `agentperf store import` reads.
#[utoipa::path(post, path = "/api/v1/alerts/reactions/dump", tag = "alerts",
    responses((status = 201, body = ReactionDto, description = "The file is there"),
        (status = 409, body = ProblemDto, content_type = "application/problem+json", description = "There is no flight recorder, or the last dump was just now"),
        (status = 503, body = ProblemDto, content_type = "application/problem+json", description = "Alerts are off or busy, or the daemon stops"),
        Refusals))]
pub(super) async fn dump(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
) -> Result<(StatusCode, Json<ReactionDto>), Problem> {
    let entry = state.alerts.reactions().dump().await?;
    Ok((StatusCode::CREATED, Json(ReactionDto::from(&entry))))
}

/// A file that a reaction wrote
///
/// A profile as pprof or folded text, or a dump of the flight recorder. The oldest files go.
#[utoipa::path(get, path = "/api/v1/alerts/reactions/{id}/files/{name}", tag = "alerts",
    params(("id" = u64, Path, description = "The reaction's number"), ("name" = String, Path, description = "The file's name")),
    responses(
        (status = 200, description = "The file", content((Vec<u8> = "application/octet-stream"))),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such file, or none any more"),
        Refusals))]
pub(super) async fn file(
    Shared(state): Shared<State>,
    Path((id, name)): Path<(String, String)>,
    _: StrictQuery<Nothing>,
) -> Result<Response, Problem> {
    let gone = || {
        let detail =
            "this reaction has no such file, or none any more; GET /api/v1/alerts/reactions lists them";
        Problem::new(StatusCode::NOT_FOUND, "unknown-file", "Unknown file", detail)
    };
    let path = state.alerts.reactions().file(number(&id)?, &name).ok_or_else(gone)?;
    // Bounded by alerts.reactions.max_size.
    let read = spawn_blocking(move || std::fs::read(path)).await;
    let bytes = read.map_err(|error| Problem::internal("file", &error))?.map_err(|_| gone())?;
    let attachment = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let attachment = attachment.map_err(|error| Problem::internal("file name", &error))?;
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, attachment)], bytes).into_response())
}

fn number(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| Problem::bad_request("a reaction's id is a number"))
}

impl From<ReactionError> for Problem {
    fn from(error: ReactionError) -> Self {
        match error {
            ReactionError::Unknown(_) => {
                Self::new(StatusCode::NOT_FOUND, "unknown-reaction", "Unknown reaction", error)
            }
            ReactionError::NotInForce(_) => Self::conflict("not-in-force", "Not in force", error),
            ReactionError::Failed(_) => Self::conflict("not-done", "Not done", error),
            ReactionError::Off => Self::unavailable(error),
        }
    }
}
