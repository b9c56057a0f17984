//! OpenAI's responses. A stream's events repeat much: items are told when they begin, when they end, and in the whole
//! response at the end. A tool counts when its item is done.

use std::sync::LazyLock;

use super::{Dialect, Spoken, TOTALS};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::{Field, Speech},
        json::{self, Document, Hit, Paths, Take, Value, Watch},
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

/// What requests say.
const SPOKEN_REQUEST: &[Watch] = &[
    Watch::new("instructions", Take::Text, Field::Said(Speech::System)),
    Watch::new("input", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("input[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("input[].role", Take::Word, Field::Said(Speech::Role)),
    Watch::new("input[].content", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("input[].content[].text", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("input[].output", Take::Text, Field::Said(Speech::ToolResult)),
];

/// What answers say.
const SPOKEN_RESPONSE: &[Watch] = &[
    Watch::new("output_index", Take::Number, Field::Said(Speech::Index)),
    Watch::new("delta", Take::Text, Field::Said(Speech::Delta)),
    Watch::new("item.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("output[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("output[].content[].text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("output[].content[].refusal", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("output[].summary[].text", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("output[].name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("output[].arguments", Take::Text, Field::Said(Speech::WholeArguments)),
    Watch::new("output[].input", Take::Text, Field::Said(Speech::WholeArguments)),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));
static SPOKEN_REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST, SPOKEN_REQUEST]));
static SPOKEN_RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE, SPOKEN_RESPONSE]));

/// Responses.
pub(in crate::wire) static DIALECT: Dialect = Dialect {
    name: "responses",
    operation: Some(Operation::Chat),
    request: &REQUEST_PATHS,
    response: &RESPONSE_PATHS,
    fold_request,
    fold_response: fold,
    counting: TOTALS,
    spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
    spoken_response: Spoken::response(&SPOKEN_RESPONSE_PATHS),
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
    let spoken = spoken(document, kind);
    let (unspoken, whole) = (document.unspoken, document.whole);
    facts.fold(&Document { hits: &hits, spoken: &spoken, unspoken, whole }, at_ns);
    let is_response =
        |hit: &Hit| hit.field == Field::PartKind && hit.value == Value::Word("response".to_owned());
    facts.answered |= is_event || document.hits.iter().any(is_response);
    facts.failed |= matches!(kind, "response.failed" | "error");
    facts.ended |= is_last(kind);
}

/// What a document says: of a piece, its kind tells what it is of.
fn spoken(document: &Document<'_>, kind: &str) -> Vec<(Speech, json::Spoken)> {
    let delta = match kind {
        "response.output_text.delta" | "response.refusal.delta" => Some(Speech::Answer),
        _ if kind.contains("reasoning") => Some(Speech::Reasoning),
        _ if kind.ends_with("arguments.delta") || kind.ends_with("input.delta") => Some(Speech::Arguments),
        _ => None,
    };
    let of = |(speech, said): &(Speech, json::Spoken)| match speech {
        Speech::Delta => Some((delta?, said.clone())),
        speech => Some((*speech, said.clone())),
    };
    document.spoken.iter().filter_map(of).collect()
}
