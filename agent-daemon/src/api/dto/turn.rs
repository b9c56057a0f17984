//! Turns of an agent, on the wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, seconds, timeline::SegmentCauseDto};
use crate::{
    model::{price::Cost, time::Timestamp},
    store::query::{Turn, Turns},
};

/// The turns of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Turns)]
pub struct TurnListDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// How long it was idle between any two, at least.
    pub gap_seconds: f64,
    /// Whether there were more before these.
    pub truncated: bool,
    /// In the order of time.
    pub turns: Vec<TurnDto>,
}

/// What an agent did from the end of one idle gap to the beginning of the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Turn)]
pub struct TurnDto {
    /// When it began to work.
    pub from: Timestamp,
    /// When it was done; as far as is known by now, for the last one.
    pub to: Timestamp,
    /// From the one to the other.
    pub seconds: f64,
    /// How long it had been idle before; null for the first.
    pub waited_seconds: Option<f64>,
    /// Calls of models that began in it.
    pub llm_calls: u64,
    /// Those that failed.
    pub failed_llm_calls: u64,
    /// Tool calls that began in it.
    pub tool_calls: u64,
    /// Those that failed.
    pub failed_tool_calls: u64,
    /// Tokens that models read, as far as providers told; null where none did.
    pub input_tokens: Option<u64>,
    /// Tokens that models wrote, likewise.
    pub output_tokens: Option<u64>,
    /// What the calls cost whose price is known, US dollars; null where that is nothing, as where no price is configured.
    pub cost_usd: Option<f64>,
    /// The wall clock of the windows that lie in it for the most part: exactly the sum of its causes.
    pub wall_seconds: f64,
    /// Where that went: the causes that have time, most first.
    pub causes: Vec<SegmentCauseDto>,
}

impl TurnListDto {
    /// Turns on the wire.
    #[must_use]
    pub fn new(agent: String, covered: Option<CoveredDto>, gap: Duration, turns: &Turns) -> Self {
        let before = std::iter::once(None).chain(turns.turns.iter().map(|turn| Some(turn.range.to)));
        let of = |(turn, before): (&Turn, Option<Timestamp>)| TurnDto::new(turn, before);
        let gap_seconds = gap.as_secs_f64();
        Self {
            agent,
            covered,
            gap_seconds,
            truncated: turns.truncated,
            turns: turns.turns.iter().zip(before).map(of).collect(),
        }
    }
}

impl TurnDto {
    fn new(turn: &Turn, before: Option<Timestamp>) -> Self {
        let (from, to) = (turn.range.from, turn.range.to);
        Self {
            from,
            to,
            seconds: to.duration_since(from).as_secs_f64(),
            waited_seconds: before.map(|before| from.duration_since(before).as_secs_f64()),
            llm_calls: turn.llm_calls.0,
            failed_llm_calls: turn.llm_calls.1,
            tool_calls: turn.tool_calls.0,
            failed_tool_calls: turn.tool_calls.1,
            input_tokens: turn.tokens.0,
            output_tokens: turn.tokens.1,
            cost_usd: (turn.cost != Cost::default()).then(|| turn.cost.usd()),
            wall_seconds: seconds(turn.ledger.wall_ns()),
            causes: SegmentCauseDto::of(&turn.ledger),
        }
    }
}
