//! The GPUs of a window of the host in the journal.

use serde::{Deserialize, Serialize};

use super::process_id::Id;
use crate::model::host::gpu::{Amounts, Gpu, GpuPart, GpuProcess, Levels, Share, Throttled, XidCount};

/// A GPU in a window. Times are in nanoseconds, sizes in bytes; what is not known is left out.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GpuData {
    uuid: String,
    index: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    down: Option<String>,
    busy: BusyData,
    #[serde(flatten)]
    levels: LevelsData,
    #[serde(flatten)]
    amounts: AmountsData,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    most_memory_used: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hottest_celsius: Option<u64>,
    #[serde(default)]
    energy_is_sampled: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    throttled: Vec<ThrottledData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xids: Vec<XidData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    processes: Vec<ProcessData>,
}

/// Of how much time it is known, and how much of it was busy.
#[derive(Debug, Serialize, Deserialize)]
struct BusyData {
    compute: ShareData,
    memory: ShareData,
    encoder: ShareData,
    decoder: ShareData,
}

#[derive(Debug, Serialize, Deserialize)]
struct ShareData {
    ns: u64,
    of_ns: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct LevelsData {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    power_mw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    power_limit_mw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature_celsius: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graphics_mhz: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sm_mhz: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mhz: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    video_mhz: Option<u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct AmountsData {
    #[serde(skip_serializing_if = "Option::is_none")]
    energy_mj: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ecc_corrected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ecc_uncorrected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcie_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pcie_received: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nvlink_sent: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nvlink_received: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ThrottledData {
    reason: String,
    ns: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartData {
    uuid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory_used: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory_total: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct XidData {
    xid: u64,
    count: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct ProcessData {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<Id>,
    host_pid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    busy_ns: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    energy_mj: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

impl From<&Gpu> for GpuData {
    fn from(gpu: &Gpu) -> Self {
        let share = |Share { ns, of_ns }: Share| ShareData { ns, of_ns };
        let [compute, memory, encoder, decoder] = gpu.busy.map(share);
        let throttled =
            |Throttled { reason, ns }: &Throttled| ThrottledData { reason: reason.clone(), ns: *ns };
        let part = |GpuPart { uuid, memory_used, memory_total }: &GpuPart| PartData {
            uuid: uuid.clone(),
            memory_used: *memory_used,
            memory_total: *memory_total,
        };
        Self {
            uuid: gpu.uuid.clone(),
            index: gpu.index,
            name: gpu.name.clone(),
            down: gpu.down.clone(),
            busy: BusyData { compute, memory, encoder, decoder },
            levels: gpu.levels.into(),
            amounts: gpu.amounts.into(),
            most_memory_used: gpu.most_memory_used,
            hottest_celsius: gpu.hottest_celsius,
            energy_is_sampled: gpu.energy_is_sampled,
            throttled: gpu.throttled.iter().map(throttled).collect(),
            parts: gpu.parts.iter().map(part).collect(),
            xids: gpu.xids.iter().map(|xid| XidData { xid: xid.number, count: xid.count }).collect(),
            processes: gpu.processes.iter().map(ProcessData::from).collect(),
        }
    }
}

impl From<GpuData> for Gpu {
    fn from(data: GpuData) -> Self {
        let share = |ShareData { ns, of_ns }: ShareData| Share { ns, of_ns };
        let BusyData { compute, memory, encoder, decoder } = data.busy;
        let part = |PartData { uuid, memory_used, memory_total }: PartData| GpuPart {
            uuid,
            memory_used,
            memory_total,
        };
        let mut gpu = Self {
            uuid: data.uuid,
            index: data.index,
            name: data.name,
            down: data.down,
            busy: [compute, memory, encoder, decoder].map(share),
            levels: data.levels.into(),
            amounts: data.amounts.into(),
            most_memory_used: data.most_memory_used,
            hottest_celsius: data.hottest_celsius,
            energy_is_sampled: data.energy_is_sampled,
            parts: data.parts.into_iter().map(part).collect(),
            processes: data.processes.into_iter().map(GpuProcess::from).collect(),
            ..Self::default()
        };
        for ThrottledData { reason, ns } in data.throttled {
            gpu.add_throttled(&Throttled { reason, ns });
        }
        data.xids.into_iter().for_each(|XidData { xid, count }| gpu.add_xid(XidCount { number: xid, count }));
        gpu
    }
}

impl From<Levels> for LevelsData {
    fn from(levels: Levels) -> Self {
        let Levels { memory_used, memory_total, power_mw, power_limit_mw, temperature_celsius, clocks_mhz } =
            levels;
        let [graphics_mhz, sm_mhz, memory_mhz, video_mhz] = clocks_mhz;
        Self {
            memory_used,
            memory_total,
            power_mw,
            power_limit_mw,
            temperature_celsius,
            graphics_mhz,
            sm_mhz,
            memory_mhz,
            video_mhz,
        }
    }
}

impl From<LevelsData> for Levels {
    fn from(data: LevelsData) -> Self {
        Self {
            memory_used: data.memory_used,
            memory_total: data.memory_total,
            power_mw: data.power_mw,
            power_limit_mw: data.power_limit_mw,
            temperature_celsius: data.temperature_celsius,
            clocks_mhz: [data.graphics_mhz, data.sm_mhz, data.memory_mhz, data.video_mhz],
        }
    }
}

impl From<Amounts> for AmountsData {
    fn from(amounts: Amounts) -> Self {
        let [
            energy_mj,
            ecc_corrected,
            ecc_uncorrected,
            pcie_sent,
            pcie_received,
            nvlink_sent,
            nvlink_received,
        ] = amounts.all();
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

impl From<AmountsData> for Amounts {
    fn from(data: AmountsData) -> Self {
        Self {
            energy_mj: data.energy_mj,
            ecc_corrected: data.ecc_corrected,
            ecc_uncorrected: data.ecc_uncorrected,
            pcie_sent: data.pcie_sent,
            pcie_received: data.pcie_received,
            nvlink_sent: data.nvlink_sent,
            nvlink_received: data.nvlink_received,
        }
    }
}

impl From<&GpuProcess> for ProcessData {
    fn from(of: &GpuProcess) -> Self {
        let GpuProcess { process, host_pid, busy_ns, energy_mj, memory } = *of;
        Self { process: process.map(Id), host_pid, busy_ns, energy_mj, memory }
    }
}

impl From<ProcessData> for GpuProcess {
    fn from(data: ProcessData) -> Self {
        let ProcessData { process, host_pid, busy_ns, energy_mj, memory } = data;
        Self { process: process.map(|Id(id)| id), host_pid, busy_ns, energy_mj, memory }
    }
}
