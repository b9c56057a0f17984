//! Windows of the host in the journal.

use serde::{Deserialize, Serialize};

use super::{DataError, Kind, gpu::GpuData};
use crate::model::{
    host::{
        Activity, Cpu, Disk, FileSystem, HostWindow, Interface, Memory, Pressure, Stall, Traffic, gpu::Gpu,
    },
    time::Timestamp,
};

/// A window of the host. Times are in nanoseconds, sizes in bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::export::journal) struct HostData {
    v: u32,
    start: Timestamp,
    end: Timestamp,
    cpus: Vec<CpuData>,
    load: [f32; 3],
    processes: u32,
    running: u32,
    blocked: u32,
    forks: u64,
    context_switches: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pressure: Option<PressureData>,
    memory: MemoryData,
    #[serde(default)]
    file_systems: Vec<FileSystemData>,
    #[serde(default)]
    disks: Vec<DiskData>,
    #[serde(default)]
    interfaces: Vec<InterfaceData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gpus: Vec<GpuData>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CpuData {
    cpu: u32,
    user: u64,
    nice: u64,
    system: u64,
    idle: u64,
    iowait: u64,
    irq: u64,
    softirq: u64,
    steal: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct PressureData {
    cpu: StallData,
    memory: StallData,
    io: StallData,
}

#[derive(Debug, Serialize, Deserialize)]
struct StallData {
    some: u64,
    full: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemoryData {
    total: u64,
    available: u64,
    least_available: u64,
    free: u64,
    cached: u64,
    dirty: u64,
    swap_total: u64,
    swap_free: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct FileSystemData {
    mount: String,
    device: String,
    kind: String,
    size: u64,
    available: u64,
    inodes: u64,
    inodes_free: u64,
    read_only: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct DiskData {
    name: String,
    reads: u64,
    read_bytes: u64,
    read_ns: u64,
    writes: u64,
    written_bytes: u64,
    write_ns: u64,
    busy_ns: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct InterfaceData {
    name: String,
    received: TrafficData,
    sent: TrafficData,
}

#[derive(Debug, Serialize, Deserialize)]
struct TrafficData {
    bytes: u64,
    packets: u64,
    errors: u64,
    dropped: u64,
}

impl From<&HostWindow> for HostData {
    fn from(window: &HostWindow) -> Self {
        let Activity { load, processes, running, blocked, forks, context_switches } = window.activity;
        Self {
            v: Kind::Host.version(),
            start: window.start,
            end: window.end,
            cpus: window.cpus.iter().map(CpuData::from).collect(),
            load,
            processes,
            running,
            blocked,
            forks,
            context_switches,
            pressure: window.pressure.map(PressureData::from),
            memory: window.memory.into(),
            file_systems: window.file_systems.iter().map(FileSystemData::from).collect(),
            disks: window.disks.iter().map(DiskData::from).collect(),
            interfaces: window.interfaces.iter().map(InterfaceData::from).collect(),
            gpus: window.gpus.iter().map(GpuData::from).collect(),
        }
    }
}

impl TryFrom<HostData> for HostWindow {
    type Error = DataError;

    fn try_from(data: HostData) -> Result<Self, DataError> {
        if data.end < data.start {
            return Err(DataError::Value("a window that ends before it begins"));
        }
        let HostData { load, processes, running, blocked, forks, context_switches, .. } = data;
        if load.iter().any(|load| !load.is_finite()) {
            return Err(DataError::Value("a load"));
        }
        Ok(Self {
            start: data.start,
            end: data.end,
            cpus: data.cpus.into_iter().map(Cpu::from).collect(),
            activity: Activity { load, processes, running, blocked, forks, context_switches },
            pressure: data.pressure.map(Pressure::from),
            memory: data.memory.into(),
            file_systems: data.file_systems.into_iter().map(FileSystem::from).collect(),
            disks: data.disks.into_iter().map(Disk::from).collect(),
            interfaces: data.interfaces.into_iter().map(Interface::from).collect(),
            gpus: data.gpus.into_iter().map(Gpu::from).collect(),
        })
    }
}

impl From<&Cpu> for CpuData {
    fn from(of: &Cpu) -> Self {
        let Cpu { number: cpu, user, nice, system, idle, iowait, irq, softirq, steal } = *of;
        Self { cpu, user, nice, system, idle, iowait, irq, softirq, steal }
    }
}

impl From<CpuData> for Cpu {
    fn from(data: CpuData) -> Self {
        let CpuData { cpu: number, user, nice, system, idle, iowait, irq, softirq, steal } = data;
        Self { number, user, nice, system, idle, iowait, irq, softirq, steal }
    }
}

impl From<Pressure> for PressureData {
    fn from(Pressure { cpu, memory, io }: Pressure) -> Self {
        let [cpu, memory, io] = [cpu, memory, io].map(|Stall { some, full }| StallData { some, full });
        Self { cpu, memory, io }
    }
}

impl From<PressureData> for Pressure {
    fn from(PressureData { cpu, memory, io }: PressureData) -> Self {
        let [cpu, memory, io] = [cpu, memory, io].map(|StallData { some, full }| Stall { some, full });
        Self { cpu, memory, io }
    }
}

impl From<Memory> for MemoryData {
    fn from(memory: Memory) -> Self {
        let Memory { total, available, least_available, free, cached, dirty, swap_total, swap_free } = memory;
        Self { total, available, least_available, free, cached, dirty, swap_total, swap_free }
    }
}

impl From<MemoryData> for Memory {
    fn from(data: MemoryData) -> Self {
        let MemoryData { total, available, least_available, free, cached, dirty, swap_total, swap_free } =
            data;
        Self { total, available, least_available, free, cached, dirty, swap_total, swap_free }
    }
}

impl From<&FileSystem> for FileSystemData {
    fn from(system: &FileSystem) -> Self {
        let FileSystem { mount, device, kind, size, available, inodes, inodes_free, read_only } =
            system.clone();
        Self { mount, device, kind, size, available, inodes, inodes_free, read_only }
    }
}

impl From<FileSystemData> for FileSystem {
    fn from(data: FileSystemData) -> Self {
        let FileSystemData { mount, device, kind, size, available, inodes, inodes_free, read_only } = data;
        Self { mount, device, kind, size, available, inodes, inodes_free, read_only }
    }
}

impl From<&Disk> for DiskData {
    fn from(disk: &Disk) -> Self {
        let Disk { name, reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns } =
            disk.clone();
        Self { name, reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns }
    }
}

impl From<DiskData> for Disk {
    fn from(data: DiskData) -> Self {
        let DiskData { name, reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns } = data;
        Self { name, reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns }
    }
}

impl From<&Interface> for InterfaceData {
    fn from(interface: &Interface) -> Self {
        let traffic = |Traffic { bytes, packets, errors, dropped }: Traffic| TrafficData {
            bytes,
            packets,
            errors,
            dropped,
        };
        let (received, sent) = (traffic(interface.received), traffic(interface.sent));
        Self { name: interface.name.clone(), received, sent }
    }
}

impl From<InterfaceData> for Interface {
    fn from(InterfaceData { name, received, sent }: InterfaceData) -> Self {
        let traffic = |TrafficData { bytes, packets, errors, dropped }: TrafficData| Traffic {
            bytes,
            packets,
            errors,
            dropped,
        };
        Self { name, received: traffic(received), sent: traffic(sent) }
    }
}
