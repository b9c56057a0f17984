//! OpenAI's embeddings.

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

const REQUEST: &[Watch] =
    &[Watch::new("model", Take::Word, Field::Model), Watch::new("input", Take::Presence, Field::Asked)];

const RESPONSE: &[Watch] = &[
    Watch::new("model", Take::Word, Field::ResponseModel),
    Watch::new("data", Take::Presence, Field::Answered),
    Watch::new("usage.prompt_tokens", Take::Number, Field::Input),
    Watch::new("error", Take::Presence, Field::Failed),
    Watch::new("error.type", Take::Word, Field::ErrorType),
    Watch::new("error.code", Take::Word, Field::ErrorCode),
];

/// What requests say.
const SPOKEN_REQUEST: &[Watch] = &[
    Watch::new("input", Take::Text, Field::Said(Speech::Prompt)),
    Watch::new("input[]", Take::Text, Field::Said(Speech::Prompt)),
];

static REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST]));
static RESPONSE_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[RESPONSE]));
static SPOKEN_REQUEST_PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&[REQUEST, SPOKEN_REQUEST]));

/// Embeddings.
pub(in crate::wire) static DIALECT: Dialect = Dialect {
    name: "embeddings",
    operation: Some(Operation::Embeddings),
    request: &REQUEST_PATHS,
    response: &RESPONSE_PATHS,
    fold_request: Facts::fold,
    fold_response: Facts::fold,
    counting: TOTALS,
    spoken_request: Spoken::request(&SPOKEN_REQUEST_PATHS),
    spoken_response: None,
};
