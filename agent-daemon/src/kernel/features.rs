//! What this host allows: asked before loading, and shown by `agentperf check`.

use caps::{CapSet, Capability};

use super::{Kernel, error::KernelError};
use crate::{
    config::Config,
    model::probe::{ProbeSet, ProbeState, ProbeStatus},
};

/// The oldest kernel that is promised to work.
const OLDEST: (u32, u32) = (6, 1);

/// Refuses kernels that are too old and processes that may not load programs, before anything is tried.
pub(super) fn require_kernel() -> Result<(), KernelError> {
    let release = release();
    if version(&release).is_none_or(|v| v < OLDEST) {
        return Err(KernelError::TooOld(release));
    }
    let missing: Vec<&str> = [(Capability::CAP_BPF, "CAP_BPF"), (Capability::CAP_PERFMON, "CAP_PERFMON")]
        .into_iter()
        .filter(|(cap, _)| !has(*cap) && !has(Capability::CAP_SYS_ADMIN))
        .map(|(_, name)| name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(KernelError::MissingCapability { capabilities: missing.join(" and ") })
}

/// The kernel's release, as `uname -r` prints it.
#[must_use]
pub fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map(|s| s.trim().to_owned()).unwrap_or_default()
}

/// Whether the running kernel is this version or a later one.
pub(super) fn is_at_least(major: u32, minor: u32) -> bool {
    version(&release()).is_some_and(|version| version >= (major, minor))
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether this process has a capability.
pub(super) fn has(capability: Capability) -> bool {
    caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false)
}

/// Loads and attaches everything once, and tells how each program and feature fared.
#[must_use]
pub fn probe() -> Vec<ProbeStatus> {
    let mut kernel = match Kernel::load(&Config::default()) {
        Ok(kernel) => kernel,
        Err(e) => return vec![failed(&e)],
    };
    // What a probe cannot have is in the status; what nothing can replace is the error.
    let enabled = kernel.enable(true, ProbeSet::ALL);
    let mut status = kernel.status();
    if let Err(e) = enabled {
        status.push(failed(&e));
    }
    status
}

fn failed(error: &KernelError) -> ProbeStatus {
    ProbeStatus {
        name: "kernel_programs",
        purpose: "everything agentperf sees",
        probes: ProbeSet::EMPTY,
        state: ProbeState::Unavailable,
        attached: false,
        reason: Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_are_read_off_releases() {
        assert_eq!(version("6.1.0-28-amd64"), Some((6, 1)));
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("5.10"), Some((5, 10)));
        assert_eq!(version("garbage"), None);
    }
}
