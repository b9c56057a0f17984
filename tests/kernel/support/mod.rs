//! What every kernel test needs: a daemon, its API, workloads, and a way to compare with the truth.

pub(crate) mod api;
pub(crate) mod binary;
pub(crate) mod cuda;
pub(crate) mod daemon;
pub(crate) mod hook;
pub(crate) mod ledger;
pub(crate) mod nvml;
pub(crate) mod packages;
pub(crate) mod pprof;
pub(crate) mod programs;
pub(crate) mod prometheus;
pub(crate) mod puppet;
pub(crate) mod python;
pub(crate) mod rows;
pub(crate) mod stacks;
pub(crate) mod tls;
pub(crate) mod tolerance;
pub(crate) mod workload;
