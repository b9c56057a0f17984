//! OpenAI's responses. A stream's events repeat much: items are told when they begin, when they end, and in the whole
//! response at the end. A tool counts when its item is done.

use std::sync::LazyLock;

use super::{Dialect, TOTALS};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::Field,
        json::{Document, Hit, Paths, Take, Value, Watch},
    },
};

const REQUEST: &[Watch] = &[
    Watch::new("type", Take::Word, Field::Kind),
    Watch::new("model", Take::Word, Field::Model),
    Watch::new("stream", Take::Flag, Field::Stream),
    Watch::new("input", Take::Presence, Field::Asked),
];

const RESPONSE: &[Watch] = &[
    Watch::new("type", Take::Word, Field::Kind),
    Watch::new("object", Take::Word, Field::PartKind),
    Watch::new("delta", Take::Presence, Field::Content),
    Watch::new("item.name", Take::Word, Field::ToolAgain),
    Watch::new("code", Take::Word, Field::ErrorCode),
    Watch::new("error", Take::Presence, Field::Failed),
    Watch::new("error.type", Take::Word, Field::ErrorType),
    Watch::new("error.code", Take::Word, Field::ErrorCode),
    // An answer that is no stream.
    Watch::new("model", Take::Word, Field::ResponseModel),
    Watch::new("status", Take::Word, Field::Finish),
    Watch::new("incomplete_details.reason", Take::Word, Field::Finish),
    Watch::new("output[].name", Take::Word, Field::Tool),
    Watch::new("usage.input_tokens", Take::Number, Field::Input),
    Watch::new("usage.output_tokens", Take::Number, Field::Output),
    Watch::new("usage.total_tokens", Take::Number, Field::Total),
    Watch::new("usage.input_tokens_details.cached_tokens", Take::Number, Field::CacheRead),
    Watch::new("usage.output_tokens_details.reasoning_tokens", Take::Number, Field::Reasoning),
    // The same within an event.
    Watch::new("response.model", Take::Word, Field::ResponseModel),
    Watch::new("response.status", Take::Word, Field::Finish),
    Watch::new("response.incomplete_details.reason", Take::Word, Field::Finish),
    Watch::new("response.error", Take::Presence, Field::Failed),
    Watch::new("response.error.code", Take::Word, Field::ErrorCode),
    Watch::new("response.usage.input_tokens", Take::Number, Field::Input),
    Watch::new("response.usage.output_tokens", Take::Number, Field::Output),
    Watch::new("response.usage.total_tokens", Take::Number, Field::Total),
    Watch::new("response.usage.input_tokens_details.cached_tokens", Take::Number, Field::CacheRead),
    Watch::new("response.usage.output_tokens_details.reasoning_tokens", Take::Number, Field::Reasoning),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));

/// Responses.
pub(in crate::wire) static DIALECT: Dialect = Dialect {
    name: "responses",
    operation: Some(Operation::Chat),
    request: &REQUEST_PATHS,
    response: &RESPONSE_PATHS,
    fold_request,
    fold_response: fold,
    counting: TOTALS,
};

/// What sort of event a document is; the empty one is no event.
pub(in crate::wire) fn kind<'a>(document: &'a Document<'_>) -> &'a str {
    let word = |hit: &'a Hit| match (&hit.field, &hit.value) {
        (Field::Kind, Value::Word(word)) => Some(word.as_str()),
        _ => None,
    };
    document.hits.iter().find_map(word).unwrap_or_default()
}

/// Whether an event of this kind ends the answer.
pub(in crate::wire) fn is_last(kind: &str) -> bool {
    matches!(kind, "response.completed" | "response.failed" | "response.incomplete" | "error")
}

fn fold_request(facts: &mut Facts, document: &Document<'_>, at_ns: u64) {
    facts.fold(document, at_ns);
    // Over a WebSocket this is what asks, whatever else it says.
    facts.asked |= kind(document) == "response.create";
}

fn fold(facts: &mut Facts, document: &Document<'_>, at_ns: u64) {
    let kind = kind(document);
    let is_delta = kind.ends_with(".delta");
    let is_event = kind.starts_with("response.");
    let hits: Vec<Hit> = document
        .hits
        .iter()
        .filter_map(|hit| match (hit.field, &hit.value) {
            (Field::Content, _) if !is_delta => None,
            (Field::ToolAgain, value) if kind == "response.output_item.done" => {
                Some(Hit { field: Field::Tool, value: value.clone() })
            }
            (Field::ErrorCode, _) if is_event && !is_last(kind) => None,
            // Over a WebSocket, an error's own: nothing else there has one.
            (Field::Finish, Value::Word(word)) if kind == "error" => {
                facts.status = word.parse().ok();
                None
            }
            // What is going on is no reason to stop.
            (Field::Finish, Value::Word(word)) if matches!(word.as_str(), "in_progress" | "queued") => None,
            _ => Some(hit.clone()),
        })
        .collect();
    facts.fold(&Document { hits: &hits, whole: document.whole }, at_ns);
    let is_response =
        |hit: &Hit| hit.field == Field::PartKind && hit.value == Value::Word("response".to_owned());
    facts.answered |= is_event || document.hits.iter().any(is_response);
    facts.failed |= matches!(kind, "response.failed" | "error");
    facts.ended |= is_last(kind);
}
