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

use crate::model::wire::Operation;

use super::{
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
