//! What is counted of one wait, syscall or process, and the ways in which processes end.

use std::sync::Arc;

use crate::model::{process::Exit, time::Timestamp};

/// How a process can end, as the label `result` has it.
pub(super) const RESULTS: [&str; 4] = ["success", "failure", "signal", "unknown"];

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WaitTotals {
    pub(super) blocked_ns: u64,
    pub(super) run_queue_ns: u64,
    pub(super) count: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct SyscallTotals {
    pub(super) count: u64,
    pub(super) ns: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ProcessTotals {
    pub(super) comm: Arc<str>,
    pub(super) cpu_ns: u64,
    pub(super) peak_bytes: u64,
    pub(super) ended: Option<Timestamp>,
}

/// How a process ended.
pub(super) fn result_of(exit: Option<Exit>) -> &'static str {
    match exit {
        Some(Exit::Code(0)) => "success",
        Some(Exit::Code(_)) => "failure",
        Some(Exit::Signal { .. }) => "signal",
        None => "unknown",
    }
}
