//! Gemini's `generateContent`, as it is and inside the envelope of Code Assist, and its embeddings.
//!
//! The model stands in the path. Thoughts are counted apart from the candidates, and so is what tools gave from the
//! prompt; what is cached is part of the prompt. Each event of a stream is a whole answer of its own.

use std::sync::LazyLock;

use super::Dialect;
use crate::{
    model::wire::Operation,
    wire::{
        facts::{Counting, Facts},
        field::Field,
        json::{Paths, Take, Watch},
    },
};

const REQUEST: &[Watch] = &[
    Watch::new("model", Take::Word, Field::Model),
    Watch::new("contents", Take::Presence, Field::Asked),
    Watch::new("request.contents", Take::Presence, Field::Asked),
];

const RESPONSE: &[Watch] = &[
    Watch::new("modelVersion", Take::Word, Field::ResponseModel),
    Watch::new("candidates", Take::Presence, Field::Answered),
    Watch::new("candidates[].content.parts[].text", Take::Presence, Field::Content),
    Watch::new("candidates[].content.parts[].functionCall", Take::Presence, Field::Content),
    Watch::new("candidates[].content.parts[].functionCall.name", Take::Word, Field::Tool),
    Watch::new("candidates[].finishReason", Take::Word, Field::Finish),
    Watch::new("promptFeedback.blockReason", Take::Word, Field::Finish),
    Watch::new("usageMetadata.promptTokenCount", Take::Number, Field::Input),
    Watch::new("usageMetadata.toolUsePromptTokenCount", Take::Number, Field::ToolInput),
    Watch::new("usageMetadata.candidatesTokenCount", Take::Number, Field::Output),
    Watch::new("usageMetadata.cachedContentTokenCount", Take::Number, Field::CacheRead),
    Watch::new("usageMetadata.thoughtsTokenCount", Take::Number, Field::Reasoning),
    Watch::new("response.modelVersion", Take::Word, Field::ResponseModel),
    Watch::new("response.candidates", Take::Presence, Field::Answered),
    Watch::new("response.candidates[].content.parts[].text", Take::Presence, Field::Content),
    Watch::new("response.candidates[].content.parts[].functionCall", Take::Presence, Field::Content),
    Watch::new("response.candidates[].content.parts[].functionCall.name", Take::Word, Field::Tool),
    Watch::new("response.candidates[].finishReason", Take::Word, Field::Finish),
    Watch::new("response.usageMetadata.promptTokenCount", Take::Number, Field::Input),
    Watch::new("response.usageMetadata.toolUsePromptTokenCount", Take::Number, Field::ToolInput),
    Watch::new("response.usageMetadata.candidatesTokenCount", Take::Number, Field::Output),
    Watch::new("response.usageMetadata.cachedContentTokenCount", Take::Number, Field::CacheRead),
    Watch::new("response.usageMetadata.thoughtsTokenCount", Take::Number, Field::Reasoning),
    Watch::new("error", Take::Presence, Field::Failed),
    Watch::new("error.status", Take::Word, Field::ErrorType),
    Watch::new("error.code", Take::Word, Field::ErrorCode),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));

/// `generateContent`.
pub(in crate::wire) static DIALECT: Dialect = Dialect {
    name: "generate_content",
    operation: Some(Operation::GenerateContent),
    request: &REQUEST_PATHS,
    response: &RESPONSE_PATHS,
    fold_request: Facts::fold,
    fold_response: Facts::fold,
    counting: Counting { cache_apart: false, reasoning_apart: true },
};

/// `embedContent`.
pub(in crate::wire) static EMBEDDINGS: Dialect = Dialect {
    name: "embed_content",
    operation: Some(Operation::Embeddings),
    request: &REQUEST_PATHS,
    response: &RESPONSE_PATHS,
    fold_request: Facts::fold,
    fold_response: Facts::fold,
    counting: super::TOTALS,
};
