//! What the host and the daemon use, read once for each answer that shows it.

use procfs::{Current as _, CurrentSI as _};

use super::{Usage, own_usage};

/// A reading. What /proc does not tell is absent.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// CPUs that are online.
    pub cpus: Option<f64>,
    /// Seconds of all CPUs since boot, by mode.
    pub cpu_seconds: Vec<(&'static str, f64)>,
    /// Physical memory, bytes.
    pub memory: Option<f64>,
    /// What of it programs could have without swapping, bytes.
    pub memory_available: Option<f64>,
    /// Load average of the last minute.
    pub load1: Option<f64>,
    /// The daemon's own.
    pub own: Usage,
}

impl Reading {
    /// Reads /proc.
    #[must_use]
    pub fn take() -> Self {
        let stat = procfs::KernelStats::current().ok();
        let memory = procfs::Meminfo::current().ok();
        Self {
            cpus: stat.as_ref().map(|stat| stat.cpu_time.len() as f64),
            cpu_seconds: stat.map(|stat| by_mode(&stat.total)).unwrap_or_default(),
            memory: memory.as_ref().map(|memory| memory.mem_total as f64),
            memory_available: memory.and_then(|memory| memory.mem_available).map(|bytes| bytes as f64),
            load1: procfs::LoadAverage::current().ok().map(|load| f64::from(load.one)),
            own: own_usage(),
        }
    }
}

fn by_mode(total: &procfs::CpuTime) -> Vec<(&'static str, f64)> {
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
