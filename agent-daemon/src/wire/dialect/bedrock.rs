//! Bedrock: `converse`, which is one for all models, and `invoke`, which hands each model's own format through.
//!
//! The model stands in the path. `invoke`'s streams have each document as base64 in another one; it is decoded, read
//! and dropped. What Bedrock counts itself (`amazon-bedrock-invocationMetrics`, and headers) is there for every model;
//! of the models' own formats those of Anthropic, Meta, Amazon and Mistral are read.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Dialect, Spoken, anthropic};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::{Field, Speech},
        json::{Document, Paths, Scanner, Shape, Take, Value, Watch},
    },
};

const REQUEST: &[Watch] = &[
    Watch::new("messages", Take::Presence, Field::Asked),
    Watch::new("prompt", Take::Presence, Field::Asked),
    Watch::new("inputText", Take::Presence, Field::Asked),
];

const CONVERSE: &[Watch] = &[
    Watch::new("output", Take::Presence, Field::Answered),
    Watch::new("output.message.content[].toolUse.name", Take::Word, Field::Tool),
    Watch::new("stopReason", Take::Word, Field::Finish),
    Watch::new("start.toolUse.name", Take::Word, Field::Tool),
    Watch::new("delta.text", Take::Presence, Field::Content),
    Watch::new("delta.toolUse.input", Take::Presence, Field::Content),
    Watch::new("delta.reasoningContent.text", Take::Presence, Field::Content),
    Watch::new("usage.inputTokens", Take::Number, Field::Input),
    Watch::new("usage.outputTokens", Take::Number, Field::Output),
    Watch::new("usage.cacheReadInputTokens", Take::Number, Field::CacheRead),
    Watch::new("usage.cacheWriteInputTokens", Take::Number, Field::CacheWrite),
    Watch::new("__type", Take::Word, Field::ErrorType),
];

/// Models' own formats, beside Anthropic's.
const INVOKE: &[Watch] = &[
    Watch::new("bytes", Take::Bytes, Field::Nested),
    Watch::new("amazon-bedrock-invocationMetrics.inputTokenCount", Take::Number, Field::Input),
    Watch::new("amazon-bedrock-invocationMetrics.outputTokenCount", Take::Number, Field::Output),
    Watch::new("amazon-bedrock-invocationMetrics.cacheReadInputTokenCount", Take::Number, Field::CacheRead),
    Watch::new("amazon-bedrock-invocationMetrics.cacheWriteInputTokenCount", Take::Number, Field::CacheWrite),
    // Meta.
    Watch::new("generation", Take::Presence, Field::Content),
    Watch::new("prompt_token_count", Take::Number, Field::Input),
    Watch::new("generation_token_count", Take::Number, Field::Output),
    // Amazon.
    Watch::new("contentBlockDelta.delta.text", Take::Presence, Field::Content),
    Watch::new("contentBlockStart.start.toolUse.name", Take::Word, Field::Tool),
    Watch::new("messageStop.stopReason", Take::Word, Field::Finish),
    Watch::new("stopReason", Take::Word, Field::Finish),
    Watch::new("output.message.content[].toolUse.name", Take::Word, Field::Tool),
    Watch::new("metadata.usage.inputTokens", Take::Number, Field::Input),
    Watch::new("metadata.usage.outputTokens", Take::Number, Field::Output),
    Watch::new("usage.inputTokens", Take::Number, Field::Input),
    Watch::new("usage.outputTokens", Take::Number, Field::Output),
    Watch::new("outputText", Take::Presence, Field::Content),
    Watch::new("completionReason", Take::Word, Field::Finish),
    Watch::new("inputTextTokenCount", Take::Number, Field::Input),
    // Mistral.
    Watch::new("outputs[].text", Take::Presence, Field::Content),
    Watch::new("outputs[].stop_reason", Take::Word, Field::Finish),
    Watch::new("__type", Take::Word, Field::ErrorType),
];

/// What requests say, beside those of Anthropic.
const SPOKEN_REQUEST: &[Watch] = &[
    Watch::new("messages[].content[].toolResult.content[].text", Take::Text, Field::Said(Speech::ToolResult)),
    Watch::new("prompt", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("inputText", Take::Text, Field::Said(Speech::Prompt)),
];

/// What answers of `converse` say.
const SPOKEN_CONVERSE: &[Watch] = &[
    Watch::new("output.message.content[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("output.message.content[].text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new(
        "output.message.content[].reasoningContent.reasoningText.text",
        Take::Text,
        Field::Said(Speech::Reasoning),
    ),
    Watch::new("output.message.content[].toolUse.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("output.message.content[].toolUse.input", Take::Raw, Field::Said(Speech::WholeArguments)),
    Watch::new("contentBlockIndex", Take::Number, Field::Said(Speech::Index)),
    Watch::new("delta.text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("delta.reasoningContent.text", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("start.toolUse.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("delta.toolUse.input", Take::Text, Field::Said(Speech::Arguments)),
];

/// What models' own formats say, beside Anthropic's.
const SPOKEN_INVOKE: &[Watch] = &[
    Watch::new("generation", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("contentBlockDelta.delta.text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("output.message.content[].text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("outputText", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("results[].outputText", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("outputs[].text", Take::Text, Field::Said(Speech::Answer)),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static CONVERSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[CONVERSE]));
static INVOKE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[INVOKE, anthropic::RESPONSE]));
static SPOKEN_REQUEST_PATHS: LazyLock<Paths> =
    LazyLock::new(|| Paths::new(&[REQUEST, anthropic::SPOKEN_REQUEST, SPOKEN_REQUEST]));
static SPOKEN_CONVERSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[CONVERSE, SPOKEN_CONVERSE]));
static SPOKEN_INVOKE_PATHS: LazyLock<Paths> =
    LazyLock::new(|| Paths::new(&[INVOKE, anthropic::RESPONSE, SPOKEN_INVOKE, anthropic::SPOKEN_RESPONSE]));

/// `converse` and `converse-stream`.
pub(in crate::wire) static CONVERSE_DIALECT: Dialect = Dialect {
    name: "converse",
    operation: Some(Operation::Chat),
    request: &REQUEST_PATHS,
    response: &CONVERSE_PATHS,
    fold_request: Facts::fold,
    fold_response: Facts::fold,
    counting: anthropic::CACHE_APART,
    spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
    spoken_response: Spoken::response(&SPOKEN_CONVERSE_PATHS),
};

/// `invoke` and `invoke-with-response-stream`.
pub(in crate::wire) static INVOKE_DIALECT: Dialect = Dialect {
    name: "invoke",
    operation: Some(Operation::Chat),
    request: &REQUEST_PATHS,
    response: &INVOKE_PATHS,
    fold_request: Facts::fold,
    fold_response: fold_invoke,
    counting: anthropic::CACHE_APART,
    spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
    spoken_response: Spoken::response(&SPOKEN_INVOKE_PATHS),
};

fn fold_invoke(facts: &mut Facts, document: &Document<'_>, at_ns: u64) {
    facts.fold(document, at_ns);
    for hit in document.hits {
        let (Field::Nested, Value::Bytes(coded)) = (hit.field, &hit.value) else { continue };
        let Ok(decoded) = STANDARD.decode(coded) else { continue };
        let mut scanner = match &facts.said {
            None => Scanner::new(&INVOKE_PATHS, Shape::Body),
            Some(said) => Scanner::new(&SPOKEN_INVOKE_PATHS, Shape::Body).with_spoken(said.reach()),
        };
        // One level: a document within that one is not looked for.
        scanner.feed(&decoded, &mut |inner| facts.fold(inner, at_ns));
    }
}
