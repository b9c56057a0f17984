//! What GPUs did in a window of the host, and for whom. What a GPU does not tell is `None`, never 0 instead.

mod merge;

pub(super) use merge::absorb_all;

use crate::model::id::ProcessId;

/// The most GPUs, parts of a GPU, throttle reasons and XID numbers that a window tells apart. Of processes likewise: the
/// others are added up in a row without identity.
pub const MAX_GPU_ROWS: usize = 64;

/// What XID errors belong to whose GPU is not known.
pub const UNKNOWN_GPU: &str = "unknown";

/// What a GPU's units do, in the order of [`Gpu::busy`].
pub const ENGINES: [&str; 4] = ["compute", "memory", "encoder", "decoder"];

/// What runs at a clock of its own, in the order of [`Levels::clocks_mhz`].
pub const CLOCKS: [&str; 4] = ["graphics", "sm", "memory", "video"];

/// How far a start that /proc told may be from the kernel's: a clock tick, and the rounding of a [`ProcessId`], ns.
const START_TOLERANCE: u64 = 10_000_000 + (1 << 14);

/// One GPU over a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gpu {
    /// Its uuid; `#INDEX` where that cannot be read, [`UNKNOWN_GPU`] for errors that name none.
    pub uuid: String,
    /// NVML's index, at the end. Not the same from boot to boot, and not CUDA's.
    pub index: u32,
    /// Name of the product; empty if it is not known.
    pub name: String,
    /// Why it cannot be read, at the end.
    pub down: Option<String>,
    /// How busy its units were, in the order of [`ENGINES`].
    pub busy: [Share; 4],
    /// What is of the window's end.
    pub levels: Levels,
    /// What was counted in the window.
    pub amounts: Amounts,
    /// The most memory that was in use at the end of a window, bytes.
    pub most_memory_used: Option<u64>,
    /// The highest temperature at the end of a window, °C.
    pub hottest_celsius: Option<u64>,
    /// Whether the energy is the power draw, sampled and summed up, and not the GPU's own counter.
    pub energy_is_sampled: bool,
    /// What held its clocks down, and for how long, as of the ends of windows.
    pub throttled: Vec<Throttled>,
    /// Its parts, at the end, if it is divided (MIG). It tells then neither its own utilisation nor that of processes.
    pub parts: Vec<GpuPart>,
    /// Its critical errors.
    pub xids: Vec<XidCount>,
    /// Who used it.
    pub processes: Vec<GpuProcess>,
}

/// A share of time that is known of some of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Time in which it was so, ns.
    pub ns: u64,
    /// Time of which that is known, ns; 0: of none.
    pub of_ns: u64,
}

impl Share {
    /// From 0 to 1; `None` where nothing is known.
    #[must_use]
    pub fn ratio(self) -> Option<f64> {
        (self.of_ns > 0).then(|| self.ns.min(self.of_ns) as f64 / self.of_ns as f64)
    }
}

/// What is of a window's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Memory that is allocated, bytes.
    pub memory_used: Option<u64>,
    /// Memory that is there, bytes.
    pub memory_total: Option<u64>,
    /// Power draw, mW.
    pub power_mw: Option<u64>,
    /// The power limit in force, mW.
    pub power_limit_mw: Option<u64>,
    /// Temperature of the chip, °C.
    pub temperature_celsius: Option<u64>,
    /// Clocks in MHz, in the order of [`CLOCKS`].
    pub clocks_mhz: [Option<u64>; 4],
}

impl Levels {
    /// Every level, in the order of the fields.
    #[must_use]
    pub fn all(&self) -> [Option<u64>; 9] {
        let Self { memory_used, memory_total, power_mw, power_limit_mw, temperature_celsius, clocks_mhz } =
            *self;
        let [graphics, sm, memory, video] = clocks_mhz;
        let first = [memory_used, memory_total, power_mw, power_limit_mw, temperature_celsius];
        let [used, total, power, limit, temperature] = first;
        [used, total, power, limit, temperature, graphics, sm, memory, video]
    }
}

impl From<[Option<u64>; 9]> for Levels {
    fn from(all: [Option<u64>; 9]) -> Self {
        let [
            memory_used,
            memory_total,
            power_mw,
            power_limit_mw,
            temperature_celsius,
            graphics,
            sm,
            memory,
            video,
        ] = all;
        let clocks_mhz = [graphics, sm, memory, video];
        Self { memory_used, memory_total, power_mw, power_limit_mw, temperature_celsius, clocks_mhz }
    }
}

/// What was counted in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Energy drawn, mJ.
    pub energy_mj: Option<u64>,
    /// Memory errors that ECC corrected.
    pub ecc_corrected: Option<u64>,
    /// Memory errors that it could not correct.
    pub ecc_uncorrected: Option<u64>,
    /// Bytes sent over PCIe: what NVML measured in 20 ms, for all of the window.
    pub pcie_sent: Option<u64>,
    /// Bytes received over PCIe, likewise.
    pub pcie_received: Option<u64>,
    /// Bytes sent over all NVLinks.
    pub nvlink_sent: Option<u64>,
    /// Bytes received over all NVLinks.
    pub nvlink_received: Option<u64>,
}

impl Amounts {
    /// Every amount, in the order of the fields.
    #[must_use]
    pub fn all(&self) -> [Option<u64>; 7] {
        let Self { energy_mj, ecc_corrected, ecc_uncorrected, pcie_sent, pcie_received, .. } = *self;
        let Self { nvlink_sent, nvlink_received, .. } = *self;
        [energy_mj, ecc_corrected, ecc_uncorrected, pcie_sent, pcie_received, nvlink_sent, nvlink_received]
    }
}

impl From<[Option<u64>; 7]> for Amounts {
    fn from(all: [Option<u64>; 7]) -> Self {
        let [
            energy_mj,
            ecc_corrected,
            ecc_uncorrected,
            pcie_sent,
            pcie_received,
            nvlink_sent,
            nvlink_received,
        ] = all;
        Self {
            energy_mj,
            ecc_corrected,
            ecc_uncorrected,
            pcie_sent,
            pcie_received,
            nvlink_sent,
            nvlink_received,
        }
    }
}

/// What held the clocks down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttled {
    /// Its name, in NVML's words: `sw_power_cap`.
    pub reason: String,
    /// For how long, ns: the whole of windows at whose end it did.
    pub ns: u64,
}

/// A part of a divided GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuPart {
    /// What identifies it.
    pub uuid: String,
    /// Memory that is allocated, bytes.
    pub memory_used: Option<u64>,
    /// Memory that is there, bytes.
    pub memory_total: Option<u64>,
}

/// How often an error came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XidCount {
    /// Its number; 0 where the driver does not know it, or there are too many different ones.
    pub number: u64,
    /// How often it came.
    pub count: u64,
}

/// A process on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GpuProcess {
    /// Which it is, with a start to a clock tick, as /proc tells it: compare by [`Self::is`]. `None` where the daemon
    /// does not see it, and for those that have no row of their own.
    pub process: Option<ProcessId>,
    /// Its pid as NVML tells it, of the host's namespace; 0 for those that have no row of their own.
    pub host_pid: u32,
    /// Time in which its work ran, ns. Where several ran at once, scaled down to the time in which any did; `None` where
    /// that is not told.
    pub busy_ns: Option<u64>,
    /// Its share of the energy, mJ: by its share of the time.
    pub energy_mj: Option<u64>,
    /// Its memory on the GPU at the end, bytes.
    pub memory: Option<u64>,
}

impl GpuProcess {
    /// Whether this is that process.
    #[must_use]
    pub fn is(&self, process: ProcessId) -> bool {
        self.process.is_some_and(|own| {
            own.pid() == process.pid() && own.start_ns().abs_diff(process.start_ns()) <= START_TOLERANCE
        })
    }
}

/// The GPUs as they stand now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuStatus {
    /// Whether they are looked for.
    pub enabled: bool,
    /// Version of the kernel's driver.
    pub driver: Option<String>,
    /// Version of the library.
    pub library: Option<String>,
    /// Why nothing can be told, if so.
    pub reason: Option<String>,
    /// Those that are or were there, as they were told last.
    pub gpus: Vec<GpuInfo>,
}

/// What kind of GPU it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuInfo {
    /// As in [`Gpu`].
    pub uuid: String,
    /// As in [`Gpu`].
    pub index: u32,
    /// As in [`Gpu`].
    pub name: String,
    /// Bytes of memory.
    pub memory_total: Option<u64>,
    /// As in [`Gpu`].
    pub down: Option<String>,
    /// What it does not offer, by name.
    pub unsupported: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_a_start_to_the_tick() {
        let told = GpuProcess { process: Some(ProcessId::new(7, 120_000_000)), ..GpuProcess::default() };
        for (pid, start, expected) in
            [(7, 120_000_000, true), (7, 129_999_999, true), (7, 140_000_000, false), (8, 120_000_000, false)]
        {
            assert_eq!(told.is(ProcessId::new(pid, start)), expected, "{pid} {start}");
        }
        assert!(!GpuProcess::default().is(ProcessId::new(0, 0)), "nobody");
    }

    #[test]
    fn what_is_not_known_is_no_share() {
        assert_eq!(Share::default().ratio(), None);
        assert_eq!(Share { ns: 1, of_ns: 4 }.ratio(), Some(0.25));
    }
}
