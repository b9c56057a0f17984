//! What /proc counts since boot, read at one moment. What cannot be read is empty: a host without pressure stall
//! information or block devices is a host all the same.

use std::{cmp::Reverse, fs};

use procfs::{
    CpuPressure, Current as _, CurrentSI as _, DiskStat, IoPressure, KernelStats, LoadAverage, Meminfo,
    MemoryPressure, net::DeviceStatus, process::Process,
};

use super::file_systems;
use crate::model::{
    host::{FileSystem, Memory, Stall, Traffic},
    time::Timestamp,
};

/// Most CPUs that are told of, and most disks and interfaces that are read.
const MAX_CPUS: usize = 1024;
const MAX_DEVICES: usize = 4096;

/// Bytes of a sector, in /proc/diskstats whatever the device has.
const SECTOR: u64 = 512;

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) at: Timestamp,
    /// Ticks of each CPU by mode, in the order of the kernel's columns.
    pub(super) cpus: Vec<(u32, [u64; 8])>,
    pub(super) load: [f32; 3],
    pub(super) processes: u32,
    pub(super) running: u32,
    pub(super) blocked: u32,
    pub(super) forks: u64,
    pub(super) context_switches: u64,
    /// µs since boot: CPU, memory, I/O.
    pub(super) pressure: Option<[Stall; 3]>,
    pub(super) memory: Memory,
    pub(super) file_systems: Vec<FileSystem>,
    /// File systems that there are beside these.
    pub(super) untold: usize,
    pub(super) disks: Vec<Device<[u64; 7]>>,
    pub(super) interfaces: Vec<Device<[Traffic; 2]>>,
}

/// A device by its name, and what was counted of it.
#[derive(Clone, Debug)]
pub(super) struct Device<T> {
    pub(super) name: String,
    pub(super) counted: T,
}

impl Counters {
    /// Reads everything. May block where a file system does not answer.
    pub(super) fn read() -> Self {
        let mut counters = Self { at: Timestamp::now(), ..Self::default() };
        counters.read_activity();
        counters.pressure = pressure();
        counters.memory = Meminfo::current().map(|m| memory(&m)).unwrap_or_default();
        (counters.file_systems, counters.untold) = file_systems::read();
        counters.disks = disks();
        counters.interfaces = interfaces();
        counters
    }

    fn read_activity(&mut self) {
        if let Ok(stat) = KernelStats::current() {
            let numbers = cpu_numbers(&fs::read_to_string("/proc/stat").unwrap_or_default());
            self.cpus = numbers.into_iter().zip(&stat.cpu_time).take(MAX_CPUS).map(cpu).collect();
            (self.running, self.blocked) = (stat.procs_running.unwrap_or(0), stat.procs_blocked.unwrap_or(0));
            (self.forks, self.context_switches) = (stat.processes, stat.ctxt);
        }
        if let Ok(load) = LoadAverage::current() {
            self.load = [load.one, load.five, load.fifteen];
        }
        self.processes = fs::read_dir("/proc").map(count_processes).unwrap_or(0);
    }
}

fn count_processes(entries: fs::ReadDir) -> u32 {
    let is_pid = |name: &std::ffi::OsStr| name.as_encoded_bytes().first().is_some_and(u8::is_ascii_digit);
    let count = entries.flatten().filter(|entry| is_pid(&entry.file_name())).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The numbers of the CPUs that /proc/stat tells of: those that are online.
fn cpu_numbers(stat: &str) -> Vec<u32> {
    let words = stat.lines().filter_map(|line| line.split(' ').next()?.strip_prefix("cpu"));
    words.filter_map(|number| number.parse().ok()).collect()
}

fn cpu((number, time): (u32, &procfs::CpuTime)) -> (u32, [u64; 8]) {
    let or_none = |ticks: Option<u64>| ticks.unwrap_or(0);
    let (iowait, irq) = (or_none(time.iowait), or_none(time.irq));
    let (softirq, steal) = (or_none(time.softirq), or_none(time.steal));
    (number, [time.user, time.nice, time.system, time.idle, iowait, irq, softirq, steal])
}

fn pressure() -> Option<[Stall; 3]> {
    let (cpu, memory) = (CpuPressure::current().ok()?, MemoryPressure::current().ok()?);
    let io = IoPressure::current().ok()?;
    let stall = |some: u64, full: u64| Stall { some, full };
    Some([
        stall(cpu.some.total, cpu.full.total),
        stall(memory.some.total, memory.full.total),
        stall(io.some.total, io.full.total),
    ])
}

fn memory(read: &Meminfo) -> Memory {
    let available = read.mem_available.unwrap_or(read.mem_free);
    Memory {
        total: read.mem_total,
        available,
        least_available: available,
        free: read.mem_free,
        cached: read.cached,
        dirty: read.dirty,
        swap_total: read.swap_total,
        swap_free: read.swap_free,
    }
}

/// Whole devices that were ever used, the busiest first: partitions are counted with theirs, and unused loops and RAM
/// disks are many.
fn disks() -> Vec<Device<[u64; 7]>> {
    let is_told = |d: &DiskStat| {
        (d.reads > 0 || d.writes > 0)
            && fs::metadata(format!("/sys/block/{}", d.name.replace('/', "!"))).is_ok()
    };
    let mut all = procfs::diskstats().unwrap_or_default();
    all.sort_by_key(|d| Reverse(d.sectors_read.saturating_add(d.sectors_written)));
    all.into_iter().filter(is_told).take(MAX_DEVICES).map(disk).collect()
}

fn disk(disk: DiskStat) -> Device<[u64; 7]> {
    let counted = [
        disk.reads,
        disk.sectors_read.saturating_mul(SECTOR),
        disk.time_reading,
        disk.writes,
        disk.sectors_written.saturating_mul(SECTOR),
        disk.time_writing,
        disk.time_in_progress,
    ];
    Device { name: disk.name, counted }
}

/// The busiest first.
fn interfaces() -> Vec<Device<[Traffic; 2]>> {
    let status = Process::myself().and_then(|p| p.dev_status());
    let mut all: Vec<DeviceStatus> = status.map(|all| all.into_values().collect()).unwrap_or_default();
    all.sort_by_key(|d| Reverse(d.recv_bytes.saturating_add(d.sent_bytes)));
    all.into_iter().take(MAX_DEVICES).map(interface).collect()
}

fn interface(d: DeviceStatus) -> Device<[Traffic; 2]> {
    let received =
        Traffic { bytes: d.recv_bytes, packets: d.recv_packets, errors: d.recv_errs, dropped: d.recv_drop };
    let sent =
        Traffic { bytes: d.sent_bytes, packets: d.sent_packets, errors: d.sent_errs, dropped: d.sent_drop };
    Device { name: d.name, counted: [received, sent] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_cpus_shift_no_numbers() {
        let stat = "cpu  9 0 0 0\ncpu0 1 0 0 0\ncpu3 2 0 0 0\nintr 5\ncpufreq 1\n";
        assert_eq!(cpu_numbers(stat), [0, 3]);
    }

    #[test]
    fn this_host_can_be_read() {
        let counters = Counters::read();
        assert!(!counters.cpus.is_empty() && counters.memory.total > 0 && counters.processes > 0);
        assert!(counters.interfaces.iter().any(|i| i.name == "lo"), "{:?}", counters.interfaces);
        assert!(
            counters.file_systems.iter().any(|f| f.mount == "/" && f.size > 0),
            "{:?}",
            counters.file_systems
        );
    }
}
