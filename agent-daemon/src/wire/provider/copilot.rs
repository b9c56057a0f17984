//! GitHub Copilot; OpenTelemetry has no name for it.

use super::{CHAT, COMPLETIONS, EMBEDDINGS, Host, Provider, RESPONSES, route::Route};
use crate::wire::dialect::anthropic;

pub(super) static PROVIDER: Provider = Provider {
    name: "github.copilot",
    hosts: &[Host::Is("api.githubcopilot.com"), Host::Below(".githubcopilot.com")],
    routes: &[CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, Route::new("/v1/messages", &anthropic::DIALECT)],
    server: None,
};
