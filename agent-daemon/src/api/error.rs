//! Refusals: RFC 9457 problem documents. What a client may know is sent, what only the operator may know is
//! logged; every error response of the server leaves through [`render`], whoever made it.

use std::fmt::Display;

use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::dto::problem::ProblemDto;
use crate::{
    model::{
        blocked::WaitsError,
        control::{AttachError, DetachError},
        id::AgentId,
    },
    store::StoreError,
};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A request that is refused, or failed.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// Stable name, the tail of the problem's `type`.
    kind: &'static str,
    title: &'static str,
    /// What this client may know: one clear sentence.
    detail: String,
    /// What the operator may know besides.
    internal: Option<String>,
}

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Display,
    ) -> Self {
        Self { status, kind, title, detail: detail.to_string(), internal: None }
    }

    /// The request's query, path or body is wrong.
    pub(super) fn bad_request(detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "Bad request", detail)
    }

    /// Nobody knows this agent.
    pub(super) fn unknown_agent(id: &AgentId) -> Self {
        let detail = format!("no agent has id {id}; GET /api/v1/agents lists those that are known");
        Self::new(StatusCode::NOT_FOUND, "unknown-agent", "Unknown agent", detail)
    }

    /// Nobody knows this tool call.
    pub(super) fn unknown_tool(id: &str) -> Self {
        let detail = format!(
            "no tool call has id {id}, or it is kept only in sums; GET /api/v1/agents/ID/tools lists them"
        );
        Self::new(StatusCode::NOT_FOUND, "unknown-tool", "Unknown tool call", detail)
    }

    /// It is not possible as things stand.
    pub(super) fn conflict(kind: &'static str, title: &'static str, detail: impl Display) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title, detail)
    }

    /// The daemon stops, or has not started yet.
    pub(super) fn unavailable(detail: impl Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", detail)
    }

    /// It is agentperf's own fault; `what` and `error` are logged, not sent.
    pub(super) fn internal(what: &str, error: &dyn Display) -> Self {
        let detail = "agentperf failed to answer; its log says why";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail);
        Self { internal: Some(format!("{what}: {error}")), ..problem }
    }

    /// The problem behind a bare error response, as the router makes them.
    fn of_status(status: StatusCode, method: &Method) -> Self {
        let (kind, title, detail) = match status {
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = format!("{method} is not possible here; the header Allow says what is");
                ("method", "Method not allowed", detail)
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                ("too-large", "Body too large", format!("a body may have {} bytes at most", super::MAX_BODY))
            }
            _ => ("other", status.canonical_reason().unwrap_or("Error"), "the request is refused".to_owned()),
        };
        Self::new(status, kind, title, detail)
    }

    fn into_document(self, instance: &str) -> ProblemDto {
        ProblemDto {
            kind: format!("urn:agentperf:problem:{}", self.kind),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            instance: instance.to_owned(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AttachError> for Problem {
    fn from(error: AttachError) -> Self {
        let (status, kind, title) = match &error {
            AttachError::NoSuchProcess(_) => (StatusCode::NOT_FOUND, "no-such-process", "No such process"),
            AttachError::Hidden(_) => (StatusCode::CONFLICT, "hidden", "Process is hidden"),
            AttachError::Zombie(_) => (StatusCode::NOT_FOUND, "zombie", "Process has exited"),
            AttachError::Thread { .. } => (StatusCode::BAD_REQUEST, "thread", "Not a process"),
            AttachError::KernelThread(_) => (StatusCode::BAD_REQUEST, "kernel-thread", "Kernel thread"),
            AttachError::Init => (StatusCode::FORBIDDEN, "host-init", "The host's init"),
            AttachError::OwnProcess(_) => (StatusCode::FORBIDDEN, "own-process", "Own process"),
            AttachError::AlreadyAttached { .. } | AttachError::Taken(_) => {
                (StatusCode::CONFLICT, "already-attached", "Already attached")
            }
            AttachError::TooMany(_) => (StatusCode::CONFLICT, "too-many-agents", "Too many agents"),
            AttachError::Unavailable(_) => (StatusCode::CONFLICT, "probe-unavailable", "Probe unavailable"),
            AttachError::Failed(_) => return Self::internal("attach", &error),
            AttachError::ShuttingDown => return Self::unavailable(error),
        };
        Self::new(status, kind, title, error)
    }
}

impl From<DetachError> for Problem {
    fn from(error: DetachError) -> Self {
        match error {
            DetachError::NoSuchAgent(id) => Self::unknown_agent(&id),
            DetachError::Ended(_) => Self::conflict("agent-ended", "Agent has ended", error),
            DetachError::ShuttingDown => Self::unavailable(error),
        }
    }
}

impl From<WaitsError> for Problem {
    fn from(error: WaitsError) -> Self {
        match error {
            WaitsError::NotWatched(_) => Self::conflict("agent-ended", "Agent has ended", error),
            WaitsError::NoProbe(_) => {
                Self::conflict("not-watched", "Not watched by a probe that tells", error)
            }
            WaitsError::Failed(_) => Self::internal("waits", &error),
            WaitsError::ShuttingDown => Self::unavailable(error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal("store", &error)
    }
}

/// The answer to a path that leads nowhere.
pub(super) async fn not_found() -> Problem {
    let detail = "nothing is here; GET /api/v1/openapi.json lists every path";
    Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
}

/// Writes the body of every error response, and logs those that are the daemon's fault.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let (instance, method) = (request.uri().path().to_owned(), request.method().clone());
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.unwrap_or_else(|| Problem::of_status(status, &method));
    if let Some(internal) = &problem.internal {
        tracing::error!(%method, path = instance, "{internal}");
    }
    let mut rendered = (status, Json(problem.into_document(&instance))).into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    rendered
}
