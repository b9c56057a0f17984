//! What Prometheus scrapes.

use axum::{
    extract::State as Shared,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use tokio::task::spawn_blocking;

use crate::{
    api::{error::Problem, openapi::Refusals, state::State},
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
pub(super) async fn metrics(
    Shared(state): Shared<State>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = TextFormat::for_accept(accept);
    // It reads what the kernel says of the host, and formats thousands of series.
    let text = spawn_blocking(move || state.metrics.text(format)).await;
    let text = text.map_err(|error| Problem::internal("metrics", &error))?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], text))
}
