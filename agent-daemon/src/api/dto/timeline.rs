//! A ledger in the order of time, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, names::LedgerCauseDto, seconds};
use crate::{
    model::{ledger::Ledger, time::Timestamp},
    store::query::{Segment, Timeline},
};

/// Where an agent's time went, one segment after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Timeline)]
pub struct TimelineDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the ledger's probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// How long segments are; longer ones are single windows, which are not divided. Longer than what was asked for
    /// where there would be more than 1000 segments.
    pub resolution_seconds: f64,
    /// The segments, in order; where there is none, the agent was not watched.
    pub segments: Vec<SegmentDto>,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TimelineSegment)]
pub struct SegmentDto {
    /// Start.
    pub from: Timestamp,
    /// End.
    pub to: Timestamp,
    /// The wall clock that was watched in it: exactly the sum of its causes.
    pub wall_seconds: f64,
    /// The causes that have time, most first. Over all segments each sums up to what the ledger says.
    pub causes: Vec<SegmentCauseDto>,
}

/// One cause's part of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = TimelineCause)]
pub struct SegmentCauseDto {
    /// The cause.
    pub cause: LedgerCauseDto,
    /// Its time.
    pub seconds: f64,
}

impl TimelineDto {
    /// A timeline on the wire.
    #[must_use]
    pub fn new(agent: String, watched: bool, covered: Option<CoveredDto>, timeline: &Timeline) -> Self {
        let resolution_seconds = timeline.resolution.as_secs_f64();
        let segments = timeline.segments.iter().map(SegmentDto::from).collect();
        Self { agent, covered, watched, resolution_seconds, segments }
    }
}

impl From<&Segment> for SegmentDto {
    fn from(segment: &Segment) -> Self {
        Self {
            from: segment.range.from,
            to: segment.range.to,
            wall_seconds: seconds(segment.ledger.wall_ns()),
            causes: SegmentCauseDto::of(&segment.ledger),
        }
    }
}

impl SegmentCauseDto {
    /// The causes that have time, most first.
    pub(super) fn of(ledger: &Ledger) -> Vec<Self> {
        let mut causes: Vec<_> = ledger.causes().into_iter().filter(|(_, ns)| *ns > 0).collect();
        causes.sort_by_key(|(cause, ns)| (std::cmp::Reverse(*ns), *cause));
        causes.into_iter().map(|(cause, ns)| Self { cause: cause.into(), seconds: seconds(ns) }).collect()
    }
}
