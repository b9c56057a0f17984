//! DeepSeek, which also speaks as Anthropic does.

use super::{CHAT, COMPLETIONS, EMBEDDINGS, Host, Provider, RESPONSES, route::Route};
use crate::wire::dialect::anthropic;

pub(super) static PROVIDER: Provider = Provider {
    name: "deepseek",
    hosts: &[Host::Is("api.deepseek.com")],
    routes: &[CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, Route::new("/v1/messages", &anthropic::DIALECT)],
    server: None,
};
