//! What Prometheus scrapes.

use axum::{
    extract::State as Shared,
    http::{HeaderMap, header},
    response::IntoResponse,
};

use crate::{
    api::{openapi::Refusals, state::State},
    model::exposition::TextFormat,
};

/// Every metric, for Prometheus
///
/// In OpenMetrics where the request accepts it, else in the text form 0.0.4. `docs/metrics.md` lists them.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses(
        (status = 200, description = "Every metric",
            content((String = "text/plain; version=0.0.4; charset=utf-8"),
                (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"))),
        Refusals,
    ))]
pub(super) async fn metrics(Shared(state): Shared<State>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = TextFormat::for_accept(accept);
    ([(header::CONTENT_TYPE, format.media_type())], state.metrics.text(format))
}
