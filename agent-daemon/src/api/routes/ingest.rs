//! The doors by which applications tell of operations.

use axum::{
    Json,
    body::Body,
    extract::State as Shared,
    http::{HeaderMap, Request, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    api::{
        doors::{self, Refusal, Shown, media_type, unsupported},
        dto::{
            ingest::{
                AcceptedDto, FrontendMetricsDto, OperationBatchDto, OperationRecordDto, OtlpResponseDto,
            },
            problem::ProblemDto,
        },
        extract::StrictQuery,
        openapi::DoorRefusals,
        state::State,
    },
    ingest::{IngestError, Outcome, collect, frontend, otlp},
    model::operation::Source,
};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

/// Spans
///
/// OTLP over HTTP. Each span becomes an operation; what is refused is told in `partialSuccess`. At most 1 MiB, before and
/// after gzip, and 1,000 spans. Only attributes of the allow-list are kept.
#[utoipa::path(post, path = "/v1/traces", tag = "doors",
    request_body(description = "ExportTraceServiceRequest", content((String = "application/x-protobuf"), (String = "application/json"))),
    responses((status = 200, description = "What was refused, if anything", content(
        (Vec<u8> = "application/x-protobuf"), (OtlpResponseDto = "application/json"))), DoorRefusals))]
pub(super) async fn traces(
    Shared(state): Shared<State>,
    shown: Shown,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let encoding = encoding(request.headers())?;
    let outcome = doors::receive(&state, shown, (Source::Otlp, request), move |body, open| {
        let spans = otlp::Spans::read(body, encoding)?;
        open(spans.len(), &|desk| spans.take(desk))
    });
    Ok(answer(&outcome.await?, encoding, true))
}

/// Metrics
///
/// OTLP over HTTP. Histograms of durations of well-known names (`http.server.request.duration` and its like) become sums
/// of operations; all others are refused, which `partialSuccess` tells, as are points whose temporality is not said. Each
/// point counts for the project's rate; of one request 1,000 points are taken. Points with `error.type`, or a status of 500
/// or more (400 for clients), are of operations that failed.
#[utoipa::path(post, path = "/v1/metrics", tag = "doors",
    request_body(description = "ExportMetricsServiceRequest", content((String = "application/x-protobuf"), (String = "application/json"))),
    responses((status = 200, description = "What was refused, if anything", content(
        (Vec<u8> = "application/x-protobuf"), (OtlpResponseDto = "application/json"))), DoorRefusals))]
pub(super) async fn metrics(
    Shared(state): Shared<State>,
    shown: Shown,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let encoding = encoding(request.headers())?;
    let outcome = doors::receive(&state, shown, (Source::OtlpMetrics, request), move |body, open| {
        let metrics = otlp::Metrics::read(body, encoding)?;
        open(metrics.cost(), &|desk| metrics.take(desk))
    });
    Ok(answer(&outcome.await?, encoding, false))
}

fn encoding(headers: &HeaderMap) -> Result<otlp::Encoding, Refusal> {
    match media_type(headers) {
        PROTOBUF => Ok(otlp::Encoding::Protobuf),
        JSON => Ok(otlp::Encoding::Json),
        _ => Err(unsupported("application/x-protobuf or application/json")),
    }
}

fn answer(outcome: &Outcome, encoding: otlp::Encoding, spans: bool) -> Response {
    match encoding {
        otlp::Encoding::Protobuf => {
            ([(header::CONTENT_TYPE, PROTOBUF)], otlp::response(outcome)).into_response()
        }
        otlp::Encoding::Json => Json(OtlpResponseDto::new(outcome, spans)).into_response(),
    }
}

/// One operation
///
/// As JSON. `POST /api/v1/performance/batch` takes many.
#[utoipa::path(post, path = "/api/v1/performance/collect", tag = "doors",
    request_body = OperationRecordDto,
    responses((status = 200, body = AcceptedDto, description = "What became of it"),
        (status = 422, body = ProblemDto, content_type = "application/problem+json", description = "It is refused; `detail` says why"),
        DoorRefusals))]
pub(super) async fn collect(
    Shared(state): Shared<State>,
    shown: Shown,
    request: Request<Body>,
) -> Result<Json<AcceptedDto>, Refusal> {
    let outcome = collected(&state, shown, request, |body| collect::Records::single(body)).await?;
    outcome
        .refusals
        .first()
        .map_or_else(|| Ok(Json(AcceptedDto::from(&outcome))), |refused| Err(Refusal::of(refused)))
}

/// Many operations
///
/// As JSON. A record that is wrong costs only itself: the answer names it, with the reason.
#[utoipa::path(post, path = "/api/v1/performance/batch", tag = "doors",
    request_body = OperationBatchDto,
    responses((status = 200, body = AcceptedDto, description = "What became of them"), DoorRefusals))]
pub(super) async fn batch(
    Shared(state): Shared<State>,
    shown: Shown,
    request: Request<Body>,
) -> Result<Json<AcceptedDto>, Refusal> {
    let outcome = collected(&state, shown, request, |body| collect::Records::batch(body)).await?;
    Ok(Json(AcceptedDto::from(&outcome)))
}

async fn collected(
    state: &State,
    shown: Shown,
    request: Request<Body>,
    read: for<'a> fn(&'a [u8]) -> Result<collect::Records<'a>, IngestError>,
) -> Result<Outcome, Refusal> {
    if media_type(request.headers()) != JSON {
        return Err(unsupported(JSON));
    }
    let outcome = doors::receive(state, shown, (Source::Collect, request), move |body, open| {
        let records = read(body)?;
        open(records.len(), &|desk| records.take(desk))
    });
    outcome.await
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KeyParams {
    /// The project's key, for `sendBeacon`, which sends no headers.
    key: Option<String>,
}

/// What a page took
///
/// Page loads, calls to an API, long tasks and resources, from pages of the origins that the project names.
#[utoipa::path(post, path = "/api/v1/frontend-metrics", tag = "doors", params(KeyParams),
    request_body(content((FrontendMetricsDto = "application/json"), (FrontendMetricsDto = "text/plain"))),
    responses((status = 200, body = AcceptedDto, description = "What became of it"),
        (status = 403, body = ProblemDto, content_type = "application/problem+json", description = "The page's origin is not the project's"),
        DoorRefusals))]
pub(super) async fn frontend(
    Shared(state): Shared<State>,
    StrictQuery(params): StrictQuery<KeyParams>,
    shown: Shown,
    request: Request<Body>,
) -> Result<Json<AcceptedDto>, Refusal> {
    if !matches!(media_type(request.headers()), JSON | "text/plain") {
        return Err(unsupported("application/json or text/plain"));
    }
    // A browser's connection is no agent's.
    let shown = Shown { key: shown.key.or(params.key), peer: None };
    let project = state.ingest.admit(shown.key.as_deref())?;
    let origin = request.headers().get(header::ORIGIN);
    if origin.is_some_and(|origin| !origin.to_str().is_ok_and(|origin| project.allows_origin(origin))) {
        return Err(IngestError::Origin.into());
    }
    let outcome = doors::receive(&state, shown, (Source::Frontend, request), |body, open| {
        let metrics = frontend::Metrics::read(body)?;
        open(metrics.len(), &|desk| metrics.take(desk))
    });
    Ok(Json(AcceptedDto::from(&outcome.await?)))
}
