//! What a reading of the GPUs says. Facts as NVML tells them, with units in the names; `None` is "not known", and
//! [`Gpu::missing`] says why. Wire formats are made of these elsewhere.

use std::time::Duration;

use super::{feature::Feature, reason::Reason, xid::Xid};
use crate::model::time::Timestamp;

/// All GPUs of the host at one time.
#[derive(Clone, Debug)]
pub struct GpuReading {
    /// When it was made.
    pub at: Timestamp,
    /// Whether NVML answers, and if not, why.
    pub availability: Availability,
    /// One entry per GPU, in the driver's order; then those that were there before and are not listed any more.
    pub gpus: Vec<Gpu>,
    /// XID errors since the reading before that were not taken otherwise, oldest first.
    pub xids: Vec<Xid>,
    /// XID errors of that time that found no room.
    pub xids_lost: u64,
    /// Why XID errors are not told, for the GPU of this index or for all.
    pub xids_missing: Vec<(Option<u32>, Reason)>,
}

/// Whether NVML answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Running {
        /// Version of the kernel's driver, where it tells.
        driver: Option<String>,
        /// Version of the library, where it tells.
        library: Option<String>,
    },
    /// It cannot be used. It is tried again by itself.
    Unavailable {
        /// Why.
        reason: Reason,
        /// For how long that has been so.
        since: Duration,
        /// When the next attempt is due.
        retry_in: Duration,
    },
    /// A call has not returned. The reading that it belongs to comes when it does.
    Stuck {
        /// What was asked; `None` if it is not a call of NVML that takes so long.
        feature: Option<Feature>,
        /// Of which GPU.
        gpu: Option<u32>,
        /// For how long it has not answered.
        elapsed: Duration,
    },
}

/// One GPU.
#[derive(Clone, Debug, Default)]
pub struct Gpu {
    /// NVML's index. Not the same from boot to boot, and not CUDA's.
    pub index: u32,
    /// What identifies it.
    pub uuid: Option<String>,
    /// Name of the product.
    pub name: Option<String>,
    /// Why it as a whole cannot be read. What was known of it before stays: index, uuid and name.
    pub down: Option<Reason>,
    /// Time since the reading of this GPU before, which is what sums and means below are of; `None` for the first.
    pub interval: Option<Duration>,
    /// How busy it was.
    pub utilisation: Option<Utilisation>,
    /// Its memory.
    pub memory: Option<Memory>,
    /// Power draw in watts, at the moment, or averaged over a second by newer GPUs.
    pub power_watts: Option<f64>,
    /// The power limit in force, in watts.
    pub power_limit_watts: Option<f64>,
    /// Energy drawn in the interval.
    pub energy: Option<Energy>,
    /// Temperature of the chip in °C.
    pub temperature_celsius: Option<u32>,
    /// Present clocks.
    pub clocks: Clocks,
    /// Names of what holds the clocks down, in the order of NVML's bits; empty: nothing.
    pub throttle_reasons: Option<Vec<String>>,
    /// Memory errors that ECC corrected.
    pub ecc_corrected: Option<Count>,
    /// Memory errors that it could not correct.
    pub ecc_uncorrected: Option<Count>,
    /// Bytes per second over PCIe, by a sample of 20 ms.
    pub pcie: Option<Rates>,
    /// Bytes over all NVLinks in the interval, without protocol overhead.
    pub nvlink: Option<Traffic>,
    /// How busy the video encoder is, in percent.
    pub encoder_percent: Option<u32>,
    /// How busy the video decoder is, in percent.
    pub decoder_percent: Option<u32>,
    /// Whether and how it is divided.
    pub mig: Option<Mig>,
    /// The processes that have a context on it, by their pids.
    pub processes: Option<Vec<GpuProcess>>,
    /// What is not known, and why: unsupported, or failed this time.
    pub missing: Vec<Missing>,
}

/// Something that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What.
    pub feature: Feature,
    /// Why.
    pub reason: Reason,
}

/// Shares of time in which a GPU was busy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilisation {
    /// Percent of the time in which a kernel ran, 0 to 100.
    pub gpu_percent: f64,
    /// Percent of the time in which memory was read or written, 0 to 100.
    pub memory_percent: Option<f64>,
    /// What it is a mean of.
    pub basis: UtilisationBasis,
}

/// What a utilisation was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UtilisationBasis {
    /// The driver's samples of the interval, so many.
    Samples(usize),
    /// The driver's last sampling period only: 1/6 s to 1 s.
    LastPeriod,
}

/// Memory of a GPU or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that are allocated. What the driver reserves is not among them.
    pub used_bytes: u64,
    /// Bytes that are there.
    pub total_bytes: u64,
}

/// Energy drawn in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Energy {
    /// Joules.
    pub joules: f64,
    /// Where it comes from.
    pub source: EnergySource,
}

/// Where a figure of energy comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnergySource {
    /// The GPU's own counter.
    Counter,
    /// The power draw, sampled and summed up by us.
    IntegratedPower,
}

/// Clocks in MHz.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Graphics.
    pub graphics_mhz: Option<u32>,
    /// Streaming multiprocessors.
    pub sm_mhz: Option<u32>,
    /// Memory.
    pub memory_mhz: Option<u32>,
    /// Video.
    pub video_mhz: Option<u32>,
}

/// A counter that starts at 0 when the driver is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Since the driver was loaded.
    pub total: u64,
    /// In the interval; `None` for the first reading. After a reload of the driver: since the reload.
    pub added: Option<u64>,
}

/// A pair of rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Bytes per second from the GPU.
    pub sent_bytes_per_second: u64,
    /// Bytes per second to the GPU.
    pub received_bytes_per_second: u64,
}

/// A pair of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the GPU.
    pub sent_bytes: u64,
    /// Bytes to the GPU.
    pub received_bytes: u64,
}

/// Division of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mig {
    /// Whether it is on. Utilisation of the whole GPU and of processes is not known then.
    pub is_enabled: bool,
    /// The parts.
    pub instances: Vec<MigInstance>,
}

/// A part of a divided GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigInstance {
    /// What identifies it.
    pub uuid: Option<String>,
    /// The GPU instance that it belongs to.
    pub gpu_instance: Option<u32>,
    /// The compute instance in there.
    pub compute_instance: Option<u32>,
    /// Memory of the GPU instance.
    pub memory: Option<Memory>,
}

/// A process on a GPU.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuProcess {
    /// The pid as NVML tells it, of the host's namespace.
    pub host_pid: u32,
    /// The pid in the daemon's namespace; `None` if it cannot be told there.
    pub pid: Option<u32>,
    /// Whether it has a compute context.
    pub is_compute: bool,
    /// Whether it has a graphics context.
    pub is_graphics: bool,
    /// GPU memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Which part of a divided GPU it is on: GPU instance and compute instance.
    pub instance: Option<(u32, u32)>,
    /// What it used of the GPU in the interval: `None` where the driver does not tell.
    pub utilisation: Option<ProcessUtilisation>,
}

/// What a process used of a GPU, in percent of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessUtilisation {
    /// Streaming multiprocessors.
    pub sm_percent: f64,
    /// Memory.
    pub memory_percent: f64,
    /// Video encoder.
    pub encoder_percent: f64,
    /// Video decoder.
    pub decoder_percent: f64,
}

impl GpuReading {
    /// A reading of no GPU.
    pub(super) fn empty(availability: Availability) -> Self {
        Self {
            at: Timestamp::now(),
            availability,
            gpus: Vec::new(),
            xids: Vec::new(),
            xids_lost: 0,
            xids_missing: Vec::new(),
        }
    }
}

impl Gpu {
    /// What this GPU cannot tell: not what failed this time.
    pub fn unsupported(&self) -> impl Iterator<Item = Feature> {
        self.missing.iter().filter(|missing| missing.reason.is_unsupported()).map(|missing| missing.feature)
    }
}
