//! NVIDIA GPUs, by NVML: what they do, what they draw, and for which processes.
//!
//! [`Gpus`] is the handle; a thread of its own (`worker`) loads the library at run time and is the only one that
//! calls it. A driver that is absent, refuses, hangs, is reloaded, or loses or gains a GPU is told in readings, with
//! the reason, and tried again: nothing here is fatal, but for a library that crashes, which takes the process along
//! as any library does. While it runs NVML holds the driver's device files open, so that the driver cannot be
//! unloaded under it.

mod ask;
mod backoff;
mod device;
mod events;
mod feature;
mod gpus;
mod history;
mod mig;
mod nvlink;
mod pids;
mod processes;
mod reading;
mod reason;
mod samples;
mod session;
mod share;
mod throttle;
mod worker;
mod xid;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

pub use feature::Feature;
pub use gpus::Gpus;
pub use pids::{ns_pids, start_time};
pub use reading::{
    Availability, Clocks, Count, Energy, EnergySource, Gpu, GpuProcess, GpuReading, Memory, Mig, MigInstance,
    Missing, ProcessUtilisation, Rates, Traffic, Utilisation, UtilisationBasis,
};
pub use reason::Reason;
pub use share::{Share, ShareBasis, Shares, Used, shares};
pub use xid::Xid;

/// Where things are, and how often they are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// NVML's library: a path, or a name that the dynamic linker looks for. It runs with all rights of the daemon.
    pub library: PathBuf,
    /// The daemon's /proc.
    pub proc: PathBuf,
    /// The host's /proc, where the daemon runs in a pid namespace of its own and can see it.
    pub host_proc: Option<PathBuf>,
    /// The driver's folder with an entry for each GPU. What changes in it makes NVML start again.
    pub listing: PathBuf,
    /// Pause after the first failure; each further one is twice as long.
    pub first_retry: Duration,
    /// The longest pause.
    pub longest_retry: Duration,
    /// How long a request waits, at most, while the thread waits for events.
    pub slice: Duration,
    /// How often, at most, the power of GPUs without a counter of energy is sampled between readings.
    pub meter_period: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            library: PathBuf::from("libnvidia-ml.so.1"),
            proc: PathBuf::from("/proc"),
            host_proc: None,
            listing: PathBuf::from("/proc/driver/nvidia/gpus"),
            first_retry: Duration::from_secs(1),
            longest_retry: Duration::from_secs(60),
            slice: Duration::from_millis(250),
            meter_period: Duration::from_secs(1),
        }
    }
}
