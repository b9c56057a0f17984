//! What the doors for operations share: the key, the body within its bounds, the way to the store, and refusals that say
//! when to try again.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use super::{error::Problem, peer::Peer, state::State};
use crate::{
    ingest::{Desk, IngestError, MAX_BODY, Outcome, Refused, gunzip, sender::Sender},
    model::operation::Source,
};

/// How long a sender may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A refusal, perhaps with when to try again.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Problem,
    retry_after: Option<u64>,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, retry_after: None }
    }
}

impl From<IngestError> for Refusal {
    fn from(error: IngestError) -> Self {
        let (status, kind, title, retry_after) = match &error {
            IngestError::Closed => (StatusCode::FORBIDDEN, "closed", "Closed", None),
            IngestError::NoKey => (StatusCode::UNAUTHORIZED, "no-key", "No key", None),
            IngestError::WrongKey => (StatusCode::UNAUTHORIZED, "wrong-key", "Wrong key", None),
            IngestError::Origin => (StatusCode::FORBIDDEN, "foreign-origin", "Foreign origin", None),
            IngestError::Rate { seconds, .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "rate", "Too many operations", Some(*seconds))
            }
            IngestError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", Some(1)),
            IngestError::Away => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", Some(1)),
            IngestError::TooLarge | IngestError::TooMany => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large", None)
            }
            IngestError::Malformed(_) => (StatusCode::BAD_REQUEST, "bad-request", "Bad request", None),
        };
        Self { problem: Problem::new(status, kind, title, error), retry_after }
    }
}

impl Refusal {
    /// The only record of a request is refused.
    pub(super) fn of(record: &Refused) -> Self {
        let detail = format_args!("the record {}", record.reason);
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", "Refused", detail).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

/// The key that a request's headers show.
fn key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|text| {
        let (scheme, key) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| headers.get("x-agentperf-key")?.to_str().ok())
}

/// What a request shows of its sender.
#[derive(Debug)]
pub(super) struct Shown {
    /// The key in its headers.
    pub(super) key: Option<String>,
    /// Its connection.
    pub(super) peer: Option<Peer>,
}

impl<S: Sync> FromRequestParts<S> for Shown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let key = key(&parts.headers).map(str::to_owned);
        Ok(Self { key, peer: parts.extensions.get().cloned() })
    }
}

/// What a body says it is, without parameters.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// A body of another type than is understood.
pub(super) fn unsupported(known: &str) -> Refusal {
    let detail = format!("send the body as {known}, and say so in Content-Type");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported media type", detail).into()
}

/// Reads a body: the whole of it, decompressed, within [`MAX_BODY`].
async fn body(request: Request<Body>) -> Result<Vec<u8>, Refusal> {
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let compressed = match encoding {
        None | Some(b"" | b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => {
            let detail = "send the body as it is, or compressed by gzip";
            let (kind, title) = ("encoding", "Unsupported encoding");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, kind, title, detail).into());
        }
    };
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(IngestError::TooLarge.into());
    }
    let read = timeout(BODY_TIMEOUT, to_bytes(request.into_body(), MAX_BODY)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(IngestError::TooLarge.into()),
        Err(_) => {
            let detail = "the body took longer than 10 s to arrive";
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Timeout", detail).into());
        }
    };
    if compressed { Ok(gunzip(&bytes)?) } else { Ok(bytes.into()) }
}

/// Reads the request's body and brings its records to a desk by `read`, away from the threads that serve requests; then
/// stores what is accepted.
pub(super) async fn receive(
    state: &State,
    Shown { key, peer }: Shown,
    (source, request): (Source, Request<Body>),
    read: impl FnOnce(
        &[u8],
        &mut dyn FnMut(usize, Take<'_>) -> Result<(), IngestError>,
    ) -> Result<(), IngestError>
    + Send
    + 'static,
) -> Result<Outcome, Refusal> {
    // Whoever may not send is told before anything is read.
    state.ingest.admit(key.as_deref())?;
    let permit = state.ingest.body_permit().await?;
    let bytes = body(request).await?;
    let (ingest, store) = (state.ingest.clone(), state.store.clone());
    let parsed = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let sender: Option<Sender> = peer.and_then(|peer| peer.sender(store.as_ref()));
        let mut outcome = Outcome::default();
        read(&bytes, &mut |count, take| {
            let project = ingest.admit(key.as_deref())?;
            let mut desk = Desk::open(&ingest, project, (source, sender.clone()), count)?;
            take(&mut desk);
            outcome = desk.close();
            Ok(())
        })?;
        Ok::<_, IngestError>(outcome)
    });
    let mut outcome = parsed.await.map_err(|error| Problem::internal("ingest", &error))??;
    let (operations, sums) = (std::mem::take(&mut outcome.operations), std::mem::take(&mut outcome.sums));
    state.ingest.store(operations, sums).await?;
    Ok(outcome)
}

/// Brings records to a desk.
pub(super) type Take<'a> = &'a dyn Fn(&mut Desk<'_>);
