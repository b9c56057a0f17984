//! What was read of a call of a language model, in the journal.

use serde::{Deserialize, Serialize};

use super::{DataError, hexadecimal::Hex};
use crate::model::{
    operation::{Llm, LlmSum},
    price::Cost,
    wire::{Evidence, Operation, Partial, Reason, Tokens, Usage},
};

/// A call.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct LlmData {
    provider: String,
    evidence: String,
    operation: String,
    #[serde(default)]
    serves: bool,
    #[serde(default)]
    stream: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response_model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    connect_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_byte_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_content_ns: Option<u64>,
    #[serde(default)]
    chunks: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap_mean_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gap_p99_ns: Option<u64>,
    tokens: TokensData,
    usage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cost_picodollars: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tools: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_of: Option<Hex<8>>,
    #[serde(default)]
    retries: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    partial: Vec<String>,
}

/// Tokens; absent where the provider did not tell.
#[derive(Debug, Default, Serialize, Deserialize)]
struct TokensData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_read: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_write: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<u64>,
}

impl From<&Llm> for LlmData {
    fn from(llm: &Llm) -> Self {
        let Tokens { input, output, cache_read, cache_write, reasoning } = llm.tokens;
        Self {
            provider: llm.provider.clone(),
            evidence: llm.evidence.name().to_owned(),
            operation: llm.asked.name().to_owned(),
            serves: llm.serves,
            stream: llm.stream,
            server: llm.server.clone(),
            request_model: llm.request_model.clone(),
            response_model: llm.response_model.clone(),
            connect_ns: llm.connect_ns,
            first_byte_ns: llm.first_byte_ns,
            first_content_ns: llm.first_content_ns,
            chunks: llm.chunks,
            gap_mean_ns: llm.gap_mean_ns,
            gap_p99_ns: llm.gap_p99_ns,
            tokens: TokensData { input, output, cache_read, cache_write, reasoning },
            usage: llm.usage.name().to_owned(),
            cost_picodollars: llm.cost.map(|cost| cost.0),
            finish_reason: llm.finish_reason.clone(),
            tools: llm.tools.clone(),
            retry_of: llm.retry_of.map(Hex::from),
            retries: llm.retries,
            partial: llm.partial.reasons().map(|reason| reason.name().to_owned()).collect(),
        }
    }
}

impl TryFrom<LlmData> for Llm {
    type Error = DataError;

    fn try_from(data: LlmData) -> Result<Self, DataError> {
        let TokensData { input, output, cache_read, cache_write, reasoning } = data.tokens;
        let evidence = Evidence::ALL.into_iter().find(|evidence| evidence.name() == data.evidence);
        let asked = Operation::ALL.into_iter().find(|operation| operation.name() == data.operation);
        let usage = Usage::ALL.into_iter().find(|usage| usage.name() == data.usage);
        // What a later version knows of a call that is not whole leaves it so.
        let reason =
            |name: &String| Reason::ALL.into_iter().find(|r| r.name() == name).unwrap_or(Reason::BytesLost);
        let mut partial = Partial::default();
        data.partial.iter().map(reason).for_each(|reason| partial.add(reason));
        Ok(Self {
            provider: data.provider,
            evidence: evidence.ok_or(DataError::Value("an evidence of a provider"))?,
            asked: asked.ok_or(DataError::Value("an operation of a model"))?,
            serves: data.serves,
            stream: data.stream,
            server: data.server,
            request_model: data.request_model,
            response_model: data.response_model,
            connect_ns: data.connect_ns,
            first_byte_ns: data.first_byte_ns,
            first_content_ns: data.first_content_ns,
            chunks: data.chunks,
            gap_mean_ns: data.gap_mean_ns,
            gap_p99_ns: data.gap_p99_ns,
            tokens: Tokens { input, output, cache_read, cache_write, reasoning },
            usage: usage.ok_or(DataError::Value("a usage of tokens"))?,
            cost: data.cost_picodollars.map(Cost),
            finish_reason: data.finish_reason,
            tools: data.tools,
            retry_of: data.retry_of.map(u64::from),
            retries: data.retries,
            partial,
        })
    }
}

/// What calls used together.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct LlmSumData {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_tokens: u64,
    cache_write_tokens: u64,
    reasoning_tokens: u64,
    counted: u64,
    #[serde(default, skip_serializing_if = "is_none")]
    estimated: u64,
    cost_picodollars: u64,
    priced: u64,
    first_content_ns: u64,
    streams: u64,
    retries: u64,
    partial: u64,
}

impl From<LlmSum> for LlmSumData {
    fn from(sum: LlmSum) -> Self {
        let LlmSum { counted, estimated, priced, first_content_ns, streams, retries, partial, .. } = sum;
        Self {
            input_tokens: sum.input,
            output_tokens: sum.output,
            cache_read_tokens: sum.cache_read,
            cache_write_tokens: sum.cache_write,
            reasoning_tokens: sum.reasoning,
            counted,
            estimated,
            cost_picodollars: sum.cost.0,
            priced,
            first_content_ns,
            streams,
            retries,
            partial,
        }
    }
}

impl From<LlmSumData> for LlmSum {
    fn from(data: LlmSumData) -> Self {
        let LlmSumData { counted, estimated, priced, first_content_ns, streams, retries, partial, .. } = data;
        Self {
            input: data.input_tokens,
            output: data.output_tokens,
            cache_read: data.cache_read_tokens,
            cache_write: data.cache_write_tokens,
            reasoning: data.reasoning_tokens,
            counted,
            estimated,
            cost: Cost(data.cost_picodollars),
            priced,
            first_content_ns,
            streams,
            retries,
            partial,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_none(count: &u64) -> bool {
    *count == 0
}
