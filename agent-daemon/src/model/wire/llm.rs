//! A call of a language model.

use super::{Origin, Partial, Role};
use crate::model::content::Unmasked;

/// What a model was asked for, as `gen_ai.operation.name` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer in a conversation.
    Chat,
    /// Text that goes on from a text.
    TextCompletion,
    /// Content of several kinds (Gemini).
    GenerateContent,
    /// Vectors.
    Embeddings,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 4] = [Self::Chat, Self::TextCompletion, Self::GenerateContent, Self::Embeddings];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::GenerateContent => "generate_content",
            Self::Embeddings => "embeddings",
        }
    }
}

/// How a provider was recognised, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// By the host that was asked.
    Host,
    /// By what only this server says in its answers.
    Answer,
    /// By the path alone, at a host that nobody knows: a server that speaks as this provider does.
    Path,
    /// By the form of the bodies alone: neither host nor path were seen.
    Shape,
}

impl Evidence {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Host, Self::Answer, Self::Path, Self::Shape];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Answer => "answer",
            Self::Path => "path",
            Self::Shape => "shape",
        }
    }
}

/// Tokens as the provider counts them; `None` for what it did not tell.
///
/// `input` and `output` are totals whatever the provider's habit: what comes from a cache or goes into one is part of
/// `input`, and reasoning is part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// All tokens that the model read.
    pub input: Option<u64>,
    /// All tokens that it wrote.
    pub output: Option<u64>,
    /// Of the input: read from a cache.
    pub cache_read: Option<u64>,
    /// Of the input: written into a cache.
    pub cache_write: Option<u64>,
    /// Of the output: reasoning.
    pub reasoning: Option<u64>,
}

/// Whether the provider told how many tokens were used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// It did.
    Sent,
    /// The answer was seen whole, and had none: streams of some providers have it only on demand.
    NotSent,
    /// It may have been in what was not seen.
    Unseen,
    /// It did not, and the tokens are an estimate, as the configuration wants it.
    Estimated,
}

impl Usage {
    /// Every case.
    pub const ALL: [Self; 4] = [Self::Sent, Self::NotSent, Self::Unseen, Self::Estimated];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::NotSent => "not_sent",
            Self::Unseen => "unseen",
            Self::Estimated => "estimated",
        }
    }
}

/// All names of providers that calls have, in order.
pub const PROVIDERS: [&str; 18] = [
    "anthropic",
    "aws.bedrock",
    "azure.ai.inference",
    "azure.ai.openai",
    "deepseek",
    "gcp.gemini",
    "gcp.vertex_ai",
    "github.copilot",
    "groq",
    "llama_cpp",
    "mistral_ai",
    "ollama",
    "openai",
    "openrouter",
    "qwen",
    "sglang",
    "vllm",
    "x_ai",
];

/// One call of a language model.
#[derive(Clone, Debug, PartialEq)]
pub struct LlmCall {
    /// Where it was read.
    pub origin: Origin,
    /// Whether the process asked, or answered itself.
    pub role: Role,
    /// Who answers, as `gen_ai.provider.name` has it.
    pub provider: &'static str,
    /// How that is known.
    pub evidence: Evidence,
    /// What was asked for.
    pub operation: Operation,
    /// The server that was asked, without port.
    pub server: Option<String>,
    /// The model that was asked for.
    pub request_model: Option<String>,
    /// The model that answered.
    pub response_model: Option<String>,
    /// Whether the answer came as a stream.
    pub stream: bool,
    /// HTTP's status; `None` if no answer was seen.
    pub status: Option<u16>,
    /// The class of the failure: the provider's own word, else the status, else `cut_off` or `cancelled`.
    pub error_type: Option<String>,
    /// When the request's first byte came by.
    pub started_ns: u64,
    /// Whether it is the first exchange of its connection.
    pub is_first: bool,
    /// How long connecting took, ns, TCP's handshake and that of TLS; only of a connection's first exchange, and if the
    /// capture knows.
    pub connect_ns: Option<u64>,
    /// From the start to the answer's first byte, ns: its head.
    pub first_byte_ns: Option<u64>,
    /// From the start to the first content of a stream, ns.
    pub first_content_ns: Option<u64>,
    /// Pieces of content that came in the stream.
    pub chunks: u64,
    /// Mean time between two of them, ns.
    pub gap_mean_ns: Option<u64>,
    /// The time that 99 % of these do not exceed, ns, to within 3.2 %.
    pub gap_p99_ns: Option<u64>,
    /// From the start to the answer's last byte, ns.
    pub duration_ns: u64,
    /// Bytes of the request's body, out of its coding.
    pub request_bytes: u64,
    /// What was used.
    pub tokens: Tokens,
    /// Whether the provider told.
    pub usage: Usage,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// The tools that the model asked to call, by name, in order, at most 64.
    pub tools: Vec<String>,
    /// The failed call of the same request before this one, by its exchange.
    pub retry_of: Option<u64>,
    /// How many calls of the same request failed before this one.
    pub retries: u32,
    /// What is missing.
    pub partial: Partial,
    /// What was said, where that is kept.
    pub said: Option<Box<Unmasked>>,
}

/// Bytes of a request for each token of it: what OpenAI gives for English in its help, "What are tokens and how to count
/// them". It is of text; the JSON around it is little beside the prompts of agents, and pictures in it count for too much.
const BYTES_PER_TOKEN: u64 = 4;

impl LlmCall {
    /// Where the provider told no tokens of a stream that was seen to its end: what they may have been. Servers send a
    /// piece of content for each token that they write.
    #[must_use]
    pub fn estimate(&self) -> Option<Tokens> {
        let is_untold = self.stream && self.usage == Usage::NotSent && self.error_type.is_none();
        is_untold.then(|| Tokens {
            input: Some(self.request_bytes.div_ceil(BYTES_PER_TOKEN)),
            output: Some(self.chunks),
            ..Tokens::default()
        })
    }
}
