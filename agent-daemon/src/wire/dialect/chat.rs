//! OpenAI's chat completions, and completions of old: what most servers speak.
//!
//! Usage comes in a stream only if it was asked for, in a last event without choices; some servers send it with every
//! event, and it counts up.

use std::sync::LazyLock;

use super::{Dialect, Spoken, TOTALS};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::{Field, Server, Speech},
        json::{Document, Paths, Take, Value, Watch},
    },
};

pub(in crate::wire) const REQUEST: &[Watch] = &[
    Watch::new("model", Take::Word, Field::Model),
    Watch::new("stream", Take::Flag, Field::Stream),
    Watch::new("messages", Take::Presence, Field::Asked),
    Watch::new("prompt", Take::Presence, Field::Asked),
];

const RESPONSE: &[Watch] = &[
    Watch::new("object", Take::Word, Field::Kind),
    Watch::new("model", Take::Word, Field::ResponseModel),
    Watch::new("choices[].finish_reason", Take::Word, Field::Finish),
    Watch::new("choices[].text", Take::Presence, Field::Content),
    Watch::new("choices[].delta.content", Take::Presence, Field::Content),
    Watch::new("choices[].delta.reasoning_content", Take::Presence, Field::Content),
    Watch::new("choices[].delta.reasoning", Take::Presence, Field::Content),
    Watch::new("choices[].delta.refusal", Take::Presence, Field::Content),
    Watch::new("choices[].delta.tool_calls", Take::Presence, Field::Content),
    Watch::new("choices[].delta.tool_calls[].function.name", Take::Word, Field::Tool),
    Watch::new("choices[].delta.function_call.name", Take::Word, Field::Tool),
    Watch::new("choices[].message.tool_calls[].function.name", Take::Word, Field::Tool),
    Watch::new("choices[].message.tool_calls[].custom.name", Take::Word, Field::Tool),
    Watch::new("choices[].message.function_call.name", Take::Word, Field::Tool),
    Watch::new("usage.prompt_tokens", Take::Number, Field::Input),
    Watch::new("usage.completion_tokens", Take::Number, Field::Output),
    Watch::new("usage.total_tokens", Take::Number, Field::Total),
    Watch::new("usage.prompt_tokens_details.cached_tokens", Take::Number, Field::CacheRead),
    Watch::new("usage.prompt_cache_hit_tokens", Take::Number, Field::CacheRead),
    Watch::new("usage.completion_tokens_details.reasoning_tokens", Take::Number, Field::Reasoning),
    // Groq tells usage of a stream here.
    Watch::new("x_groq.usage.prompt_tokens", Take::Number, Field::Input),
    Watch::new("x_groq.usage.completion_tokens", Take::Number, Field::Output),
    Watch::new("error", Take::Presence, Field::Failed),
    Watch::new("error.type", Take::Word, Field::ErrorType),
    Watch::new("error.code", Take::Word, Field::ErrorCode),
    // What only one server says.
    Watch::new("system_fingerprint", Take::Word, Field::PartKind),
    Watch::new("timings.prompt_n", Take::Presence, Field::Hint(Server::LlamaCpp)),
    Watch::new("choices[].matched_stop", Take::Presence, Field::Hint(Server::Sglang)),
    Watch::new("metadata.weight_version", Take::Presence, Field::Hint(Server::Sglang)),
    Watch::new("choices[].stop_reason", Take::Presence, Field::Hint(Server::Vllm)),
    Watch::new("choices[].token_ids", Take::Presence, Field::Hint(Server::Vllm)),
    Watch::new("prompt_token_ids", Take::Presence, Field::Hint(Server::Vllm)),
    Watch::new("kv_transfer_params", Take::Presence, Field::Hint(Server::Vllm)),
];

/// What requests say.
const SPOKEN_REQUEST: &[Watch] = &[
    Watch::new("messages[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("messages[].role", Take::Word, Field::Said(Speech::Role)),
    Watch::new("messages[].content", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("messages[].content[].text", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("prompt", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("prompt[]", Take::Text, Field::Said(Speech::Prompt)),
];

/// What answers say.
const SPOKEN_RESPONSE: &[Watch] = &[
    Watch::new("choices[]", Take::Begin, Field::Said(Speech::Choice)),
    Watch::new("choices[].index", Take::Number, Field::Said(Speech::Index)),
    Watch::new("choices[].text", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("choices[].delta.content", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("choices[].delta.reasoning_content", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("choices[].delta.reasoning", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("choices[].delta.refusal", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("choices[].delta.tool_calls[]", Take::Begin, Field::Said(Speech::Call)),
    Watch::new("choices[].delta.tool_calls[].index", Take::Number, Field::Said(Speech::CallIndex)),
    Watch::new("choices[].delta.tool_calls[].function.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("choices[].delta.tool_calls[].function.arguments", Take::Raw, Field::Said(Speech::Arguments)),
    Watch::new("choices[].delta.function_call.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("choices[].delta.function_call.arguments", Take::Text, Field::Said(Speech::Arguments)),
    Watch::new("choices[].message.content", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("choices[].message.reasoning_content", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("choices[].message.reasoning", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("choices[].message.refusal", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("choices[].message.tool_calls[]", Take::Begin, Field::Said(Speech::Call)),
    Watch::new("choices[].message.tool_calls[].function.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new(
        "choices[].message.tool_calls[].function.arguments",
        Take::Raw,
        Field::Said(Speech::Arguments),
    ),
    Watch::new("choices[].message.function_call.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("choices[].message.function_call.arguments", Take::Text, Field::Said(Speech::Arguments)),
    Watch::new("choices[].message.tool_calls[].custom.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("choices[].message.tool_calls[].custom.input", Take::Text, Field::Said(Speech::Arguments)),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));
static SPOKEN_REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST, SPOKEN_REQUEST]));
static SPOKEN_RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE, SPOKEN_RESPONSE]));

const fn dialect(name: &'static str, operation: Operation) -> Dialect {
    Dialect {
        name,
        operation: Some(operation),
        request: &REQUEST_PATHS,
        response: &RESPONSE_PATHS,
        fold_request: Facts::fold,
        fold_response: fold,
        counting: TOTALS,
        spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
        spoken_response: Spoken::response(&SPOKEN_RESPONSE_PATHS),
    }
}

/// Chat completions.
pub(in crate::wire) static DIALECT: Dialect = dialect("chat_completions", Operation::Chat);
/// Completions of old.
pub(in crate::wire) static COMPLETIONS: Dialect = dialect("completions", Operation::TextCompletion);

fn fold(facts: &mut Facts, document: &Document<'_>, at_ns: u64) {
    facts.fold(document, at_ns);
    for hit in document.hits {
        match (hit.field, &hit.value) {
            (Field::Kind, Value::Word(kind)) if kind.contains("completion") => facts.answered = true,
            (Field::PartKind, Value::Word(print)) if print == "fp_ollama" => {
                facts.server = Some(Server::Ollama)
            }
            _ => {}
        }
    }
}
