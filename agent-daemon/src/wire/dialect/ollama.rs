//! Ollama's own API: lines of JSON, the last of which counts the tokens.

use std::sync::LazyLock;

use super::{Dialect, TOTALS};
use crate::{
    model::wire::Operation,
    wire::{
        facts::Facts,
        field::Field,
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

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));

const fn dialect(name: &'static str, operation: Operation) -> Dialect {
    Dialect {
        name,
        operation: Some(operation),
        request: &REQUEST_PATHS,
        response: &RESPONSE_PATHS,
        fold_request: Facts::fold,
        fold_response: Facts::fold,
        counting: TOTALS,
    }
}

/// `/api/chat`.
pub(in crate::wire) static CHAT: Dialect = dialect("ollama_chat", Operation::Chat);
/// `/api/generate`.
pub(in crate::wire) static GENERATE: Dialect = dialect("ollama_generate", Operation::TextCompletion);
/// `/api/embed`.
pub(in crate::wire) static EMBED: Dialect = dialect("ollama_embed", Operation::Embeddings);
