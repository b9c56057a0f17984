//! OpenAI's chat completions, and completions of old: what most servers speak.
//!
//! Usage comes in a stream only if it was asked for, in a last event without choices; some servers send it with every
//! event, and it counts up.

use std::sync::LazyLock;

use super::{Dialect, TOTALS};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::{Field, Server},
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

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));

const fn dialect(name: &'static str, operation: Operation) -> Dialect {
    Dialect {
        name,
        operation: Some(operation),
        request: &REQUEST_PATHS,
        response: &RESPONSE_PATHS,
        fold_request: Facts::fold,
        fold_response: fold,
        counting: TOTALS,
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
