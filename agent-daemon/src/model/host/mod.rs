//! What a host does as a whole: its CPUs, memory, disks, interfaces and GPUs.

pub mod gpu;
mod merge;

use std::time::Duration;

use self::gpu::Gpu;
use super::time::Timestamp;

pub use merge::{Device, bounded};

/// The most disks, and the most interfaces, that a window tells apart; the others are added up as [`OTHER`].
pub const MAX_DEVICES: usize = 64;

/// What disks and interfaces are called that have no row of their own.
pub const OTHER: &str = "other";

/// What CPUs do, in the order of [`Cpu::modes`].
pub const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

/// The host over one window. Amounts are of the window unless they say that they are of its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostWindow {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What each online CPU did, by number.
    pub cpus: Vec<Cpu>,
    /// What there was to run, and what happened.
    pub activity: Activity,
    /// Time that tasks lost for want of something; `None` where the kernel does not tell.
    pub pressure: Option<Pressure>,
    /// Memory, at the end.
    pub memory: Memory,
    /// Mounted file systems with space of their own, at the end, by where they are mounted.
    pub file_systems: Vec<FileSystem>,
    /// What was read and written, by block device.
    pub disks: Vec<Disk>,
    /// What was received and sent, by network interface.
    pub interfaces: Vec<Interface>,
    /// What GPUs did.
    pub gpus: Vec<Gpu>,
}

/// What one CPU did, in nanoseconds of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// Its number.
    pub number: u32,
    /// Programs at normal priority; virtual machines included.
    pub user: u64,
    /// Programs of low priority.
    pub nice: u64,
    /// The kernel, for programs.
    pub system: u64,
    /// Nothing.
    pub idle: u64,
    /// Nothing, while a task of this CPU waited for a disk.
    pub iowait: u64,
    /// Interrupts.
    pub irq: u64,
    /// Work that interrupts left for later.
    pub softirq: u64,
    /// Another virtual machine had the CPU.
    pub steal: u64,
}

impl HostWindow {
    /// How long it was.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.end.duration_since(self.start).try_into().unwrap_or_default()
    }

    /// All CPUs together; the number says nothing.
    #[must_use]
    pub fn all_cpus(&self) -> Cpu {
        self.cpus.iter().fold(Cpu::default(), |mut sum, cpu| {
            sum.add(cpu);
            sum
        })
    }
}

impl Cpu {
    /// A CPU by its number and its time by mode, ns.
    #[must_use]
    pub fn new(number: u32, modes: [u64; 8]) -> Self {
        let [user, nice, system, idle, iowait, irq, softirq, steal] = modes;
        Self { number, user, nice, system, idle, iowait, irq, softirq, steal }
    }

    /// Its time by mode, in the order of [`MODES`], ns.
    #[must_use]
    pub fn modes(&self) -> [u64; 8] {
        let Self { user, nice, system, idle, iowait, irq, softirq, steal, .. } = *self;
        [user, nice, system, idle, iowait, irq, softirq, steal]
    }

    /// Time that the CPU worked for somebody here, ns.
    #[must_use]
    pub fn busy(&self) -> u64 {
        sum([self.user, self.nice, self.system, self.irq, self.softirq])
    }

    /// All of its time, ns.
    #[must_use]
    pub fn all(&self) -> u64 {
        sum(self.modes())
    }
}

/// Of damaged records, too.
fn sum<const N: usize>(amounts: [u64; N]) -> u64 {
    amounts.into_iter().fold(0, u64::saturating_add)
}

/// What there was to run, and what happened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// Load averages of the last 1, 5 and 15 minutes, at the end.
    pub load: [f32; 3],
    /// Processes, at the end.
    pub processes: u32,
    /// Tasks that ran or could have, at the end.
    pub running: u32,
    /// Tasks that waited for disks, at the end.
    pub blocked: u32,
    /// Processes and threads that were started.
    pub forks: u64,
    /// Switches from task to task, all CPUs together.
    pub context_switches: u64,
}

impl Activity {
    /// The load averages as the kernel writes them, with two decimals.
    #[must_use]
    pub fn loads(&self) -> [f64; 3] {
        self.load.map(|load| (f64::from(load) * 100.0).round() / 100.0)
    }
}

/// Time lost for want of CPUs, memory and I/O (pressure stall information).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// For want of a CPU.
    pub cpu: Stall,
    /// For want of memory.
    pub memory: Stall,
    /// For I/O.
    pub io: Stall,
}

/// Time in which tasks stood still, ns of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stall {
    /// In which at least one did.
    pub some: u64,
    /// In which all did that were not idle.
    pub full: u64,
}

/// Memory in bytes. All but one are of the window's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Physical memory.
    pub total: u64,
    /// What programs could have without swapping.
    pub available: u64,
    /// The least that this was at the end of a window, of those that this one is made of.
    pub least_available: u64,
    /// What nobody uses at all.
    pub free: u64,
    /// The page cache, shared memory included.
    pub cached: u64,
    /// What waits to be written to disks.
    pub dirty: u64,
    /// Swap space.
    pub swap_total: u64,
    /// Swap space that is not used.
    pub swap_free: u64,
}

impl Memory {
    /// Every amount, in the order of the fields.
    #[must_use]
    pub fn amounts(&self) -> [u64; 8] {
        let Self { total, available, least_available, free, cached, dirty, swap_total, swap_free } = *self;
        [total, available, least_available, free, cached, dirty, swap_total, swap_free]
    }
}

impl From<[u64; 8]> for Memory {
    fn from(amounts: [u64; 8]) -> Self {
        let [total, available, least_available, free, cached, dirty, swap_total, swap_free] = amounts;
        Self { total, available, least_available, free, cached, dirty, swap_total, swap_free }
    }
}

/// A mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// Where it is mounted, in the daemon's mount namespace.
    pub mount: String,
    /// What is mounted.
    pub device: String,
    /// Its type: `ext4`.
    pub kind: String,
    /// Bytes that it has room for.
    pub size: u64,
    /// Bytes that programs without privileges may still write.
    pub available: u64,
    /// Inodes that it has room for; 0 where it has no fixed number.
    pub inodes: u64,
    /// Inodes that are free.
    pub inodes_free: u64,
    /// Whether nothing can be written.
    pub read_only: bool,
}

/// A block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name: `nvme0n1`.
    pub name: String,
    /// Reads that were done.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Time that reads took, together, ns.
    pub read_ns: u64,
    /// Writes that were done.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Time that writes took, together, ns.
    pub write_ns: u64,
    /// Time in which the device had something to do, ns.
    pub busy_ns: u64,
}

impl Disk {
    /// A disk by its name and what was counted, in the order of the fields.
    #[must_use]
    pub fn new(name: String, counts: [u64; 7]) -> Self {
        let [reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns] = counts;
        Self { name, reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns }
    }

    /// What was counted, in the order of the fields.
    #[must_use]
    pub fn counts(&self) -> [u64; 7] {
        let Self { reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns, .. } = *self;
        [reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns]
    }
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// What came.
    pub received: Traffic,
    /// What went.
    pub sent: Traffic,
}

/// One direction of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were broken.
    pub errors: u64,
    /// Packets that were dropped.
    pub dropped: u64,
}

impl Traffic {
    /// What was counted, in the order of the fields.
    #[must_use]
    pub fn counts(&self) -> [u64; 4] {
        [self.bytes, self.packets, self.errors, self.dropped]
    }
}

impl From<[u64; 4]> for Traffic {
    fn from([bytes, packets, errors, dropped]: [u64; 4]) -> Self {
        Self { bytes, packets, errors, dropped }
    }
}

/// What kind of host it is: what does not change while the daemon runs. The default is one of which nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemInfo {
    /// The operating system and its release, as it calls itself.
    pub operating_system: Option<String>,
    /// The machine's architecture.
    pub architecture: &'static str,
    /// The CPUs' model.
    pub cpu_model: Option<String>,
    /// CPUs that are online.
    pub cpus: usize,
    /// Physical memory, bytes.
    pub memory: u64,
    /// Swap space, bytes.
    pub swap: u64,
    /// When it was booted.
    pub booted: Option<Timestamp>,
    /// What it runs on.
    pub platform: Platform,
}

/// What a host runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// A machine of its own, as far as can be seen.
    #[default]
    Physical,
    /// A virtual machine.
    VirtualMachine {
        /// Who made it, as its firmware says.
        hypervisor: Option<String>,
    },
    /// A container: of the host, only what it shows is seen.
    Container {
        /// What runs it.
        runtime: String,
    },
}
