//! Calls of CUDA on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, names::CudaCallDto, seconds};
use crate::{
    model::{cuda::CudaStat, id::ProcessId},
    store::query::AgentGpu,
};

/// An agent's calls of CUDA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CudaReport)]
pub struct CudaReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the cuda probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// The calls, by process where that is asked for, and by kind.
    pub calls: Vec<CudaCallsDto>,
    /// Waits for the GPU in these calls.
    pub waits: CudaWaitsDto,
    /// How the GPUs were used beside them; null where NVML tells nothing of the agent's processes.
    pub gpus: Option<CudaGpusDto>,
}

/// Calls of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CudaCalls)]
pub struct CudaCallsDto {
    /// What they do.
    pub call: CudaCallDto,
    /// Who called, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of who called, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// How many.
    pub count: u64,
    /// Those that returned an error, of allocations, frees, waits and copies that wait; of others it is not seen.
    pub errors: u64,
    /// Bytes that they asked for, as far as their arguments tell.
    pub bytes: u64,
    /// Time inside, over all threads; null for calls that are only counted.
    pub total_seconds: Option<f64>,
    /// The longest; null for calls that are only counted.
    pub max_seconds: Option<f64>,
}

/// Waits for the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CudaWaits)]
pub struct CudaWaitsDto {
    /// Time in calls that wait, over all threads, whether they sleep or spin.
    pub seconds: f64,
    /// The longest.
    pub max_seconds: f64,
    /// Its part of the time spoken of: 1 is one thread that always waits, and several side by side make more.
    pub share: f64,
    /// Time asleep for the GPU, in these calls and in others of its driver: the rest was spun away on a CPU. Null where
    /// the agent is not watched by the off_cpu probe.
    pub asleep_seconds: Option<f64>,
}

/// How the GPUs were used beside the calls.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CudaGpus)]
pub struct CudaGpusDto {
    /// GPU time of the agent's processes, over all GPUs.
    pub busy_seconds: f64,
    /// Its part of the time spoken of.
    pub busy_share: f64,
    /// At least this long no GPU worked for the agent, while none of its threads waited for one: the time spoken of, less
    /// GPU time and waits.
    pub idle_while_working_seconds: f64,
    /// Its part of the time spoken of.
    pub idle_while_working_share: f64,
}

impl CudaCallsDto {
    /// Sums on the wire; a process is told where they are one process's, and `comm` names it.
    #[must_use]
    pub fn new(sum: &CudaStat, process: Option<ProcessId>, comm: Option<String>) -> Self {
        let timed = |ns: u64| (sum.total_ns > 0).then(|| seconds(ns));
        Self {
            call: sum.call.into(),
            pid: process.map(ProcessId::pid),
            comm,
            count: sum.calls,
            errors: sum.errors,
            bytes: sum.bytes,
            total_seconds: timed(sum.total_ns),
            max_seconds: timed(sum.max_ns),
        }
    }
}

impl CudaWaitsDto {
    /// The waits among these calls, in this time, and the time asleep for the GPU, ns.
    #[must_use]
    pub fn new(sums: &[CudaStat], covered_ns: u64, asleep_ns: Option<u64>) -> Self {
        let wait_ns = sums.iter().map(CudaStat::wait_ns).fold(0, u64::saturating_add);
        let is_wait = |sum: &&CudaStat| sum.call.is_wait();
        Self {
            seconds: seconds(wait_ns),
            max_seconds: seconds(sums.iter().filter(is_wait).map(|sum| sum.max_ns).max().unwrap_or(0)),
            share: share(seconds(wait_ns), seconds(covered_ns)),
            asleep_seconds: asleep_ns.map(seconds),
        }
    }
}

impl CudaGpusDto {
    /// What the GPUs did for the agent in this time, ns; `None` where that is not known.
    #[must_use]
    pub fn new(gpus: &[AgentGpu], covered_ns: u64, waits: &CudaWaitsDto) -> Option<Self> {
        let busy = gpus.iter().filter_map(AgentGpu::busy_ns).reduce(u64::saturating_add)?;
        let (covered, busy_seconds) = (seconds(covered_ns), seconds(busy));
        let idle = (covered - busy_seconds - waits.seconds).max(0.0);
        Some(Self {
            busy_seconds,
            busy_share: share(busy_seconds, covered),
            idle_while_working_seconds: idle,
            idle_while_working_share: share(idle, covered),
        })
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
