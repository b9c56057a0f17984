//! Anthropic.

use super::{Host, Provider, route::Route};
use crate::wire::dialect::anthropic;

pub(super) static PROVIDER: Provider = Provider {
    name: "anthropic",
    hosts: &[Host::Is("api.anthropic.com"), Host::Is("claude.ai")],
    routes: &[Route::new("/v1/messages", &anthropic::DIALECT)],
    server: None,
};
