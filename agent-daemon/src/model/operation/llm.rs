//! Calls of language models and of MCP servers that were read off the wire: what is known of one beyond what every
//! operation has, and what many of them used.

use crate::model::{
    price::Cost,
    wire::{Evidence, Operation as Asked, Partial, Tokens, Usage},
};

/// The kind of operation that a call of a language model is.
pub const LLM: &str = "llm";
/// The kind of one of an MCP server.
pub const MCP: &str = "mcp";

/// What was read of a call of a language model. No prompt, completion or argument.
#[derive(Clone, Debug, PartialEq)]
pub struct Llm {
    /// Who answers, as `gen_ai.provider.name` has it.
    pub provider: String,
    /// How that is known.
    pub evidence: Evidence,
    /// What was asked for, as `gen_ai.operation.name` has it.
    pub asked: Asked,
    /// Whether the process answered the call, instead of asking.
    pub serves: bool,
    /// The server that was asked, without port.
    pub server: Option<String>,
    /// The model that was asked for.
    pub request_model: Option<String>,
    /// The model that answered.
    pub response_model: Option<String>,
    /// Whether the answer came as a stream.
    pub stream: bool,
    /// How long connecting took, ns, TCP's handshake and that of TLS: of a new connection's first call, before its start.
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
    /// What was used.
    pub tokens: Tokens,
    /// Whether the provider told that.
    pub usage: Usage,
    /// What it cost by the configured prices; `None` where none is known.
    pub cost: Option<Cost>,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// The tools that the model asked to call, by name, in order.
    pub tools: Vec<String>,
    /// The operation's number of the failed call of the same request before this one.
    pub retry_of: Option<u64>,
    /// How many calls of the same request failed before this one.
    pub retries: u32,
    /// What is missing.
    pub partial: Partial,
}

impl Llm {
    /// What such an operation is called: the provider, and what was asked for.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.provider, self.asked.name())
    }
}

/// The provider in the name of such an operation.
#[must_use]
pub fn provider_of(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

/// What calls of language models used together. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LlmSum {
    /// Tokens that models read.
    pub input: u64,
    /// Tokens that they wrote.
    pub output: u64,
    /// Of the input: read from a cache.
    pub cache_read: u64,
    /// Of the input: written into a cache.
    pub cache_write: u64,
    /// Of the output: reasoning.
    pub reasoning: u64,
    /// Calls whose tokens the provider told.
    pub counted: u64,
    /// Calls whose tokens are an estimate.
    pub estimated: u64,
    /// What the calls cost whose price is known.
    pub cost: Cost,
    /// How many these are.
    pub priced: u64,
    /// From the start to the first content, of all streams together, ns.
    pub first_content_ns: u64,
    /// How many streams had any.
    pub streams: u64,
    /// Calls that were not the first of their request.
    pub retries: u64,
    /// Calls that something is missing of.
    pub partial: u64,
}

impl LlmSum {
    /// Adds one call.
    pub fn add(&mut self, llm: &Llm) {
        let Tokens { input, output, cache_read, cache_write, reasoning } = llm.tokens;
        let known = |tokens: Option<u64>| tokens.unwrap_or(0);
        self.merge(&Self {
            input: known(input),
            output: known(output),
            cache_read: known(cache_read),
            cache_write: known(cache_write),
            reasoning: known(reasoning),
            counted: u64::from(llm.usage == Usage::Sent),
            estimated: u64::from(llm.usage == Usage::Estimated),
            cost: llm.cost.unwrap_or_default(),
            priced: u64::from(llm.cost.is_some()),
            first_content_ns: known(llm.first_content_ns),
            streams: u64::from(llm.first_content_ns.is_some()),
            retries: u64::from(llm.retries > 0),
            partial: u64::from(llm.partial.is_partial()),
        });
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Self) {
        let others = other.numbers();
        let mut sums = self.numbers();
        sums.iter_mut().zip(others).for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
        *self = Self::from(sums);
    }

    /// One of its sums of tokens, unless no call told any: what is not known is not 0.
    #[must_use]
    pub fn told(&self, tokens: u64) -> Option<u64> {
        (self.counted > 0 || tokens > 0).then_some(tokens)
    }

    /// Every number, in an order that is stored.
    #[must_use]
    pub fn numbers(&self) -> [u64; 13] {
        let Self { input, output, cache_read, cache_write, reasoning, counted, .. } = *self;
        let Self { cost, priced, first_content_ns, streams, retries, partial, .. } = *self;
        let tokens = [input, output, cache_read, cache_write, reasoning, counted];
        let rest = [cost.0, priced, first_content_ns, streams, retries, partial, self.estimated];
        std::array::from_fn(|at| tokens.iter().chain(&rest).nth(at).copied().unwrap_or(0))
    }
}

impl From<[u64; 13]> for LlmSum {
    fn from(numbers: [u64; 13]) -> Self {
        let [input, output, cache_read, cache_write, reasoning, counted, rest @ ..] = numbers;
        let [cost, priced, first_content_ns, streams, retries, partial, estimated] = rest;
        let cost = Cost(cost);
        Self {
            input,
            output,
            cache_read,
            cache_write,
            reasoning,
            counted,
            estimated,
            cost,
            priced,
            first_content_ns,
            streams,
            retries,
            partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LlmSum;

    #[test]
    fn numbers_come_back_and_add_up() {
        let sum = LlmSum::from(std::array::from_fn(|n| n as u64 + 1));
        assert_eq!(LlmSum::from(sum.numbers()), sum);
        let mut twice = sum;
        twice.merge(&sum);
        assert_eq!(twice.numbers(), std::array::from_fn(|n| 2 * (n as u64 + 1)));
        assert_eq!((twice.input, twice.cost.0, twice.partial, twice.estimated), (2, 14, 24, 26));
        let untold = LlmSum { counted: 0, ..sum };
        assert_eq!((sum.told(0), untold.told(0), untold.told(3)), (Some(0), None, Some(3)));
    }
}
