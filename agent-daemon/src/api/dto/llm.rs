//! Calls of language models on the wire, as they were read off it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    llm_sums::{LeftOutDto, LlmModelDto, LlmSumDto},
    operation::MAX_GROUPS,
    seconds,
};
use crate::{
    model::{operation::Operation, time::Timestamp, wire::Reason},
    store::query::{OperationPage, OperationSummary},
};

/// A page of calls of models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LlmCallList)]
pub struct LlmCallListDto {
    /// Start of the range; null where it has none.
    pub from: Option<Timestamp>,
    /// End of the range; null where it has none.
    pub to: Option<Timestamp>,
    /// All calls that match and are kept one by one.
    pub total: u64,
    /// Calls that match and are left only as sums: `models` has them.
    pub added_up: u64,
    /// What `offset` gives the next page; null on the last.
    pub next_offset: Option<usize>,
    /// The calls, in the order that was asked for.
    pub calls: Vec<LlmCallDto>,
    /// The calls of the range added up by provider, operation and model, whether they failed or not, most time first; the
    /// 100 first.
    pub models: Vec<LlmModelDto>,
    /// All of them together.
    pub sum: LlmSumDto,
    /// What `sum` has and `models` does not.
    pub models_left_out: LeftOutDto,
}

impl LlmCallListDto {
    /// A page that begins at `offset`.
    #[must_use]
    pub fn new(
        page: &OperationPage,
        summary: &OperationSummary,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        offset: usize,
    ) -> Self {
        Self {
            from,
            to,
            total: page.total,
            added_up: page.added_up,
            next_offset: page.next_offset(offset),
            calls: page.operations.iter().filter_map(LlmCallDto::of).collect(),
            models: summary.groups.iter().take(MAX_GROUPS).map(LlmModelDto::from).collect(),
            sum: LlmSumDto::from(&summary.total),
            models_left_out: LeftOutDto::of(summary.groups.iter().map(|(_, sum)| sum)),
        }
    }
}

/// A call of a language model. What the provider did not tell, or was not seen, is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LlmCall)]
pub struct LlmCallDto {
    /// Unique in this store.
    pub id: String,
    /// The agent whose process called.
    pub agent: Option<String>,
    /// That process.
    pub pid: Option<u32>,
    /// When the request's first byte went.
    pub start: Timestamp,
    /// Who answered, as `gen_ai.provider.name` has it.
    #[schema(example = "anthropic")]
    pub provider: String,
    /// How that is known: by `host`, `answer`, `path`, or only by the `shape` of what was said.
    #[schema(example = "host")]
    pub evidence: String,
    /// What was asked for, as `gen_ai.operation.name` has it.
    #[schema(example = "chat")]
    pub operation: String,
    /// `client`: the process asked. `server`, that it answered, is only in stores that older versions wrote.
    #[schema(example = "client")]
    pub role: String,
    /// The server that was asked.
    pub server: Option<String>,
    /// The model that was asked for.
    pub request_model: Option<String>,
    /// The model that answered.
    pub response_model: Option<String>,
    /// Whether the answer came as a stream.
    pub stream: bool,
    /// HTTP's status; null if no answer was seen.
    pub status: Option<u16>,
    /// Whether it went well.
    pub success: bool,
    /// The class of the failure: the provider's word, else the status, else `cut_off` or `cancelled`.
    pub error_type: Option<String>,
    /// How long connecting took, TCP's handshake and that of TLS, before the start; null where the connection was there
    /// already, and where its handshake was not seen. Tied by process and time.
    pub connect_seconds: Option<f64>,
    /// From the start to the answer's first byte.
    pub first_byte_seconds: Option<f64>,
    /// From the start to the first content of a stream: the time to the first token.
    pub first_content_seconds: Option<f64>,
    /// Pieces of content that came in the stream.
    pub chunks: u64,
    /// Mean time between two of them.
    pub gap_mean_seconds: Option<f64>,
    /// The time that 99 % of these do not exceed. To within 3.2 %.
    pub gap_p99_seconds: Option<f64>,
    /// From the start to the answer's last byte.
    pub duration_seconds: f64,
    /// Tokens that the model read.
    pub input_tokens: Option<u64>,
    /// Tokens that it wrote.
    pub output_tokens: Option<u64>,
    /// Of the input: read from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Of the input: written into a cache.
    pub cache_write_tokens: Option<u64>,
    /// Of the output: reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Whether the provider told how many tokens were used: `sent`, `not_sent`, `unseen` where it may have, or `estimated`
    /// where it did not and the configuration wants an estimate.
    #[schema(example = "sent")]
    pub usage: String,
    /// What it cost, US dollars; null where the configuration has no price for it.
    pub cost_usd: Option<f64>,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// The tools that the model asked to call, by name, in order.
    pub tools: Vec<String>,
    /// The failed call of the same request before this one.
    pub retry_of: Option<String>,
    /// Calls of the same request that failed before this one.
    pub retries: u32,
    /// Why something of it was not seen; empty for what was seen whole.
    pub partial: Vec<String>,
}

impl LlmCallDto {
    /// The call; `None` for an operation that is none.
    #[must_use]
    pub fn of(operation: &Operation) -> Option<Self> {
        let llm = operation.llm.as_deref()?;
        let tokens = &llm.tokens;
        Some(Self {
            id: format!("{:016x}", operation.id),
            agent: operation.agent.as_ref().map(ToString::to_string),
            pid: operation.process.map(|process| process.pid()),
            start: operation.start,
            provider: llm.provider.clone(),
            evidence: llm.evidence.name().to_owned(),
            operation: llm.asked.name().to_owned(),
            role: if llm.serves { "server" } else { "client" }.to_owned(),
            server: llm.server.clone(),
            request_model: llm.request_model.clone(),
            response_model: llm.response_model.clone(),
            stream: llm.stream,
            status: operation.status,
            success: operation.success,
            error_type: operation.error_type.clone(),
            connect_seconds: llm.connect_ns.map(seconds),
            first_byte_seconds: llm.first_byte_ns.map(seconds),
            first_content_seconds: llm.first_content_ns.map(seconds),
            chunks: llm.chunks,
            gap_mean_seconds: llm.gap_mean_ns.map(seconds),
            gap_p99_seconds: llm.gap_p99_ns.map(seconds),
            duration_seconds: seconds(operation.duration_ns),
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cache_read_tokens: tokens.cache_read,
            cache_write_tokens: tokens.cache_write,
            reasoning_tokens: tokens.reasoning,
            usage: llm.usage.name().to_owned(),
            cost_usd: llm.cost.map(|cost| cost.usd()),
            finish_reason: llm.finish_reason.clone(),
            tools: llm.tools.clone(),
            retry_of: llm.retry_of.map(|id| format!("{id:016x}")),
            retries: llm.retries,
            partial: llm.partial.reasons().map(Reason::name).map(str::to_owned).collect(),
        })
    }
}
