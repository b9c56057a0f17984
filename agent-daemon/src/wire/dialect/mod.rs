//! Dialects: how requests to a model and its answers are written. Several providers speak one dialect.
//!
//! A dialect is one file: two tables of paths, and what to make of a document where the table alone does not say it.

pub(super) mod anthropic;
pub(super) mod bedrock;
pub(super) mod chat;
pub(super) mod embeddings;
pub(super) mod gemini;
pub(super) mod ollama;
pub(super) mod responses;

use std::sync::LazyLock;

use crate::model::{
    content::{Keep, Part},
    wire::Operation,
};

use super::{
    body::Side,
    facts::{Counting, Facts},
    json::{Document, Paths},
};

/// Takes what a document says into the facts; the document ended at this time, ns.
pub(super) type Fold = fn(&mut Facts, &Document<'_>, u64);

/// One way to speak.
pub(super) struct Dialect {
    /// Its name, for tests.
    pub(super) name: &'static str,
    /// What a request asks for; `None` if it is no call of a model.
    pub(super) operation: Option<Operation>,
    pub(super) request: &'static LazyLock<Paths>,
    pub(super) response: &'static LazyLock<Paths>,
    pub(super) fold_request: Fold,
    pub(super) fold_response: Fold,
    pub(super) counting: Counting,
    /// The tables that have the places of content, too, for agents of whom it is kept.
    pub(super) spoken_request: Option<Spoken>,
    pub(super) spoken_response: Option<Spoken>,
}

/// Where content stands.
pub(super) struct Spoken {
    /// All paths, and those of content.
    pub(super) paths: &'static LazyLock<Paths>,
    /// What is found there.
    pub(super) parts: &'static [Part],
}

impl Spoken {
    /// What a request says.
    const fn request(paths: &'static LazyLock<Paths>) -> Option<Self> {
        Some(Self { paths, parts: &[Part::Prompts] })
    }

    /// What an answer says.
    const fn response(paths: &'static LazyLock<Paths>) -> Option<Self> {
        Some(Self { paths, parts: &[Part::Completions, Part::ToolArguments] })
    }

    /// Whether any of it is kept.
    pub(super) fn is_in(&self, keep: Keep) -> bool {
        self.parts.iter().any(|part| keep.has(*part))
    }
}

impl Dialect {
    /// Where content stands on this side.
    pub(super) fn spoken(&self, side: Side) -> Option<&Spoken> {
        match side {
            Side::Request => self.spoken_request.as_ref(),
            Side::Response => self.spoken_response.as_ref(),
        }
    }
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Counts are totals, parts are in them.
pub(super) const TOTALS: Counting = Counting { cache_apart: false, reasoning_apart: false };

/// Those that are told apart by their bodies alone, where host and path of a request were not seen.
pub(super) static BY_SHAPE: [&Dialect; 3] = [&chat::DIALECT, &responses::DIALECT, &anthropic::DIALECT];
