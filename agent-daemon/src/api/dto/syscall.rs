//! Syscall statistics on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, seconds};
use crate::{
    model::{errno_names::errno_name, syscall_names::syscall_name},
    store::query::SyscallTotal,
};

/// An agent's syscalls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SyscallReport)]
pub struct SyscallReportDto {
    /// Whose.
    pub agent: String,
    /// The time spoken of; null where nothing was stored.
    pub covered: Option<CoveredDto>,
    /// Whether the agent is watched by the syscalls probe. Where it is not, an empty list means nothing.
    pub watched: bool,
    /// The calls, most time first.
    pub syscalls: Vec<SyscallDto>,
}

/// One syscall's totals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Syscall)]
pub struct SyscallDto {
    /// The kernel's name for it; `syscall_N` where it has none here.
    #[schema(example = "openat")]
    pub name: String,
    /// Its number in the x86-64 table.
    pub number: u32,
    /// Who called, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The name of who called, if asked for by process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comm: Option<String>,
    /// Calls that returned.
    pub count: u64,
    /// Of these, calls of processes that are told apart no more, since a window keeps so many rows.
    pub merged: u64,
    /// Calls that failed, by the error's name.
    pub errors: BTreeMap<String, u64>,
    /// Time inside the call.
    pub total_seconds: f64,
    /// The longest call.
    pub max_seconds: f64,
    /// Half of the calls took no longer. Estimated from powers of two.
    pub p50_seconds: Option<f64>,
    /// 90 % of the calls took no longer.
    pub p90_seconds: Option<f64>,
    /// 99 % of the calls took no longer.
    pub p99_seconds: Option<f64>,
}

impl SyscallDto {
    /// Totals on the wire; `comm` names the process, where they are one process's.
    #[must_use]
    pub fn new(total: &SyscallTotal, comm: Option<String>) -> Self {
        let errors = total.errors.iter().map(|(errno, n)| (error_name(*errno), *n)).collect();
        Self {
            name: call_name(total.number),
            number: total.number,
            pid: total.process.map(|p| p.pid()),
            comm,
            count: total.count,
            merged: total.merged,
            errors,
            total_seconds: seconds(total.total_ns),
            max_seconds: seconds(total.max_ns),
            p50_seconds: total.quantile_seconds(0.5),
            p90_seconds: total.quantile_seconds(0.9),
            p99_seconds: total.quantile_seconds(0.99),
        }
    }
}

/// A syscall's name, or its number where the table has none.
pub(in crate::api) fn call_name(number: u32) -> String {
    syscall_name(number).map_or_else(|| format!("syscall_{number}"), str::to_owned)
}

fn error_name(errno: u32) -> String {
    errno_name(errno).map_or_else(|| format!("errno_{errno}"), str::to_owned)
}
