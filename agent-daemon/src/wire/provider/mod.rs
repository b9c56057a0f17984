//! Providers: who answers, told by host and path, else by what the answer says.
//!
//! The rule, in this order:
//! 1. The host is one of a provider's: that provider, if the path is one of its routes.
//! 2. The host is nobody's (a proxy, a server of one's own): the first provider in the registry with a route for this path,
//!    unless the answer says by what server it was written.
//! 3. Neither was seen (headers by a table that was lost): by the form of the bodies.
//!
//! Under 2 and 3 it is a call only if the bodies bear it out: a path alone proves nothing.
//!
//! A provider is one file and one row of [`PROVIDERS`]. Names are those of `gen_ai.provider.name` where OpenTelemetry
//! has one.

mod anthropic;
mod azure;
mod bedrock;
mod copilot;
mod deepseek;
mod gemini;
mod groq;
mod llama_cpp;
mod mistral;
mod ollama;
mod openai;
mod openrouter;
mod qwen;
mod route;
mod sglang;
#[cfg(test)]
mod tests;
mod vertex;
mod vllm;
mod x_ai;

use self::route::Route;
use super::{
    dialect::{Dialect, chat, embeddings, responses},
    field::Server,
};
use crate::model::wire::Evidence;

/// Where a provider answers.
#[derive(Clone, Copy, Debug)]
enum Host {
    /// At this name.
    Is(&'static str),
    /// At any name below this one, which begins with a dot.
    Below(&'static str),
    /// At any name that begins and ends so.
    Between(&'static str, &'static str),
}

impl Host {
    fn matches(self, host: &str) -> bool {
        match self {
            Self::Is(name) => host == name,
            Self::Below(name) => host.ends_with(name),
            Self::Between(start, end) => {
                host.len() > start.len() + end.len() && host.starts_with(start) && host.ends_with(end)
            }
        }
    }
}

/// One who answers.
#[derive(Debug)]
pub(super) struct Provider {
    /// `gen_ai.provider.name`.
    pub(super) name: &'static str,
    hosts: &'static [Host],
    routes: &'static [Route],
    /// The server that this is, where answers say so.
    server: Option<Server>,
}

/// Every provider. Where a path is several ones', the first counts for hosts that are nobody's.
static PROVIDERS: [&Provider; 18] = [
    &anthropic::PROVIDER,
    &azure::OPENAI,
    &openai::PROVIDER,
    &azure::INFERENCE,
    &bedrock::PROVIDER,
    &vertex::PROVIDER,
    &gemini::PROVIDER,
    &ollama::PROVIDER,
    &copilot::PROVIDER,
    &deepseek::PROVIDER,
    &qwen::PROVIDER,
    &groq::PROVIDER,
    &mistral::PROVIDER,
    &x_ai::PROVIDER,
    &openrouter::PROVIDER,
    &vllm::PROVIDER,
    &sglang::PROVIDER,
    &llama_cpp::PROVIDER,
];

const CHAT: Route = Route::new("/chat/completions", &chat::DIALECT);
const RESPONSES: Route = Route::new("/responses", &responses::DIALECT);
const EMBEDDINGS: Route = Route::new("/embeddings", &embeddings::DIALECT);
const COMPLETIONS: Route = Route::new("/completions", &chat::COMPLETIONS);

/// Routes of servers that speak as OpenAI does.
const COMPATIBLE: &[Route] = &[CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS];

/// What a request's head says.
#[derive(Clone, Debug)]
pub(super) struct Recognised {
    /// Who is asked.
    pub(super) provider: &'static Provider,
    /// How that is known.
    pub(super) evidence: Evidence,
    /// How it is asked.
    pub(super) dialect: &'static Dialect,
    /// The model, where the path names it.
    pub(super) model: Option<String>,
    /// Whether the path asks for a stream.
    pub(super) stream: Option<bool>,
}

impl Recognised {
    /// Recognises a request by host and path.
    #[must_use]
    pub(super) fn by_path(host: Option<&str>, path: &str) -> Option<Self> {
        let at_host = |provider: &&&Provider| {
            host.is_some_and(|host| provider.hosts.iter().any(|known| known.matches(host)))
        };
        let known: Vec<&&Provider> = PROVIDERS.iter().filter(at_host).collect();
        if known.is_empty() {
            return PROVIDERS.iter().find_map(|provider| Self::on(provider, path, Evidence::Path));
        }
        known.into_iter().find_map(|provider| Self::on(provider, path, Evidence::Host))
    }

    fn on(provider: &'static Provider, path: &str, evidence: Evidence) -> Option<Self> {
        let found = |route: &Route| {
            let model = route.matches(path)?;
            Some(Self { provider, evidence, dialect: route.dialect, model, stream: route.stream })
        };
        provider.routes.iter().filter(|route| evidence == Evidence::Host || !route.hosted).find_map(found)
    }

    /// A request of which only the dialect is known: whose it is, then, is whoever made it up.
    #[must_use]
    pub(super) fn by_shape(dialect: &'static Dialect) -> Self {
        let speaks =
            |provider: &&&Provider| provider.routes.iter().any(|route| std::ptr::eq(route.dialect, dialect));
        let inventors = [&openai::PROVIDER, &anthropic::PROVIDER];
        let provider = inventors.iter().find(speaks).copied().unwrap_or(&openai::PROVIDER);
        Self { provider, evidence: Evidence::Shape, dialect, model: None, stream: None }
    }

    /// Goes by what the answer says of its server, unless the host is known.
    pub(super) fn answered_by(&mut self, server: Option<Server>) {
        if self.evidence == Evidence::Host || server.is_none() {
            return;
        }
        if let Some(provider) = PROVIDERS.iter().find(|provider| provider.server == server) {
            self.provider = provider;
            self.evidence = Evidence::Answer;
        }
    }
}
