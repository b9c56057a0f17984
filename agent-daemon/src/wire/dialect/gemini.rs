//! Gemini's `generateContent`, as it is and inside the envelope of Code Assist, and its embeddings.
//!
//! The model stands in the path. Thoughts are counted apart from the candidates, and so is what tools gave from the
//! prompt; what is cached is part of the prompt. Each event of a stream is a whole answer of its own.

use std::sync::LazyLock;

use super::{Dialect, Spoken};
use crate::{
    model::wire::Operation,
    wire::{
        facts::{Counting, Facts},
        field::{Field, Speech},
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

/// What requests say.
const SPOKEN_REQUEST: &[Watch] = &[
    Watch::new("contents[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("contents[].role", Take::Word, Field::Said(Speech::Role)),
    Watch::new("contents[].parts[].text", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("contents[].parts[].functionResponse.response", Take::Raw, Field::Said(Speech::ToolResult)),
    Watch::new("systemInstruction.parts[].text", Take::Text, Field::Said(Speech::System)),
    Watch::new("system_instruction.parts[].text", Take::Text, Field::Said(Speech::System)),
    Watch::new("request.contents[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("request.contents[].role", Take::Word, Field::Said(Speech::Role)),
    Watch::new("request.contents[].parts[].text", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new(
        "request.contents[].parts[].functionResponse.response",
        Take::Raw,
        Field::Said(Speech::ToolResult),
    ),
    Watch::new("request.systemInstruction.parts[].text", Take::Text, Field::Said(Speech::System)),
    Watch::new("request.system_instruction.parts[].text", Take::Text, Field::Said(Speech::System)),
    Watch::new("content.parts[].text", Take::Text, Field::Said(Speech::Prompt)),
];

/// What answers say.
const SPOKEN_RESPONSE: &[Watch] = &[
    Watch::new("candidates[]", Take::Begin, Field::Said(Speech::Choice)),
    Watch::new("candidates[].index", Take::Number, Field::Said(Speech::Index)),
    Watch::new("candidates[].content.parts[].text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("candidates[].content.parts[].functionCall", Take::Begin, Field::Said(Speech::Call)),
    Watch::new("candidates[].content.parts[].functionCall.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new(
        "candidates[].content.parts[].functionCall.args",
        Take::Raw,
        Field::Said(Speech::WholeArguments),
    ),
    Watch::new("response.candidates[]", Take::Begin, Field::Said(Speech::Choice)),
    Watch::new("response.candidates[].index", Take::Number, Field::Said(Speech::Index)),
    Watch::new("response.candidates[].content.parts[].text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("response.candidates[].content.parts[].functionCall", Take::Begin, Field::Said(Speech::Call)),
    Watch::new(
        "response.candidates[].content.parts[].functionCall.name",
        Take::Word,
        Field::Said(Speech::Tool),
    ),
    Watch::new(
        "response.candidates[].content.parts[].functionCall.args",
        Take::Raw,
        Field::Said(Speech::WholeArguments),
    ),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));
static SPOKEN_REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST, SPOKEN_REQUEST]));
static SPOKEN_RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE, SPOKEN_RESPONSE]));

/// `generateContent`.
pub(in crate::wire) static DIALECT: Dialect = Dialect {
    name: "generate_content",
    operation: Some(Operation::GenerateContent),
    request: &REQUEST_PATHS,
    response: &RESPONSE_PATHS,
    fold_request: Facts::fold,
    fold_response: Facts::fold,
    counting: Counting { cache_apart: false, reasoning_apart: true },
    spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
    spoken_response: Spoken::response(&SPOKEN_RESPONSE_PATHS),
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
    spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
    spoken_response: Spoken::response(&SPOKEN_RESPONSE_PATHS),
};
