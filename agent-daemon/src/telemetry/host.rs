//! Which host and which daemon this is: what every answer about the daemon starts with.

use crate::model::time::Timestamp;

/// The daemon and the host it runs on; fixed for the daemon's lifetime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostInfo {
    /// agentperf's version.
    pub version: &'static str,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel: String,
    /// The kernel's boot id: another after every boot.
    pub boot_id: String,
    /// The host's name.
    pub hostname: String,
    /// When the daemon started.
    pub started: Timestamp,
}

impl HostInfo {
    /// Reads the host from /proc; started now. What cannot be read is `unknown`.
    #[must_use]
    pub fn read() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            kernel: kernel_setting("osrelease"),
            boot_id: boot_id(),
            hostname: kernel_setting("hostname"),
            started: Timestamp::now(),
        }
    }
}

/// The kernel's boot id; `unknown` where it cannot be read.
#[must_use]
pub fn boot_id() -> String {
    kernel_setting("random/boot_id")
}

fn kernel_setting(name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    let text = text.trim();
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_can_be_read() {
        let host = HostInfo::read();
        assert_ne!(host.kernel, "unknown");
        assert_eq!(host.boot_id.len(), 36);
    }
}
