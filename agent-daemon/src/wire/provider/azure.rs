//! Azure: OpenAI's models by deployments, and others by the inference API. The deployment's name stands in the path; the
//! model's comes with the answer.

use super::{CHAT, EMBEDDINGS, Host, Provider, RESPONSES, route::Route};
use crate::wire::dialect::{anthropic, chat, embeddings, responses};

pub(super) static OPENAI: Provider = Provider {
    name: "azure.ai.openai",
    hosts: &[Host::Below(".openai.azure.com"), Host::Below(".cognitiveservices.azure.com")],
    routes: &[
        Route::new("/openai/deployments/{model}/chat/completions", &chat::DIALECT),
        Route::new("/openai/deployments/{model}/completions", &chat::COMPLETIONS),
        Route::new("/openai/deployments/{model}/embeddings", &embeddings::DIALECT),
        Route::hosted("/openai/v1/chat/completions", &chat::DIALECT),
        Route::hosted("/openai/v1/embeddings", &embeddings::DIALECT),
        Route::hosted("/openai/responses", &responses::DIALECT),
        Route::hosted("/openai/v1/responses", &responses::DIALECT),
    ],
    server: None,
};

pub(super) static INFERENCE: Provider = Provider {
    name: "azure.ai.inference",
    hosts: &[Host::Below(".services.ai.azure.com"), Host::Below(".inference.ai.azure.com")],
    routes: &[CHAT, RESPONSES, EMBEDDINGS, Route::new("/anthropic/v1/messages", &anthropic::DIALECT)],
    server: None,
};
