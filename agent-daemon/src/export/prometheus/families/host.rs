//! The metrics of the host as a whole.

use prometheus_client::registry::Unit::{Bytes, Seconds};

use super::{
    Family as F,
    Kind::{Counter, Gauge},
    Row, row,
};

/// Labels of a file system.
const MOUNT: &[&str] = &["mountpoint"];
/// Labels of a disk's two directions, `read` and `written`.
const DISK: &[&str] = &["device", "direction"];
/// Labels of an interface's two directions, `received` and `sent`.
const INTERFACE: &[&str] = &["interface", "direction"];

pub(super) static ROWS: [Row; 31] = [
    row(F::HostCpus, "host_cpus", None, Gauge, &[], "CPUs that are online"),
    row(
        F::HostCpuSeconds,
        "host_cpu",
        Some(Seconds),
        Counter,
        &["mode"],
        "Time of all CPUs since boot, by what they did",
    ),
    row(F::HostMemoryBytes, "host_memory", Some(Bytes), Gauge, &[], "Physical memory"),
    row(
        F::HostMemoryAvailableBytes,
        "host_memory_available",
        Some(Bytes),
        Gauge,
        &[],
        "Memory that programs could have without swapping (MemAvailable)",
    ),
    row(
        F::HostMemoryFreeBytes,
        "host_memory_free",
        Some(Bytes),
        Gauge,
        &[],
        "Memory that nobody uses at all",
    ),
    row(
        F::HostMemoryCachedBytes,
        "host_memory_cached",
        Some(Bytes),
        Gauge,
        &[],
        "The page cache, shared memory included",
    ),
    row(
        F::HostMemoryDirtyBytes,
        "host_memory_dirty",
        Some(Bytes),
        Gauge,
        &[],
        "Memory that waits to be written to disks",
    ),
    row(F::HostSwapBytes, "host_swap", Some(Bytes), Gauge, &[], "Swap space"),
    row(F::HostSwapFreeBytes, "host_swap_free", Some(Bytes), Gauge, &[], "Swap space that is not used"),
    row(F::HostLoad1, "host_load1", None, Gauge, &[], "Load average of the last minute"),
    row(F::HostLoad5, "host_load5", None, Gauge, &[], "Load average of the last five minutes"),
    row(F::HostLoad15, "host_load15", None, Gauge, &[], "Load average of the last fifteen minutes"),
    row(F::HostProcesses, "host_processes", None, Gauge, &[], "Processes"),
    row(F::HostTasksRunning, "host_tasks_running", None, Gauge, &[], "Tasks that ran or could have"),
    row(F::HostTasksBlocked, "host_tasks_blocked", None, Gauge, &[], "Tasks that waited for disks"),
    row(F::HostForks, "host_forks", None, Counter, &[], "Processes and threads that were started"),
    row(F::HostContextSwitches, "host_context_switches", None, Counter, &[], "Switches from task to task"),
    row(
        F::HostPressureSeconds,
        "host_pressure",
        Some(Seconds),
        Counter,
        &["resource", "stalled"],
        "Time in which tasks stood still for want of cpu, memory or io: some of them, or full (all that were not idle)",
    ),
    row(F::HostFilesystemSize, "host_filesystem_size", Some(Bytes), Gauge, MOUNT, "Room of a file system"),
    row(
        F::HostFilesystemAvailable,
        "host_filesystem_available",
        Some(Bytes),
        Gauge,
        MOUNT,
        "What of it programs without privileges may still write",
    ),
    row(
        F::HostFilesystemInodes,
        "host_filesystem_inodes",
        None,
        Gauge,
        MOUNT,
        "Inodes that a file system has room for; 0 where it has no fixed number",
    ),
    row(
        F::HostFilesystemInodesFree,
        "host_filesystem_inodes_free",
        None,
        Gauge,
        MOUNT,
        "Inodes of it that are free",
    ),
    row(
        F::HostFilesystemReadOnly,
        "host_filesystem_readonly",
        None,
        Gauge,
        MOUNT,
        "1 if nothing can be written to it",
    ),
    row(
        F::HostDiskBytes,
        "host_disk",
        Some(Bytes),
        Counter,
        DISK,
        "Bytes read from and written to a block device",
    ),
    row(
        F::HostDiskOperations,
        "host_disk_operations",
        None,
        Counter,
        DISK,
        "Reads and writes that were done",
    ),
    row(
        F::HostDiskOperationSeconds,
        "host_disk_operation",
        Some(Seconds),
        Counter,
        DISK,
        "Time that reads and writes took, together",
    ),
    row(
        F::HostDiskBusySeconds,
        "host_disk_busy",
        Some(Seconds),
        Counter,
        &["device"],
        "Time in which a block device had something to do",
    ),
    row(
        F::HostNetworkBytes,
        "host_network",
        Some(Bytes),
        Counter,
        INTERFACE,
        "Bytes received and sent by a network interface",
    ),
    row(F::HostNetworkPackets, "host_network_packets", None, Counter, INTERFACE, "Packets received and sent"),
    row(F::HostNetworkErrors, "host_network_errors", None, Counter, INTERFACE, "Packets that were broken"),
    row(F::HostNetworkDropped, "host_network_dropped", None, Counter, INTERFACE, "Packets that were dropped"),
];
