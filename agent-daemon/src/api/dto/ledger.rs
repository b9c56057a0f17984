//! An agent's ledger on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, names::LedgerCauseDto, seconds};
use crate::model::ledger::{Bit, Cause, Ledger, Role, ThreadState};

/// Where an agent's time went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Ledger)]
pub struct LedgerDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the ledger's probe. Where it is not, zeros mean nothing.
    pub watched: bool,
    /// The wall clock that was watched: exactly the sum of the causes.
    pub wall_seconds: f64,
    /// The exclusive division, every cause in a fixed order.
    pub causes: Vec<LedgerShareDto>,
    /// Whether part of the `llm_*` causes is told by connections alone: an estimate. Which part, each cause says.
    pub estimated: bool,
    /// What was true beside it: time in which one thing was in flight while another one was the cause.
    pub overlaps: Vec<OverlapDto>,
    /// Time of all threads by role and state, the largest first: threads side by side each count.
    pub thread_seconds: Vec<ThreadTimeDto>,
    /// Time of all calls to models by phase: calls side by side each count.
    pub call_seconds: CallTimeDto,
}

/// One cause's part of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LedgerShare)]
pub struct LedgerShareDto {
    /// The cause.
    pub cause: LedgerCauseDto,
    /// Its time.
    pub seconds: f64,
    /// Its part of the wall clock, 0 to 1; 0 where nothing was watched.
    pub share: f64,
    /// Of its time: what is an estimate, guessed from what connections sent and received: calls of models that were not
    /// read, and `network` of an agent that waits on an event loop. The rest is exact.
    #[serde(default)]
    pub estimated_seconds: f64,
}

/// Time of which two things were true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = LedgerOverlap)]
pub struct OverlapDto {
    /// What was in flight.
    pub hidden: LedgerCauseDto,
    /// The cause that the time went to.
    pub under: LedgerCauseDto,
    /// How long.
    pub seconds: f64,
}

/// Time of all threads of one role in one state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ThreadTime)]
pub struct ThreadTimeDto {
    /// Whose work: own, tool or helper.
    pub role: String,
    /// What the threads did or waited for.
    pub state: String,
    /// How long, all threads together.
    pub seconds: f64,
}

/// Time of all calls to models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CallTime)]
pub struct CallTimeDto {
    /// Connecting.
    pub llm_connect: f64,
    /// From the request to the first byte of the answer.
    pub llm_first_token: f64,
    /// While the answer came.
    pub llm_stream: f64,
}

impl LedgerDto {
    /// A ledger on the wire.
    #[must_use]
    pub fn new(agent: String, watched: bool, covered: Option<CoveredDto>, ledger: &Ledger) -> Self {
        let (wall, causes, guessed) = (ledger.wall_ns(), ledger.causes(), ledger.guessed());
        let share = |cause: Cause| {
            let ns = causes.get(&cause).copied().unwrap_or(0);
            let share = if wall == 0 { 0.0 } else { ns as f64 / wall as f64 };
            let estimated_seconds = seconds(guessed.get(&cause).copied().unwrap_or(0));
            LedgerShareDto { cause: cause.into(), seconds: seconds(ns), share, estimated_seconds }
        };
        let overlap = |((hidden, under), ns): ((Cause, Cause), u64)| OverlapDto {
            hidden: hidden.into(),
            under: under.into(),
            seconds: seconds(ns),
        };
        Self {
            agent,
            covered,
            watched,
            wall_seconds: seconds(wall),
            causes: Cause::ALL.into_iter().map(share).collect(),
            estimated: guessed.iter().any(|(cause, ns)| cause.is_llm() && *ns > 0),
            overlaps: ledger.overlaps().into_iter().map(overlap).collect(),
            thread_seconds: threads(ledger),
            call_seconds: calls(ledger),
        }
    }
}

const LLM: [Bit; 3] = [Bit::LLM_CONNECT, Bit::LLM_FIRST_TOKEN, Bit::LLM_STREAM];

fn threads(ledger: &Ledger) -> Vec<ThreadTimeDto> {
    let of_thread = |(bit, ns): &(Bit, u64)| bit.thread().map(|thread| (thread, *ns));
    let mut rows: Vec<_> = ledger.threads.iter().filter_map(of_thread).collect();
    rows.sort_by_key(|(thread, ns)| (std::cmp::Reverse(*ns), *thread));
    let row = |((role, state), ns): ((Role, ThreadState), u64)| ThreadTimeDto {
        role: role.name().to_owned(),
        state: state.name().to_owned(),
        seconds: seconds(ns),
    };
    rows.into_iter().map(row).collect()
}

fn calls(ledger: &Ledger) -> CallTimeDto {
    let [llm_connect, llm_first_token, llm_stream] = LLM.map(|phase| {
        let of_phase = ledger.threads.iter().filter(|(bit, _)| *bit == phase);
        seconds(of_phase.fold(0, |sum: u64, (_, ns)| sum.saturating_add(*ns)))
    });
    CallTimeDto { llm_connect, llm_first_token, llm_stream }
}
