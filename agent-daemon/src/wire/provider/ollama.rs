//! Ollama: its own API, and the one that is as OpenAI's.

use super::{Host, Provider, route::Route};
use crate::wire::{
    dialect::ollama::{CHAT, EMBED, GENERATE},
    field::Server,
};

pub(super) static PROVIDER: Provider = Provider {
    name: "ollama",
    hosts: &[Host::Is("ollama.com")],
    routes: &[
        Route::new("/api/chat", &CHAT),
        Route::new("/api/generate", &GENERATE),
        Route::new("/api/embed", &EMBED),
    ],
    server: Some(Server::Ollama),
};
