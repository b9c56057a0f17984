//! Receivers of alerts on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alert::time;
use crate::{
    alert::channel::{Health, Outcome, Tested},
    model::time::Timestamp,
};

/// Receivers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReceiverList)]
pub struct ReceiverListDto {
    /// By their names.
    pub receivers: Vec<ReceiverDto>,
}

/// A receiver and how it fares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Receiver)]
pub struct ReceiverDto {
    /// What routes call it.
    pub name: String,
    /// Its channel: `webhook`, `slack`, `email` and so on.
    pub via: String,
    /// Where it leads, without secrets.
    pub target: String,
    /// Messages that wait.
    pub waiting: usize,
    /// Messages that it took since the daemon started.
    pub delivered: u64,
    /// Messages that it refused for good.
    pub refused: u64,
    /// Tries that failed, and were or will be followed by others.
    pub failed: u64,
    /// When it last took a message.
    pub last_delivered: Option<Timestamp>,
    /// When the last try was.
    pub last_try: Option<Timestamp>,
    /// What came of the last try.
    pub last_result: Option<TellingDto>,
    /// What was said then; no secret is in it.
    pub last_answer: Option<String>,
}

/// What came of telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Telling)]
pub enum TellingDto {
    /// The receiver has it.
    Taken,
    /// It will never take it.
    Refused,
    /// It may take it later.
    Later,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReceiverTest)]
pub struct ReceiverTestDto {
    /// What came of it.
    pub result: TellingDto,
    /// What was said.
    pub answer: String,
    /// How long it took.
    pub duration_seconds: f64,
}

impl From<&Outcome> for TellingDto {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Taken(_) => Self::Taken,
            Outcome::Refused(_) => Self::Refused,
            Outcome::Later(_) => Self::Later,
        }
    }
}

impl From<&Health> for ReceiverDto {
    fn from(health: &Health) -> Self {
        let outcome = health.last.as_ref().map(|(_, outcome)| outcome);
        Self {
            name: health.name.clone(),
            via: health.kind.to_owned(),
            target: health.target.clone(),
            waiting: health.waiting,
            delivered: health.counts.delivered,
            refused: health.counts.refused,
            failed: health.counts.failed,
            last_delivered: health.delivered_at.and_then(time),
            last_try: health.last.as_ref().and_then(|(at, _)| time(*at)),
            last_result: outcome.map(TellingDto::from),
            last_answer: outcome.map(|outcome| outcome.said().to_owned()),
        }
    }
}

impl From<&Tested> for ReceiverTestDto {
    fn from(tested: &Tested) -> Self {
        Self {
            result: (&tested.outcome).into(),
            answer: tested.outcome.said().to_owned(),
            duration_seconds: tested.took.as_secs_f64(),
        }
    }
}
