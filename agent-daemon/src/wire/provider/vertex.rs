//! Vertex AI: Google's models, and those of others on its machines.

use super::{CHAT, Host, Provider, route::Route};
use crate::wire::dialect::{anthropic, gemini};

pub(super) static PROVIDER: Provider = Provider {
    name: "gcp.vertex_ai",
    hosts: &[Host::Is("aiplatform.googleapis.com"), Host::Below("-aiplatform.googleapis.com")],
    routes: &[
        Route::streaming("/publishers/google/models/{model}:generateContent", &gemini::DIALECT, false),
        Route::streaming("/publishers/google/models/{model}:streamGenerateContent", &gemini::DIALECT, true),
        Route::streaming("/publishers/anthropic/models/{model}:rawPredict", &anthropic::DIALECT, false),
        Route::streaming("/publishers/anthropic/models/{model}:streamRawPredict", &anthropic::DIALECT, true),
        Route::new("/endpoints/openapi/chat/completions", CHAT.dialect),
    ],
    server: None,
};
