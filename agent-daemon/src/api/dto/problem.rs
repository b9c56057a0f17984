//! Refusals on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was refused (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDto {
    /// Stable name of the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:agentperf:problem:unknown-agent")]
    pub kind: String,
    /// The kind of problem, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, in one sentence.
    pub detail: String,
    /// The path that was asked for.
    pub instance: String,
}
