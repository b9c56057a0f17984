//! The metrics of exchanges over HTTP, by the names of OpenTelemetry's conventions.

use prometheus_client::registry::Unit::Seconds;

use super::{Family as F, Kind::Histogram, Row, row};
use crate::export::prometheus::http::BOUNDS;

/// Labels of the exchanges with one endpoint.
const ENDPOINT: &[&str] = &[
    "agent",
    "agent_id",
    "server_address",
    "server_port",
    "http_request_method",
    "http_route",
    "http_response_status_code",
];

pub(super) static ROWS: [Row; 2] = [
    row(
        F::HttpClientDuration,
        "http_client_request_duration",
        Some(Seconds),
        Histogram(&BOUNDS),
        ENDPOINT,
        "How long what agents asked for over HTTP took, read off the wire; no status where no answer came",
    ),
    row(
        F::HttpServerDuration,
        "http_server_request_duration",
        Some(Seconds),
        Histogram(&BOUNDS),
        ENDPOINT,
        "The same of what agents were asked for; without server_address",
    ),
];
