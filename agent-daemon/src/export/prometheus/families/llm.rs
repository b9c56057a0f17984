//! The metrics of the calls of models that agents make.

use prometheus_client::registry::Unit::Seconds;

use super::{
    Family as F,
    Kind::{Counter, Gauge},
    Row, row,
};

/// Labels of the calls of one model.
const MODEL: &[&str] = &["agent", "agent_id", "provider", "model"];
/// The same, by `type`: `input` and `output`, and what these contain: `cache_read`, `cache_write` and `reasoning`.
const TOKENS: &[&str] = &["agent", "agent_id", "provider", "model", "type"];

pub(super) static ROWS: [Row; 14] = [
    row(
        F::LlmCost,
        "llm_cost_usd",
        None,
        Counter,
        &[],
        "What calls of models cost whose price is configured, of all agents since the daemon started, US dollars",
    ),
    row(
        F::LlmTokens,
        "llm_tokens",
        None,
        Counter,
        &["type"],
        "Tokens of all agents since the daemon started: input, output; estimates too, where `llm.estimate_tokens` has them made",
    ),
    row(
        F::BudgetUsd,
        "budget_usd_per_day",
        None,
        Gauge,
        &[],
        "What calls of models may cost a day, budget.usd_per_day; none if that is not set",
    ),
    row(
        F::BudgetTokens,
        "budget_tokens_per_day",
        None,
        Gauge,
        &[],
        "Tokens that models may read and write a day, budget.tokens_per_day; none if that is not set",
    ),
    row(
        F::AgentLlmCalls,
        "agent_llm_calls",
        None,
        Counter,
        MODEL,
        "Calls of models that were read off the wire",
    ),
    row(
        F::AgentLlmFailures,
        "agent_llm_failures",
        None,
        Counter,
        MODEL,
        "Calls of models that failed: an error, an answer that did not come to its end (cut_off), or one that the caller gave up (cancelled)",
    ),
    row(
        F::AgentLlmProviderFailures,
        "agent_llm_provider_failures",
        None,
        Counter,
        MODEL,
        "Of these, those that are the provider's doing: 429, 5xx, and errors in the middle of an answer",
    ),
    row(
        F::AgentLlmUnfinished,
        "agent_llm_unfinished",
        None,
        Counter,
        MODEL,
        "Of these, those whose answer did not come to its end: the caller gave it up, or the connection broke (cut_off, cancelled)",
    ),
    row(F::AgentLlmSeconds, "agent_llm", Some(Seconds), Counter, MODEL, "How long calls of models took"),
    row(
        F::AgentLlmFirstTokenSeconds,
        "agent_llm_first_token",
        Some(Seconds),
        Counter,
        MODEL,
        "From the start of calls whose answers are streams to their first content",
    ),
    row(
        F::AgentLlmStreams,
        "agent_llm_streams",
        None,
        Counter,
        MODEL,
        "Calls whose answers were such streams",
    ),
    row(
        F::AgentLlmTokens,
        "agent_llm_tokens",
        None,
        Counter,
        TOKENS,
        "Tokens as providers count them; cache_read and cache_write are part of input, reasoning of output; estimates too, where `llm.estimate_tokens` has them made",
    ),
    row(
        F::AgentLlmCost,
        "agent_llm_cost_usd",
        None,
        Counter,
        MODEL,
        "What calls of models cost whose price is configured, US dollars",
    ),
    row(
        F::AgentLlmPartial,
        "agent_llm_partial_calls",
        None,
        Counter,
        MODEL,
        "Calls of models of which something was not seen",
    ),
];
