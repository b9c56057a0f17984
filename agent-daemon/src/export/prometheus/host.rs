//! What the host does, read when it is asked for.

use procfs::{Current as _, CurrentSI as _};

/// Seconds of all CPUs since boot, by mode; empty where /proc cannot be read.
pub(super) fn cpu_seconds() -> Vec<(&'static str, f64)> {
    let Ok(stat) = procfs::KernelStats::current() else { return Vec::new() };
    let total = stat.total;
    let seconds = |ticks: u64| ticks as f64 / procfs::ticks_per_second() as f64;
    let modes = [
        ("user", Some(total.user)),
        ("nice", Some(total.nice)),
        ("system", Some(total.system)),
        ("idle", Some(total.idle)),
        ("iowait", total.iowait),
        ("irq", total.irq),
        ("softirq", total.softirq),
        ("steal", total.steal),
    ];
    modes.into_iter().filter_map(|(mode, ticks)| Some((mode, seconds(ticks?)))).collect()
}

/// CPUs that are online.
pub(super) fn cpus() -> Option<f64> {
    Some(procfs::KernelStats::current().ok()?.cpu_time.len() as f64)
}

/// Physical memory and what of it programs could have, bytes.
pub(super) fn memory() -> Option<(f64, Option<f64>)> {
    let memory = procfs::Meminfo::current().ok()?;
    Some((memory.mem_total as f64, memory.mem_available.map(|bytes| bytes as f64)))
}

/// Load average of the last minute.
pub(super) fn load1() -> Option<f64> {
    Some(f64::from(procfs::LoadAverage::current().ok()?.one))
}
