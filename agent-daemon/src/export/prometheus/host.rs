//! The series of the host: of its windows, merged since the daemon started.

use super::{
    families::Family,
    series::{Series, seconds},
};
use crate::model::host::{Disk, FileSystem, HostWindow, Interface, Stall, Traffic};

/// Every series of a metric of the host's; none of others.
pub(super) fn of(family: Family, window: &HostWindow) -> Vec<Series> {
    let (activity, memory) = (&window.activity, &window.memory);
    let [_, load5, load15] = activity.loads();
    match family {
        Family::HostMemoryFreeBytes => one(memory.free),
        Family::HostMemoryCachedBytes => one(memory.cached),
        Family::HostMemoryDirtyBytes => one(memory.dirty),
        Family::HostSwapBytes => one(memory.swap_total),
        Family::HostSwapFreeBytes => one(memory.swap_free),
        Family::HostLoad5 => vec![(Vec::new(), load5)],
        Family::HostLoad15 => vec![(Vec::new(), load15)],
        Family::HostProcesses => one(activity.processes.into()),
        Family::HostTasksRunning => one(activity.running.into()),
        Family::HostTasksBlocked => one(activity.blocked.into()),
        Family::HostForks => one(activity.forks),
        Family::HostContextSwitches => one(activity.context_switches),
        Family::HostPressureSeconds => pressure(window),
        Family::HostFilesystemSize => by_mount(window, |system| system.size),
        Family::HostFilesystemAvailable => by_mount(window, |system| system.available),
        Family::HostFilesystemInodes => by_mount(window, |system| system.inodes),
        Family::HostFilesystemInodesFree => by_mount(window, |system| system.inodes_free),
        Family::HostFilesystemReadOnly => by_mount(window, |system| system.read_only.into()),
        Family::HostDiskBytes => {
            by_disk(window, |disk| [disk.read_bytes, disk.written_bytes].map(|n| n as f64))
        }
        Family::HostDiskOperations => by_disk(window, |disk| [disk.reads, disk.writes].map(|n| n as f64)),
        Family::HostDiskOperationSeconds => {
            by_disk(window, |disk| [disk.read_ns, disk.write_ns].map(seconds))
        }
        Family::HostDiskBusySeconds => {
            let disks = window.disks.iter();
            disks.map(|disk| (vec![disk.name.clone()], seconds(disk.busy_ns))).collect()
        }
        Family::HostNetworkBytes => by_interface(window, |traffic| traffic.bytes),
        Family::HostNetworkPackets => by_interface(window, |traffic| traffic.packets),
        Family::HostNetworkErrors => by_interface(window, |traffic| traffic.errors),
        Family::HostNetworkDropped => by_interface(window, |traffic| traffic.dropped),
        _ => Vec::new(),
    }
}

fn one(value: u64) -> Vec<Series> {
    vec![(Vec::new(), value as f64)]
}

fn pressure(window: &HostWindow) -> Vec<Series> {
    let of = |resource: &str, Stall { some, full }: Stall| {
        [("some", some), ("full", full)]
            .map(|(stalled, ns)| (vec![resource.to_owned(), stalled.to_owned()], seconds(ns)))
    };
    let all = window.pressure.iter();
    all.flat_map(|all| [of("cpu", all.cpu), of("memory", all.memory), of("io", all.io)]).flatten().collect()
}

fn by_mount(window: &HostWindow, value: fn(&FileSystem) -> u64) -> Vec<Series> {
    window.file_systems.iter().map(|system| (vec![system.mount.clone()], value(system) as f64)).collect()
}

fn by_disk(window: &HostWindow, value: fn(&Disk) -> [f64; 2]) -> Vec<Series> {
    let directions = |disk: &Disk| {
        let [read, written] = value(disk);
        [("read", read), ("written", written)]
            .map(|(direction, value)| (vec![disk.name.clone(), direction.to_owned()], value))
    };
    window.disks.iter().flat_map(directions).collect()
}

fn by_interface(window: &HostWindow, value: fn(&Traffic) -> u64) -> Vec<Series> {
    let directions = |interface: &Interface| {
        [("received", &interface.received), ("sent", &interface.sent)].map(|(direction, traffic)| {
            (vec![interface.name.clone(), direction.to_owned()], value(traffic) as f64)
        })
    };
    window.interfaces.iter().flat_map(directions).collect()
}
