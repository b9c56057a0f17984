//! Whether a pid still means the process that we mean: pids are used again, by processes of other owners.
//!
//! A process that is this one now has been it all along: what was opened or read by the pid before is its own. Starts
//! are told by clock ticks (10 ms), so that one tick of rounding is allowed; no host uses a pid again so soon.

use procfs::{process::Process, ticks_per_second};

use crate::model::id::ProcessId;

/// Whether the process lives, or has not been waited for yet.
pub(crate) fn is_same(process: ProcessId) -> bool {
    let stat = i32::try_from(process.pid()).ok().and_then(|pid| Process::new(pid).ok()?.stat().ok());
    let ticks = u128::from(process.start_ns()) * u128::from(ticks_per_second()) / 1_000_000_000;
    stat.is_some_and(|stat| u128::from(stat.starttime).abs_diff(ticks) <= 1)
}

/// The process that has this pid.
#[cfg(test)]
pub(crate) fn process_now(pid: u32) -> ProcessId {
    let stat = Process::new(pid.cast_signed()).and_then(|p| p.stat()).unwrap();
    let start_ns = u128::from(stat.starttime) * 1_000_000_000 / u128::from(ticks_per_second());
    ProcessId::new(pid, u64::try_from(start_ns).unwrap())
}

/// The process that this test is.
#[cfg(test)]
pub(crate) fn this_process() -> ProcessId {
    process_now(std::process::id())
}

/// A process that had the pid of this test before.
#[cfg(test)]
pub(crate) fn forerunner() -> ProcessId {
    ProcessId(u64::from(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_not_enough() {
        assert!(is_same(this_process()));
        assert!(!is_same(forerunner()));
        assert!(!is_same(ProcessId((1 << 22) - 1)));
    }
}
