//! Gemini by its developer API, and by Code Assist, as its command line does.

use super::{CHAT, EMBEDDINGS, Host, Provider, route::Route};
use crate::wire::dialect::gemini;

pub(super) static PROVIDER: Provider = Provider {
    name: "gcp.gemini",
    hosts: &[Host::Is("generativelanguage.googleapis.com"), Host::Is("cloudcode-pa.googleapis.com")],
    routes: &[
        Route::streaming("/models/{model}:generateContent", &gemini::DIALECT, false),
        Route::streaming("/models/{model}:streamGenerateContent", &gemini::DIALECT, true),
        Route::streaming("/models/{model}:embedContent", &gemini::EMBEDDINGS, false),
        Route::streaming("/models/{model}:batchEmbedContents", &gemini::EMBEDDINGS, false),
        Route::streaming("/v1internal:generateContent", &gemini::DIALECT, false),
        Route::streaming("/v1internal:streamGenerateContent", &gemini::DIALECT, true),
        CHAT,
        EMBEDDINGS,
    ],
    server: None,
};
