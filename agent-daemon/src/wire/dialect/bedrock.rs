//! Bedrock: `converse`, which is one for all models, and `invoke`, which hands each model's own format through.
//!
//! The model stands in the path. `invoke`'s streams have each document as base64 in another one; it is decoded, read
//! and dropped. What Bedrock counts itself (`amazon-bedrock-invocationMetrics`, and headers) is there for every model;
//! of the models' own formats those of Anthropic, Meta, Amazon and Mistral are read.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{Dialect, anthropic};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::Field,
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

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static CONVERSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[CONVERSE]));
static INVOKE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[INVOKE, anthropic::RESPONSE]));

/// `converse` and `converse-stream`.
pub(in crate::wire) static CONVERSE_DIALECT: Dialect = Dialect {
    name: "converse",
    operation: Some(Operation::Chat),
    request: &REQUEST_PATHS,
    response: &CONVERSE_PATHS,
    fold_request: Facts::fold,
    fold_response: Facts::fold,
    counting: anthropic::CACHE_APART,
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
};

fn fold_invoke(facts: &mut Facts, document: &Document<'_>, at_ns: u64) {
    facts.fold(document, at_ns);
    for hit in document.hits {
        let (Field::Nested, Value::Bytes(coded)) = (hit.field, &hit.value) else { continue };
        let Ok(decoded) = STANDARD.decode(coded) else { continue };
        let mut scanner = Scanner::new(&INVOKE_PATHS, Shape::Body);
        // One level: a document within that one is not looked for.
        scanner.feed(&decoded, &mut |inner| facts.fold(inner, at_ns));
    }
}
