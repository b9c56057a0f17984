//! Alerts: what is wrong now, what was, by which rules, and who does not want to hear of it.

use std::{cmp::Reverse, str::FromStr};

use axum::{
    Json,
    extract::{Path, State as Shared},
    http::StatusCode,
};
use serde::Deserialize;

use crate::{
    alert::{
        labels::Fingerprint,
        live::AlertsError,
        matcher::Matcher,
        route::{Silence, SilenceError},
    },
    api::{
        dto::alert::{
            AlertDto, AlertListDto, AlertRuleListDto, AlertStateDto, SilenceDto, SilenceListDto,
            SilenceRequestDto,
        },
        dto::{
            problem::ProblemDto,
            receiver::{ReceiverDto, ReceiverListDto, ReceiverTestDto},
        },
        error::Problem,
        extract::{Nothing, StrictJson, StrictQuery},
        openapi::{OffRefusals, Refusals},
        state::State,
    },
    config::parse_duration,
    model::time::Timestamp,
};

/// The longest silence, seconds.
const MAX_SILENCE_SECONDS: u64 = 366 * 86_400;
/// The most alerts of an answer that are over.
const MAX_LIMIT: usize = 1000;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only those in this state; those that are pending, fire or resolved lately if absent.
    #[param(inline)]
    state: Option<AlertStateDto>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryParams {
    /// How many at most, 1 to 1000; 100 if absent.
    limit: Option<usize>,
}

/// What is wrong now
///
/// Alerts that are pending, fire, or resolved lately; the worst first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(ListParams),
    responses((status = 200, body = AlertListDto, description = "The alerts"), Refusals))]
pub(super) async fn list(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<ListParams>,
) -> Result<Json<AlertListDto>, Problem> {
    let (view, reactions) = (state.alerts.view(), state.alerts.reactions().entries());
    let shown = view.alerts.iter().map(|alert| AlertDto::from(alert).with_reactions(&reactions));
    let mut alerts: Vec<AlertDto> = shown.collect();
    alerts.retain(|alert| params.state.is_none_or(|state| state == alert.state));
    let order = |state| match state {
        AlertStateDto::Firing => 0,
        AlertStateDto::Pending => 1,
        AlertStateDto::Resolved => 2,
    };
    alerts.sort_by_key(|alert| (order(alert.state), Reverse(alert.severity), Reverse(alert.active_since)));
    Ok(Json(AlertListDto { enabled: view.enabled, evaluated: view.at, alerts }))
}

/// What was wrong
///
/// Alerts that fired and are over, the newest first; the last thousand are remembered.
#[utoipa::path(get, path = "/api/v1/alerts/history", tag = "alerts", params(HistoryParams),
    responses((status = 200, body = AlertListDto, description = "The alerts"), Refusals))]
pub(super) async fn history(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<HistoryParams>,
) -> Result<Json<AlertListDto>, Problem> {
    let limit = params.limit.unwrap_or(100);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Problem::bad_request(format_args!("limit is a number from 1 to {MAX_LIMIT}")));
    }
    let (view, reactions) = (state.alerts.view(), state.alerts.reactions().entries());
    let shown = view.past.iter().take(limit).map(|alert| AlertDto::from(alert).with_reactions(&reactions));
    let alerts = shown.collect();
    Ok(Json(AlertListDto { enabled: view.enabled, evaluated: view.at, alerts }))
}

/// The rules in force
///
/// Each with its expression, its place, how its last evaluation went, and metrics that it misses.
#[utoipa::path(get, path = "/api/v1/alerts/rules", tag = "alerts",
    responses((status = 200, body = AlertRuleListDto, description = "The rules"), Refusals))]
pub(super) async fn rules(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
) -> Result<Json<AlertRuleListDto>, Problem> {
    let view = state.alerts.view();
    let rules = view.rules.iter().map(Into::into).collect();
    Ok(Json(AlertRuleListDto { rules, refused: view.refused.clone() }))
}

/// The silences
///
/// In force, to come, and ended in the last five days.
#[utoipa::path(get, path = "/api/v1/alerts/silences", tag = "alerts",
    responses((status = 200, body = SilenceListDto, description = "The silences"), Refusals))]
pub(super) async fn silences(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
) -> Result<Json<SilenceListDto>, Problem> {
    let (view, now) = (state.alerts.view(), Timestamp::now());
    let mut silences: Vec<_> = view.silences.iter().map(|silence| SilenceDto::of(silence, now)).collect();
    silences.sort_by_key(|silence| (!silence.active, Reverse(silence.ends)));
    Ok(Json(SilenceListDto { silences }))
}

/// Silence alerts
///
/// Nobody is told of alerts that fulfil the conditions until the time is over. The same silence with the same `starts` again changes its end.
#[utoipa::path(post, path = "/api/v1/alerts/silences", tag = "alerts", request_body = SilenceRequestDto,
    responses((status = 201, body = SilenceDto, description = "It is in force, or will be"), OffRefusals))]
pub(super) async fn silence(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
    StrictJson(request): StrictJson<SilenceRequestDto>,
) -> Result<(StatusCode, Json<SilenceDto>), Problem> {
    let now = Timestamp::now();
    let silence = asked_for(request, now)?;
    state.alerts.silence(silence.clone()).await?;
    Ok((StatusCode::CREATED, Json(SilenceDto::of(&silence, now))))
}

/// End a silence
///
/// It ends now, and stays in the list for some days.
#[utoipa::path(delete, path = "/api/v1/alerts/silences/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The silence's id")),
    responses((status = 200, body = SilenceDto, description = "It has ended"), OffRefusals))]
pub(super) async fn unsilence(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    _: StrictQuery<Nothing>,
) -> Result<Json<SilenceDto>, Problem> {
    let id = Fingerprint::from_str(&id).map_err(Problem::bad_request)?;
    state.alerts.unsilence(id).await?;
    let view = state.alerts.view();
    let ended = view.silences.iter().find(|silence| silence.id == id);
    ended.map(|silence| Json(SilenceDto::of(silence, Timestamp::now()))).ok_or_else(|| unknown_silence(&id))
}

/// The receivers
///
/// Each with its channel, what waits for it, and how the last try went. The log, `default`, is not among them.
#[utoipa::path(get, path = "/api/v1/alerts/receivers", tag = "alerts",
    responses((status = 200, body = ReceiverListDto, description = "The receivers"), Refusals))]
pub(super) async fn receivers(
    Shared(state): Shared<State>,
    _: StrictQuery<Nothing>,
) -> Result<Json<ReceiverListDto>, Problem> {
    let view = state.alerts.view();
    Ok(Json(ReceiverListDto { receivers: view.receivers.iter().map(ReceiverDto::from).collect() }))
}

/// Test a receiver
///
/// Sends it one message that does no harm, past all that waits, and says what came back.
#[utoipa::path(post, path = "/api/v1/alerts/receivers/{name}/test", tag = "alerts",
    params(("name" = String, Path, description = "The receiver's name")),
    responses((status = 200, body = ReceiverTestDto, description = "What came back"),
        (status = 404, body = ProblemDto, content_type = "application/problem+json", description = "There is no such receiver"),
        OffRefusals))]
pub(super) async fn test(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
    _: StrictQuery<Nothing>,
) -> Result<Json<ReceiverTestDto>, Problem> {
    let tested = state.alerts.test(&name).await?;
    let tested = tested.ok_or_else(|| {
        let detail =
            "no receiver has this name; GET /api/v1/alerts/receivers lists those of alerts.receivers";
        Problem::new(StatusCode::NOT_FOUND, "unknown-receiver", "Unknown receiver", detail)
    })?;
    Ok(Json(ReceiverTestDto::from(&tested)))
}

fn asked_for(request: SilenceRequestDto, now: Timestamp) -> Result<Silence, Problem> {
    let matchers = request.matchers.iter().map(|text| {
        Matcher::parse(text).map_err(|error| Problem::bad_request(format_args!("matcher {text:?}: {error}")))
    });
    let matchers = matchers.collect::<Result<Vec<_>, _>>()?;
    let length = parse_duration(&request.duration)
        .filter(|length| (1..=MAX_SILENCE_SECONDS).contains(&length.as_secs()))
        .ok_or_else(|| Problem::bad_request("duration is a duration such as 30m or 2h, at most 366d"))?;
    let starts = request.starts.unwrap_or(now);
    let ends = starts.checked_add(length).map_err(Problem::bad_request)?;
    let times = (starts.as_millisecond(), ends.as_millisecond());
    Silence::new(matchers, times, request.author, request.comment).map_err(Problem::bad_request)
}

fn unknown_silence(id: &Fingerprint) -> Problem {
    let detail = format!("no silence has id {id}; GET /api/v1/alerts/silences lists those that are known");
    Problem::new(StatusCode::NOT_FOUND, "unknown-silence", "Unknown silence", detail)
}

impl From<AlertsError> for Problem {
    fn from(error: AlertsError) -> Self {
        match error {
            AlertsError::Off => Self::unavailable(error),
            AlertsError::Silence(SilenceError::Unknown) => {
                Self::new(StatusCode::NOT_FOUND, "unknown-silence", "Unknown silence", error)
            }
            AlertsError::Silence(SilenceError::TooMany(_)) => {
                Self::conflict("too-many-silences", "Too many silences", error)
            }
            AlertsError::Silence(_) => Self::bad_request(error),
        }
    }
}
