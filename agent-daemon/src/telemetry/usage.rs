//! What the daemon itself costs, from /proc/self.

/// CPU time and memory of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system CPU time since the start, seconds.
    pub cpu_seconds: f64,
    /// Resident set, bytes.
    pub rss_bytes: u64,
}

/// Reads this process's usage; zeros where /proc cannot be read.
#[must_use]
pub fn own_usage() -> Usage {
    let Ok(stat) = procfs::process::Process::myself().and_then(|p| p.stat()) else { return Usage::default() };
    Usage {
        cpu_seconds: (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64,
        rss_bytes: stat.rss * procfs::page_size(),
    }
}
