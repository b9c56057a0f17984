//! Reactions of alerts on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    alert::reaction::{Cause, Entry, Kind, State},
    model::time::Timestamp,
};

/// Reactions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReactionList)]
pub struct ReactionListDto {
    /// Whether alerts act (`alerts.reactions.enabled`).
    pub enabled: bool,
    /// Whether they only say what they would do (`alerts.reactions.dry_run`).
    pub dry_run: bool,
    /// The last thousand, the newest first.
    pub reactions: Vec<ReactionDto>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReactionAction)]
pub enum ActionDto {
    /// Profiles are written.
    CaptureProfile,
    /// The last minutes are written in full detail.
    FlightRecorder,
    /// CPU and memory of the agent's cgroup are limited.
    Limit,
    /// The agent's processes are stopped.
    Pause,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReactionState)]
pub enum ReactionStateDto {
    /// Its time has not come.
    Waiting,
    /// It is in force.
    InForce,
    /// It is done, and there is nothing to be taken back.
    Done,
    /// It was in force, and is taken back.
    Undone,
    /// It must not be done; `detail` says why.
    Refused,
    /// It could not be done; `detail` says why.
    Failed,
    /// It would have been done.
    DryRun,
}

/// Why it was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReactionCause)]
pub enum CauseDto {
    /// Its alert fires no more.
    Resolved,
    /// Its time was over.
    MaxDuration,
    /// A person asked for it.
    Request,
    /// Reactions were turned off.
    TurnedOff,
    /// The daemon stopped.
    Stop,
    /// The daemon before had ended without taking it back.
    Restart,
}

/// A reaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Reaction)]
pub struct ReactionDto {
    /// Its number: each has another, over restarts too.
    pub id: u64,
    /// What was asked for.
    pub action: ActionDto,
    /// What became of it.
    pub state: ReactionStateDto,
    /// The rule whose alert asked; absent where a person did.
    pub rule: Option<String>,
    /// The alert's id.
    pub alert: Option<String>,
    /// The agent's id.
    pub agent: Option<String>,
    /// When it was asked for.
    pub asked: Timestamp,
    /// What is or was done, in words; empty where it did not come to a plan.
    pub what: String,
    /// Until when it is in force at most.
    pub until: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Why it was taken back.
    pub cause: Option<CauseDto>,
    /// Why it did not come about, or how the undoing went.
    pub detail: String,
    /// Paths of this API where the files are that it wrote. The oldest files go.
    pub files: Vec<String>,
}

impl From<Kind> for ActionDto {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::CaptureProfile => Self::CaptureProfile,
            Kind::FlightRecorder => Self::FlightRecorder,
            Kind::Limit => Self::Limit,
            Kind::Pause => Self::Pause,
        }
    }
}

impl ActionDto {
    /// As files and metrics write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CaptureProfile => Kind::CaptureProfile.name(),
            Self::FlightRecorder => Kind::FlightRecorder.name(),
            Self::Limit => Kind::Limit.name(),
            Self::Pause => Kind::Pause.name(),
        }
    }
}

impl From<State> for ReactionStateDto {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => Self::Waiting,
            State::InForce => Self::InForce,
            State::Done => Self::Done,
            State::Undone => Self::Undone,
            State::Refused => Self::Refused,
            State::Failed => Self::Failed,
            State::DryRun => Self::DryRun,
        }
    }
}

impl From<Cause> for CauseDto {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Resolved => Self::Resolved,
            Cause::MaxDuration => Self::MaxDuration,
            Cause::Request => Self::Request,
            Cause::TurnedOff => Self::TurnedOff,
            Cause::Stop => Self::Stop,
            Cause::Restart => Self::Restart,
        }
    }
}

impl From<&Entry> for ReactionDto {
    fn from(entry: &Entry) -> Self {
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let link = |file: &String| format!("/api/v1/alerts/reactions/{}/files/{file}", entry.id);
        Self {
            id: entry.id,
            action: entry.kind.into(),
            state: entry.state.into(),
            rule: text(&entry.rule),
            alert: entry.alert.map(|alert| alert.to_string()),
            agent: text(&entry.agent),
            asked: entry.asked,
            what: entry.what.clone(),
            until: entry.until,
            ended: entry.ended,
            cause: entry.cause.map(Into::into),
            detail: entry.detail.clone(),
            files: entry.files.iter().map(link).collect(),
        }
    }
}
