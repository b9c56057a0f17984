//! The registry as a whole.

use super::{PROVIDERS, Recognised};
use crate::{
    model::wire::{self, Evidence},
    wire::field::Server,
};

fn recognised(url: &str) -> Option<(&'static str, &'static str, Option<String>, Evidence)> {
    let (host, path) = url.split_at(url.find('/').unwrap());
    let host = (!host.is_empty()).then_some(host);
    let found = Recognised::by_path(host, path)?;
    Some((found.provider.name, found.dialect.name, found.model, found.evidence))
}

#[test]
fn urls_of_providers_are_recognised() {
    for (url, provider, dialect, model) in [
        ("api.openai.com/v1/chat/completions", "openai", "chat_completions", None),
        ("api.openai.com/v1/responses", "openai", "responses", None),
        ("chatgpt.com/backend-api/codex/responses", "openai", "responses", None),
        ("api.openai.com/v1/completions", "openai", "completions", None),
        ("api.anthropic.com/v1/messages", "anthropic", "messages", None),
        (
            "my.openai.azure.com/openai/deployments/gpt4/chat/completions",
            "azure.ai.openai",
            "chat_completions",
            Some("gpt4"),
        ),
        ("x.services.ai.azure.com/models/chat/completions", "azure.ai.inference", "chat_completions", None),
        (
            "bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3%3A0/converse-stream",
            "aws.bedrock",
            "converse",
            Some("anthropic.claude-3:0"),
        ),
        (
            "generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent",
            "gcp.gemini",
            "generate_content",
            Some("gemini-2.5-pro"),
        ),
        (
            "us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
            "gcp.vertex_ai",
            "generate_content",
            Some("g"),
        ),
        ("api.deepseek.com/chat/completions", "deepseek", "chat_completions", None),
        ("api.deepseek.com/anthropic/v1/messages", "deepseek", "messages", None),
        ("dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions", "qwen", "chat_completions", None),
        ("api.groq.com/openai/v1/chat/completions", "groq", "chat_completions", None),
    ] {
        let expected = Some((provider, dialect, model.map(str::to_owned), Evidence::Host));
        assert_eq!(recognised(url), expected, "{url}");
    }
}

#[test]
fn at_unknown_hosts_the_path_decides_and_the_answer_may_know_better() {
    for (path, provider) in [
        ("localhost/v1/chat/completions", "openai"),
        ("/v1/messages", "anthropic"),
        ("127.0.0.1/api/chat", "ollama"),
        ("proxy/model/m/invoke", "aws.bedrock"),
        ("proxy/openai/deployments/d/embeddings", "azure.ai.openai"),
    ] {
        let (name, _, _, evidence) = recognised(path).unwrap();
        assert_eq!((name, evidence), (provider, Evidence::Path), "{path}");
    }
    let mut local = Recognised::by_path(Some("localhost"), "/v1/chat/completions").unwrap();
    local.answered_by(Some(Server::Vllm));
    assert_eq!((local.provider.name, local.evidence), ("vllm", Evidence::Answer));
    let mut hosted = Recognised::by_path(Some("api.openai.com"), "/v1/chat/completions").unwrap();
    hosted.answered_by(Some(Server::Vllm));
    assert_eq!(hosted.provider.name, "openai");
}

#[test]
fn what_is_no_call_of_a_model_is_not_recognised() {
    for url in [
        "api.openai.com/v1/models",
        "api.openai.com/v1/messages",
        "api.anthropic.com/v1/messages/count_tokens",
        "notapi.openai.com.example/x",
        "api.openai.com.example/v1/files",
        "localhost/",
    ] {
        assert_eq!(recognised(url), None, "{url}");
    }
}

#[test]
fn names_are_unique_and_each_server_has_a_provider() {
    let mut names: Vec<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PROVIDERS.len());
    assert_eq!(names, wire::PROVIDERS, "the configuration knows them");
    for server in [Server::Vllm, Server::Sglang, Server::LlamaCpp, Server::Ollama] {
        assert!(PROVIDERS.iter().any(|provider| provider.server == Some(server)), "{server:?}");
    }
}
