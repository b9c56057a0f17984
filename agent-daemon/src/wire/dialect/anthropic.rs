//! Anthropic's messages. Tokens of the cache are counted apart from the input; the output counts up in a stream.

use std::sync::LazyLock;

use super::{Dialect, Spoken};
use crate::{
    model::wire::Operation,
    wire::{
        facts::{Counting, Facts},
        field::{Field, Speech},
        json::{Document, Paths, Take, Value, Watch},
    },
};

const REQUEST: &[Watch] = &[
    Watch::new("model", Take::Word, Field::Model),
    Watch::new("stream", Take::Flag, Field::Stream),
    Watch::new("messages", Take::Presence, Field::Asked),
];

pub(super) const RESPONSE: &[Watch] = &[
    Watch::new("type", Take::Word, Field::Kind),
    // A stream.
    Watch::new("message.model", Take::Word, Field::ResponseModel),
    Watch::new("message.usage.input_tokens", Take::Number, Field::Input),
    Watch::new("message.usage.output_tokens", Take::Number, Field::Output),
    Watch::new("message.usage.cache_read_input_tokens", Take::Number, Field::CacheRead),
    Watch::new("message.usage.cache_creation_input_tokens", Take::Number, Field::CacheWrite),
    Watch::new("content_block.name", Take::Word, Field::Tool),
    Watch::new("delta.text", Take::Presence, Field::Content),
    Watch::new("delta.thinking", Take::Presence, Field::Content),
    Watch::new("delta.partial_json", Take::Presence, Field::Content),
    Watch::new("delta.stop_reason", Take::Word, Field::Finish),
    // A whole message, and what stands in both.
    Watch::new("model", Take::Word, Field::ResponseModel),
    Watch::new("content[].name", Take::Word, Field::Tool),
    Watch::new("stop_reason", Take::Word, Field::Finish),
    Watch::new("usage.input_tokens", Take::Number, Field::Input),
    Watch::new("usage.output_tokens", Take::Number, Field::Output),
    Watch::new("usage.cache_read_input_tokens", Take::Number, Field::CacheRead),
    Watch::new("usage.cache_creation_input_tokens", Take::Number, Field::CacheWrite),
    Watch::new("error", Take::Presence, Field::Failed),
    Watch::new("error.type", Take::Word, Field::ErrorType),
];

/// What requests say.
pub(super) const SPOKEN_REQUEST: &[Watch] = &[
    Watch::new("messages[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("messages[].role", Take::Word, Field::Said(Speech::Role)),
    Watch::new("messages[].content", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("messages[].content[].text", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("messages[].content[].content", Take::Text, Field::Said(Speech::ToolResult)),
    Watch::new("messages[].content[].content[].text", Take::Text, Field::Said(Speech::ToolResult)),
    Watch::new("system", Take::Text, Field::Said(Speech::System)),
    Watch::new("system[].text", Take::Text, Field::Said(Speech::System)),
];

/// What answers say.
pub(super) const SPOKEN_RESPONSE: &[Watch] = &[
    Watch::new("index", Take::Number, Field::Said(Speech::Index)),
    Watch::new("content_block.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("delta.text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("delta.thinking", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("delta.partial_json", Take::Text, Field::Said(Speech::Arguments)),
    Watch::new("content[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("content[].text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("content[].thinking", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("content[].name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("content[].input", Take::Raw, Field::Said(Speech::WholeArguments)),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));
static SPOKEN_REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST, SPOKEN_REQUEST]));
static SPOKEN_RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE, SPOKEN_RESPONSE]));

/// Messages.
pub(in crate::wire) static DIALECT: Dialect = Dialect {
    name: "messages",
    operation: Some(Operation::Chat),
    request: &REQUEST_PATHS,
    response: &RESPONSE_PATHS,
    fold_request: Facts::fold,
    fold_response: fold,
    counting: CACHE_APART,
    spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
    spoken_response: Spoken::response(&SPOKEN_RESPONSE_PATHS),
};

pub(super) const CACHE_APART: Counting = Counting { cache_apart: true, reasoning_apart: false };

pub(super) fn fold(facts: &mut Facts, document: &Document<'_>, at_ns: u64) {
    facts.fold(document, at_ns);
    let is_answer = |kind: &str| matches!(kind, "message" | "message_start" | "message_delta");
    for hit in document.hits {
        let (Field::Kind, Value::Word(kind)) = (hit.field, &hit.value) else { continue };
        facts.answered |= is_answer(kind);
        facts.ended |= kind == "message_stop";
    }
}
