//! Profiles as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, names::WaitCauseDto, stack::StackDto};

/// What a profile weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProfileType)]
pub enum ProfileTypeDto {
    /// CPU time, by samples.
    #[default]
    Cpu,
    /// Time off the CPU, by waits.
    OffCpu,
}

/// How a profile is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ProfileFormat)]
pub enum ProfileFormatDto {
    /// Gzipped protocol buffer for `go tool pprof`, Pyroscope, Parca and others.
    #[default]
    Pprof,
    /// Text, one line a stack, outermost frame first; samples, or microseconds off the CPU.
    Folded,
    /// A flame graph.
    Svg,
    /// For speedscope.
    Speedscope,
    /// As described here.
    Json,
}

/// Weighted stacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Profile)]
pub struct ProfileDto {
    /// Whose.
    pub agent: String,
    /// What is weighed.
    #[serde(rename = "type")]
    pub kind: ProfileTypeDto,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// All stacks together.
    pub seconds: f64,
    /// The stacks, heaviest first.
    pub stacks: Vec<ProfileStackDto>,
}

/// A stack of one process and its weight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProfileStack)]
pub struct ProfileStackDto {
    /// Whose.
    pub pid: u32,
    /// Its name.
    pub comm: Option<String>,
    /// What it waited for; null in a CPU profile.
    pub cause: Option<WaitCauseDto>,
    /// Samples, or waits.
    pub count: u64,
    /// CPU time, or time off the CPU.
    pub seconds: f64,
    /// Where.
    pub stack: StackDto,
}
