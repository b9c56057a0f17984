//! GPUs on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, seconds};
use crate::{
    model::host::gpu::{CLOCKS, Gpu, GpuInfo, GpuPart, GpuProcess, GpuStatus},
    store::query::{AgentGpu, AgentGpus},
};

/// How the GPUs stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GpuStatus)]
pub struct GpuStatusDto {
    /// Whether they are looked for (`gpu.enabled`).
    pub enabled: bool,
    /// Why none can be read, if so; null while NVML answers, and before it has been asked.
    pub reason: Option<String>,
    /// Version of the kernel's driver.
    pub driver: Option<String>,
    /// Version of the driver's library.
    pub library: Option<String>,
    /// Those that are there, or were since the daemon started.
    pub gpus: Vec<GpuInfoDto>,
}

impl From<GpuStatus> for GpuStatusDto {
    fn from(status: GpuStatus) -> Self {
        let GpuStatus { enabled, driver, library, reason, gpus } = status;
        Self { enabled, reason, driver, library, gpus: gpus.into_iter().map(Into::into).collect() }
    }
}

/// What kind of GPU it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GpuInfo)]
pub struct GpuInfoDto {
    /// What identifies it; `#INDEX` where that cannot be read.
    pub uuid: String,
    /// NVML's index. Not the same from boot to boot, and not CUDA's.
    pub index: u32,
    /// The product; empty if it is not known.
    #[schema(example = "NVIDIA H100 80GB HBM3")]
    pub name: String,
    /// Its memory.
    pub memory_bytes: Option<u64>,
    /// Why it cannot be read, if so.
    pub down: Option<String>,
    /// What it does not offer.
    pub unsupported: Vec<String>,
}

impl From<GpuInfo> for GpuInfoDto {
    fn from(info: GpuInfo) -> Self {
        let GpuInfo { uuid, index, name, memory_total, down, unsupported } = info;
        let unsupported = unsupported.into_iter().map(str::to_owned).collect();
        Self { uuid, index, name, memory_bytes: memory_total, down, unsupported }
    }
}

/// A GPU over a range. Amounts are of the range, the rest is of its end; what it does not tell is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Gpu)]
pub struct GpuDto {
    /// What identifies it; `#INDEX` where that cannot be read, `unknown` for errors that name none.
    pub uuid: String,
    /// NVML's index.
    pub index: u32,
    /// The product; empty if it is not known.
    pub name: String,
    /// Why it cannot be read, if so.
    pub down: Option<String>,
    /// The share of time in which any kernel ran, 0 to 1.
    pub busy: Option<f64>,
    /// That time.
    pub busy_seconds: Option<f64>,
    /// The share of time in which memory was read or written.
    pub memory_busy: Option<f64>,
    /// The share of time in which the video encoder worked.
    pub encoder_busy: Option<f64>,
    /// The share of time in which the video decoder worked.
    pub decoder_busy: Option<f64>,
    /// Memory that is allocated.
    pub memory_used_bytes: Option<u64>,
    /// The most that this was at the end of any window of the range.
    pub most_memory_used_bytes: Option<u64>,
    /// Its memory.
    pub memory_bytes: Option<u64>,
    /// Power draw.
    pub power_watts: Option<f64>,
    /// The power limit in force.
    pub power_limit_watts: Option<f64>,
    /// Energy drawn.
    pub energy_joules: Option<f64>,
    /// Whether that is the power draw, sampled and summed up, and not the GPU's own counter.
    pub energy_is_sampled: bool,
    /// Temperature of the chip, °C.
    pub temperature_celsius: Option<u64>,
    /// The highest that this was at the end of any window of the range.
    pub hottest_celsius: Option<u64>,
    /// Clocks by name: `graphics`, `sm`, `memory`, `video`.
    pub clocks_mhz: BTreeMap<String, u64>,
    /// For how long something held the clocks down, by its name; `gpu_idle` is no trouble.
    pub throttled_seconds: BTreeMap<String, f64>,
    /// Memory errors that ECC corrected.
    pub ecc_corrected: Option<u64>,
    /// Memory errors that it could not correct.
    pub ecc_uncorrected: Option<u64>,
    /// Bytes sent over PCIe: by a measurement of 20 ms in each window.
    pub pcie_sent_bytes: Option<u64>,
    /// Bytes received over PCIe, likewise.
    pub pcie_received_bytes: Option<u64>,
    /// Bytes sent over all its NVLinks.
    pub nvlink_sent_bytes: Option<u64>,
    /// Bytes received over all its NVLinks.
    pub nvlink_received_bytes: Option<u64>,
    /// Critical errors by XID number; `0` where that is not known.
    pub xids: BTreeMap<String, u64>,
    /// Its parts, if it is divided (MIG).
    pub parts: Vec<GpuPartDto>,
    /// Who used it.
    pub processes: Vec<GpuProcessDto>,
}

impl From<&Gpu> for GpuDto {
    fn from(gpu: &Gpu) -> Self {
        let (levels, amounts) = (&gpu.levels, &gpu.amounts);
        let [compute, memory, encoder, decoder] = gpu.busy;
        let thousandths = |amount: Option<u64>| amount.map(|amount| amount as f64 / 1e3);
        let clocks = CLOCKS.iter().zip(levels.clocks_mhz);
        Self {
            uuid: gpu.uuid.clone(),
            index: gpu.index,
            name: gpu.name.clone(),
            down: gpu.down.clone(),
            busy: compute.ratio(),
            busy_seconds: (compute.of_ns > 0).then(|| seconds(compute.ns)),
            memory_busy: memory.ratio(),
            encoder_busy: encoder.ratio(),
            decoder_busy: decoder.ratio(),
            memory_used_bytes: levels.memory_used,
            most_memory_used_bytes: gpu.most_memory_used,
            memory_bytes: levels.memory_total,
            power_watts: thousandths(levels.power_mw),
            power_limit_watts: thousandths(levels.power_limit_mw),
            energy_joules: thousandths(amounts.energy_mj),
            energy_is_sampled: gpu.energy_is_sampled,
            temperature_celsius: levels.temperature_celsius,
            hottest_celsius: gpu.hottest_celsius,
            clocks_mhz: clocks.filter_map(|(name, mhz)| Some(((*name).to_owned(), mhz?))).collect(),
            throttled_seconds: gpu.throttled.iter().map(|h| (h.reason.clone(), seconds(h.ns))).collect(),
            ecc_corrected: amounts.ecc_corrected,
            ecc_uncorrected: amounts.ecc_uncorrected,
            pcie_sent_bytes: amounts.pcie_sent,
            pcie_received_bytes: amounts.pcie_received,
            nvlink_sent_bytes: amounts.nvlink_sent,
            nvlink_received_bytes: amounts.nvlink_received,
            xids: gpu.xids.iter().map(|xid| (xid.number.to_string(), xid.count)).collect(),
            parts: gpu.parts.iter().map(GpuPartDto::from).collect(),
            processes: gpu.processes.iter().map(GpuProcessDto::from).collect(),
        }
    }
}

/// A part of a divided GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = GpuPart)]
pub struct GpuPartDto {
    /// What identifies it.
    pub uuid: String,
    /// Memory that is allocated.
    pub memory_used_bytes: Option<u64>,
    /// Its memory.
    pub memory_bytes: Option<u64>,
}

impl From<&GpuPart> for GpuPartDto {
    fn from(part: &GpuPart) -> Self {
        let GpuPart { uuid, memory_used, memory_total } = part.clone();
        Self { uuid, memory_used_bytes: memory_used, memory_bytes: memory_total }
    }
}

/// A process on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GpuProcess)]
pub struct GpuProcessDto {
    /// Its pid in the host's namespace; 0 for those together that have no row of their own.
    pub host_pid: u32,
    /// Whether the daemon sees it, so that it can be an agent's.
    pub seen: bool,
    /// Time in which its work ran. Where several ran at once, scaled down to the time in which any did.
    pub busy_seconds: Option<f64>,
    /// Its share of the energy.
    pub energy_joules: Option<f64>,
    /// Its memory on the GPU, at the end.
    pub memory_bytes: Option<u64>,
}

impl From<&GpuProcess> for GpuProcessDto {
    fn from(process: &GpuProcess) -> Self {
        Self {
            host_pid: process.host_pid,
            seen: process.process.is_some(),
            busy_seconds: process.busy_ns.map(seconds),
            energy_joules: process.energy_mj.map(|energy| energy as f64 / 1e3),
            memory_bytes: process.memory,
        }
    }
}

/// A GPU in a stretch of time, for drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = GpuPoint)]
pub struct GpuPointDto {
    /// Which.
    pub uuid: String,
    /// The share of time in which any kernel ran, 0 to 1.
    pub busy: Option<f64>,
    /// Memory that is allocated, at the end.
    pub memory_used_bytes: Option<u64>,
    /// Power draw, at the end.
    pub power_watts: Option<f64>,
    /// Energy drawn.
    pub energy_joules: Option<f64>,
    /// Temperature of the chip, at the end.
    pub temperature_celsius: Option<u64>,
}

impl From<&Gpu> for GpuPointDto {
    fn from(gpu: &Gpu) -> Self {
        let [compute, ..] = gpu.busy;
        Self {
            uuid: gpu.uuid.clone(),
            busy: compute.ratio(),
            memory_used_bytes: gpu.levels.memory_used,
            power_watts: gpu.levels.power_mw.map(|power| power as f64 / 1e3),
            energy_joules: gpu.amounts.energy_mj.map(|energy| energy as f64 / 1e3),
            temperature_celsius: gpu.levels.temperature_celsius,
        }
    }
}

/// What an agent did with GPUs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentGpus)]
pub struct AgentGpusDto {
    /// Whose.
    pub agent: String,
    /// The time that is told of; null where nothing was stored of the host.
    pub covered: Option<CoveredDto>,
    /// The GPUs that its processes used.
    pub gpus: Vec<AgentGpuDto>,
}

impl AgentGpusDto {
    /// What was stored.
    #[must_use]
    pub fn new(agent: String, used: AgentGpus) -> Self {
        let gpus = used.gpus.into_iter().map(AgentGpuDto::from).collect();
        Self { agent, covered: used.covered.map(CoveredDto::from), gpus }
    }
}

/// What an agent did with one GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AgentGpu)]
pub struct AgentGpuDto {
    /// Which.
    pub uuid: String,
    /// The product.
    pub name: String,
    /// Time in which work of its processes ran; null where the driver does not tell.
    pub busy_seconds: Option<f64>,
    /// Its share of the energy, by its share of the time: idle time is nobody's.
    pub energy_joules: Option<f64>,
    /// Memory that its processes have, at the end.
    pub memory_bytes: u64,
    /// Its processes that used it, most time first.
    pub processes: Vec<GpuProcessDto>,
}

impl From<AgentGpu> for AgentGpuDto {
    fn from(gpu: AgentGpu) -> Self {
        Self {
            busy_seconds: gpu.busy_ns().map(seconds),
            energy_joules: gpu.energy_mj().map(|energy| energy as f64 / 1e3),
            memory_bytes: gpu.memory(),
            processes: gpu.processes.iter().map(GpuProcessDto::from).collect(),
            uuid: gpu.uuid,
            name: gpu.name,
        }
    }
}
