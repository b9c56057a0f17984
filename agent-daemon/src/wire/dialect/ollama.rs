//! Ollama's own API: lines of JSON, the last of which counts the tokens.

use std::sync::LazyLock;

use super::{Dialect, Spoken, TOTALS};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::{Field, Speech},
        json::{Paths, Take, Watch},
    },
};

const REQUEST: &[Watch] = &[
    Watch::new("model", Take::Word, Field::Model),
    Watch::new("stream", Take::Flag, Field::Stream),
    Watch::new("messages", Take::Presence, Field::Asked),
    Watch::new("prompt", Take::Presence, Field::Asked),
    Watch::new("input", Take::Presence, Field::Asked),
];

const RESPONSE: &[Watch] = &[
    Watch::new("model", Take::Word, Field::ResponseModel),
    Watch::new("done", Take::Flag, Field::Answered),
    Watch::new("message.content", Take::Presence, Field::Content),
    Watch::new("message.thinking", Take::Presence, Field::Content),
    Watch::new("message.tool_calls", Take::Presence, Field::Content),
    Watch::new("message.tool_calls[].function.name", Take::Word, Field::Tool),
    Watch::new("response", Take::Presence, Field::Content),
    Watch::new("thinking", Take::Presence, Field::Content),
    Watch::new("done_reason", Take::Word, Field::Finish),
    Watch::new("prompt_eval_count", Take::Number, Field::Input),
    Watch::new("eval_count", Take::Number, Field::Output),
    Watch::new("error", Take::Presence, Field::Failed),
];

/// What requests say.
const SPOKEN_REQUEST: &[Watch] = &[
    Watch::new("messages[]", Take::Begin, Field::Said(Speech::Item)),
    Watch::new("messages[].role", Take::Word, Field::Said(Speech::Role)),
    Watch::new("messages[].content", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("system", Take::Text, Field::Said(Speech::System)),
    Watch::new("prompt", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("input", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("input[]", Take::Text, Field::Said(Speech::Prompt)),
];

/// What answers say.
const SPOKEN_RESPONSE: &[Watch] = &[
    Watch::new("message.content", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("message.thinking", Take::Text, Field::Said(Speech::Reasoning)),
    Watch::new("message.tool_calls[]", Take::Begin, Field::Said(Speech::Call)),
    Watch::new("message.tool_calls[].function.name", Take::Word, Field::Said(Speech::Tool)),
    Watch::new("message.tool_calls[].function.arguments", Take::Raw, Field::Said(Speech::WholeArguments)),
    Watch::new("response", Take::Text, Field::Said(Speech::Answer)),
    Watch::new("thinking", Take::Text, Field::Said(Speech::Reasoning)),
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
        fold_response: Facts::fold,
        counting: TOTALS,
        spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
        spoken_response: Spoken::response(&SPOKEN_RESPONSE_PATHS),
    }
}

/// `/api/chat`.
pub(in crate::wire) static CHAT: Dialect = dialect("ollama_chat", Operation::Chat);
/// `/api/generate`.
pub(in crate::wire) static GENERATE: Dialect = dialect("ollama_generate", Operation::TextCompletion);
/// `/api/embed`.
pub(in crate::wire) static EMBED: Dialect = dialect("ollama_embed", Operation::Embeddings);
