//! A request taken apart: resources, and what each sends, still as it was written.

use prost::Message;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::messages::{Part, Request, Resource};
use crate::ingest::{IngestError, collect, limits, record};

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Protocol buffers.
    Protobuf,
    /// JSON.
    Json,
}

/// One span or metric, as it is written.
#[derive(Debug)]
pub(super) enum Item<'a> {
    Protobuf(Vec<u8>),
    Json(&'a RawValue),
}

impl Item<'_> {
    /// Decodes it.
    pub(super) fn read<T: Message + Default + DeserializeOwned>(&self) -> Result<T, String> {
        match self {
            Self::Protobuf(bytes) if bytes.len() > limits::MAX_RECORD => {
                Err(format!("is larger than {} bytes", limits::MAX_RECORD))
            }
            Self::Protobuf(bytes) => T::decode(bytes.as_slice()).map_err(|_| "is no such message".to_owned()),
            Self::Json(text) => record::read(text.get()),
        }
    }
}

/// What one resource sends.
#[derive(Debug)]
pub(super) struct FromResource<'a> {
    pub(super) resource: Resource,
    pub(super) items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct JsonRequest<'a> {
    #[serde(borrow, default, alias = "resourceSpans", alias = "resourceMetrics")]
    resources: Vec<JsonResource<'a>>,
}

#[derive(Deserialize)]
struct JsonResource<'a> {
    #[serde(borrow, default)]
    resource: Option<&'a RawValue>,
    #[serde(borrow, default, alias = "scopeSpans", alias = "scopeMetrics")]
    scopes: Vec<JsonScope<'a>>,
}

#[derive(Deserialize)]
struct JsonScope<'a> {
    #[serde(borrow, default, alias = "spans", alias = "metrics")]
    items: Vec<&'a RawValue>,
}

/// Takes a body apart.
///
/// # Errors
/// It is no such request.
pub(super) fn open(body: &[u8], encoding: Encoding) -> Result<Vec<FromResource<'_>>, IngestError> {
    match encoding {
        Encoding::Protobuf => open_protobuf(body),
        Encoding::Json => open_json(body),
    }
}

fn open_protobuf(body: &[u8]) -> Result<Vec<FromResource<'static>>, IngestError> {
    let wrong = |_| IngestError::Malformed("it is no message of OTLP in protocol buffers".to_owned());
    let mut found = Vec::new();
    let mut count = 0;
    for part in Request::decode(body).map_err(wrong)?.parts {
        let part = Part::decode(part.as_slice()).map_err(wrong)?;
        let mut items = Vec::new();
        for scope in part.items {
            let scope = Part::decode(scope.as_slice()).map_err(wrong)?;
            count += scope.items.len();
            bounded(count)?;
            items.extend(scope.items.into_iter().map(Item::Protobuf));
        }
        let resource = Item::Protobuf(part.head).read().map_err(of_resource)?;
        found.extend((!items.is_empty()).then_some(FromResource { resource, items }));
    }
    Ok(found)
}

fn open_json(body: &[u8]) -> Result<Vec<FromResource<'_>>, IngestError> {
    let request: JsonRequest<'_> = serde_json::from_slice(body).map_err(|e| collect::malformed(&e))?;
    let mut found = Vec::new();
    let mut count = 0;
    for part in request.resources {
        let items: Vec<_> = part.scopes.into_iter().flat_map(|scope| scope.items).map(Item::Json).collect();
        count += items.len();
        bounded(count)?;
        let resource = part.resource.map(|resource| Item::Json(resource).read().map_err(of_resource));
        let resource = resource.transpose()?.unwrap_or_default();
        found.extend((!items.is_empty()).then_some(FromResource { resource, items }));
    }
    Ok(found)
}

fn bounded(count: usize) -> Result<(), IngestError> {
    if count > limits::MAX_RECORDS { Err(IngestError::TooMany) } else { Ok(()) }
}

fn of_resource(reason: String) -> IngestError {
    IngestError::Malformed(format!("a resource {reason}"))
}
