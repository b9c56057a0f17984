//! What a request says, checked: paths, queries and bodies that are not understood whole are refused with a
//! sentence that says what is wrong. Nothing unknown is ignored, but for queries of the front page and of the
//! health checks, where supervisors and browsers may put what they like.

use std::{fmt, marker::PhantomData, time::Duration};

use axum::{
    body::Body,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{BytesRejection, JsonRejection},
    },
    http::{StatusCode, request::Parts},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use tokio::time::timeout;

use super::error::Problem;
use crate::model::id::AgentId;

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The agent id in the path.
pub(super) struct AgentPath(pub(super) AgentId);

impl<S: Send + Sync> FromRequestParts<S> for AgentPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) =
            Path::<String>::from_request_parts(parts, state).await.map_err(Problem::bad_request_of)?;
        text.parse().map(Self).map_err(Problem::bad_request)
    }
}

/// A query; its type decides which keys there are.
pub(super) struct StrictQuery<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri).map_err(|e| {
            let text = innermost(&e).replace("invalid digit found in string", "expected a whole number");
            Problem::bad_request(format_args!("the query is not understood: {text}"))
        })?;
        Ok(Self(query.0))
    }
}

/// The query of a route that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A JSON body; its type decides which fields there are.
pub(super) struct StrictJson<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for StrictJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Problem> {
        let read = timeout(BODY_TIMEOUT, axum::Json::<Object<T>>::from_request(request, state)).await;
        match read {
            Ok(Ok(axum::Json(Object(body)))) => Ok(Self(body)),
            Ok(Err(rejection)) => Err(body_problem(&rejection)),
            Err(_) => {
                let detail = "the body took longer than 10 s to arrive";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Timeout", detail))
            }
        }
    }
}

fn body_problem(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            let detail = "send the body as JSON, with the header Content-Type: application/json";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Unsupported media type", detail)
        }
        JsonRejection::BytesRejection(BytesRejection::FailedToBufferBody(e))
            if e.status() == StatusCode::PAYLOAD_TOO_LARGE =>
        {
            let detail = format!("the body may have {} bytes at most", super::MAX_BODY);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large", detail)
        }
        other => {
            let text = innermost(other).replace("expected i64", "expected a whole number");
            let text = text.replace("expected a sequence", "expected a list");
            Problem::bad_request(format_args!("the body is not understood: {text}"))
        }
    }
}

/// A JSON object. Types that are read by their field names alone would take a list of values, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// The text of the error at the bottom: those above only say that there was one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Problem {
    fn bad_request_of(error: impl std::error::Error) -> Self {
        Self::bad_request(innermost(&error))
    }
}
