//! What the host did, on the wire.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CoveredDto, gpu::GpuDto, seconds, system_point::PointDto};
use crate::{
    model::host::{Activity, Cpu, Disk, FileSystem, Interface, Memory, Pressure, Stall, Traffic},
    store::query::HostHistory,
};

/// What the host did over a range. Amounts are of the range; what is said to be of its end is that of the last window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = SystemMetrics)]
pub struct SystemMetricsDto {
    /// The time that is told of; null where nothing was recorded, and then all else is null or empty, too.
    pub covered: Option<CoveredDto>,
    /// All CPUs together.
    pub cpu: Option<CpuTimeDto>,
    /// Each CPU that was online.
    pub cpus: Vec<CpuDto>,
    /// What there was to run, and what happened.
    pub activity: Option<ActivityDto>,
    /// Time lost for want of something; null where the kernel does not tell (`CONFIG_PSI`).
    pub pressure: Option<PressureDto>,
    /// Memory and swap.
    pub memory: Option<MemoryDto>,
    /// Mounted file systems with space of their own, at the end.
    pub file_systems: Vec<FileSystemDto>,
    /// Block devices.
    pub disks: Vec<DiskDto>,
    /// Network interfaces.
    pub interfaces: Vec<InterfaceDto>,
    /// GPUs.
    pub gpus: Vec<GpuDto>,
    /// How it went: stretches of equal length, in order.
    pub points: Vec<PointDto>,
}

impl SystemMetricsDto {
    /// What was recorded, if anything was.
    #[must_use]
    pub fn new(history: Option<HostHistory>) -> Self {
        let points = history.iter().flat_map(|history| &history.points).map(PointDto::from).collect();
        let (covered, total) = history.map(|history| (history.covered, history.total)).unzip();
        let all = total.as_ref();
        Self {
            covered: covered.map(CoveredDto::from),
            cpu: all.map(|total| (&total.all_cpus()).into()),
            cpus: all.iter().flat_map(|total| &total.cpus).map(CpuDto::from).collect(),
            activity: all.map(|total| (&total.activity).into()),
            pressure: all.and_then(|total| total.pressure).map(PressureDto::from),
            memory: all.map(|total| (&total.memory).into()),
            file_systems: all.iter().flat_map(|t| &t.file_systems).map(FileSystemDto::from).collect(),
            disks: all.iter().flat_map(|total| &total.disks).map(DiskDto::from).collect(),
            interfaces: all.iter().flat_map(|total| &total.interfaces).map(InterfaceDto::from).collect(),
            gpus: all.iter().flat_map(|total| &total.gpus).map(GpuDto::from).collect(),
            points,
        }
    }
}

/// CPU time by mode.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CpuTime)]
pub struct CpuTimeDto {
    /// Programs at normal priority; virtual machines included.
    pub user_seconds: f64,
    /// Programs of low priority.
    pub nice_seconds: f64,
    /// The kernel, for programs.
    pub system_seconds: f64,
    /// Nothing.
    pub idle_seconds: f64,
    /// Nothing, while a task waited for a disk.
    pub iowait_seconds: f64,
    /// Interrupts.
    pub irq_seconds: f64,
    /// Work that interrupts left for later.
    pub softirq_seconds: f64,
    /// Another virtual machine had the CPU.
    pub steal_seconds: f64,
    /// The share of all of this in which work was done here, 0 to 1; null of no time.
    pub busy: Option<f64>,
}

impl From<&Cpu> for CpuTimeDto {
    fn from(cpu: &Cpu) -> Self {
        let [user, nice, system, idle, iowait, irq, softirq, steal] = cpu.modes().map(seconds);
        Self {
            user_seconds: user,
            nice_seconds: nice,
            system_seconds: system,
            idle_seconds: idle,
            iowait_seconds: iowait,
            irq_seconds: irq,
            softirq_seconds: softirq,
            steal_seconds: steal,
            busy: (cpu.all() > 0).then(|| cpu.busy() as f64 / cpu.all() as f64),
        }
    }
}

/// One CPU.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Cpu)]
pub struct CpuDto {
    /// Its number.
    pub cpu: u32,
    /// Its time.
    pub time: CpuTimeDto,
}

impl From<&Cpu> for CpuDto {
    fn from(cpu: &Cpu) -> Self {
        Self { cpu: cpu.number, time: cpu.into() }
    }
}

/// What there was to run, and what happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Activity)]
pub struct ActivityDto {
    /// Load average of the last minute, at the end.
    pub load1: f64,
    /// Of the last five minutes.
    pub load5: f64,
    /// Of the last fifteen minutes.
    pub load15: f64,
    /// Processes, at the end.
    pub processes: u32,
    /// Tasks that ran or could have, at the end.
    pub running: u32,
    /// Tasks that waited for disks, at the end.
    pub blocked: u32,
    /// Processes and threads that were started.
    pub forks: u64,
    /// Switches from task to task.
    pub context_switches: u64,
}

impl From<&Activity> for ActivityDto {
    fn from(activity: &Activity) -> Self {
        let [load1, load5, load15] = activity.loads();
        let Activity { processes, running, blocked, forks, context_switches, .. } = *activity;
        Self { load1, load5, load15, processes, running, blocked, forks, context_switches }
    }
}

/// Time lost for want of CPUs, memory and I/O (pressure stall information).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Pressure)]
pub struct PressureDto {
    /// For want of a CPU.
    pub cpu: StallDto,
    /// For want of memory.
    pub memory: StallDto,
    /// For I/O.
    pub io: StallDto,
}

impl From<Pressure> for PressureDto {
    fn from(Pressure { cpu, memory, io }: Pressure) -> Self {
        Self { cpu: cpu.into(), memory: memory.into(), io: io.into() }
    }
}

/// Time in which tasks stood still.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Stall)]
pub struct StallDto {
    /// In which at least one did.
    pub some_seconds: f64,
    /// In which all did that were not idle.
    pub full_seconds: f64,
}

impl From<Stall> for StallDto {
    fn from(Stall { some, full }: Stall) -> Self {
        Self { some_seconds: seconds(some), full_seconds: seconds(full) }
    }
}

/// Memory and swap, at the end but for one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Memory)]
pub struct MemoryDto {
    /// Physical memory.
    pub total_bytes: u64,
    /// What programs could have without swapping.
    pub available_bytes: u64,
    /// The least that this was at the end of any window of the range.
    pub least_available_bytes: u64,
    /// What nobody uses at all.
    pub free_bytes: u64,
    /// The page cache, shared memory included.
    pub cached_bytes: u64,
    /// What waits to be written to disks.
    pub dirty_bytes: u64,
    /// Swap space.
    pub swap_total_bytes: u64,
    /// Swap space that is not used.
    pub swap_free_bytes: u64,
}

impl From<&Memory> for MemoryDto {
    fn from(memory: &Memory) -> Self {
        Self {
            total_bytes: memory.total,
            available_bytes: memory.available,
            least_available_bytes: memory.least_available,
            free_bytes: memory.free,
            cached_bytes: memory.cached,
            dirty_bytes: memory.dirty,
            swap_total_bytes: memory.swap_total,
            swap_free_bytes: memory.swap_free,
        }
    }
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FileSystem)]
pub struct FileSystemDto {
    /// Where it is mounted.
    pub mount: String,
    /// What is mounted.
    pub device: String,
    /// Its type.
    #[schema(example = "ext4")]
    pub kind: String,
    /// Bytes that it has room for.
    pub size_bytes: u64,
    /// Bytes that programs without privileges may still write.
    pub available_bytes: u64,
    /// Inodes that it has room for; 0 where it has no fixed number.
    pub inodes: u64,
    /// Inodes that are free.
    pub inodes_free: u64,
    /// Whether nothing can be written.
    pub read_only: bool,
}

impl From<&FileSystem> for FileSystemDto {
    fn from(system: &FileSystem) -> Self {
        let FileSystem { mount, device, kind, size, available, inodes, inodes_free, read_only } =
            system.clone();
        let (size_bytes, available_bytes) = (size, available);
        Self { mount, device, kind, size_bytes, available_bytes, inodes, inodes_free, read_only }
    }
}

/// A block device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Disk)]
pub struct DiskDto {
    /// The kernel's name; `other` for those that have no row of their own.
    #[schema(example = "nvme0n1")]
    pub name: String,
    /// Reads that were done.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Time that reads took, together.
    pub read_seconds: f64,
    /// Writes that were done.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Time that writes took, together.
    pub write_seconds: f64,
    /// Time in which the device had something to do.
    pub busy_seconds: f64,
}

impl From<&Disk> for DiskDto {
    fn from(disk: &Disk) -> Self {
        Self {
            name: disk.name.clone(),
            reads: disk.reads,
            read_bytes: disk.read_bytes,
            read_seconds: seconds(disk.read_ns),
            writes: disk.writes,
            written_bytes: disk.written_bytes,
            write_seconds: seconds(disk.write_ns),
            busy_seconds: seconds(disk.busy_ns),
        }
    }
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = Interface)]
pub struct InterfaceDto {
    /// Its name; `other` for those that have no row of their own.
    pub name: String,
    /// What came.
    pub received: TrafficDto,
    /// What went.
    pub sent: TrafficDto,
}

impl From<&Interface> for InterfaceDto {
    fn from(interface: &Interface) -> Self {
        Self {
            name: interface.name.clone(),
            received: interface.received.into(),
            sent: interface.sent.into(),
        }
    }
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Traffic)]
pub struct TrafficDto {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were broken.
    pub errors: u64,
    /// Packets that were dropped.
    pub dropped: u64,
}

impl From<Traffic> for TrafficDto {
    fn from(Traffic { bytes, packets, errors, dropped }: Traffic) -> Self {
        Self { bytes, packets, errors, dropped }
    }
}
