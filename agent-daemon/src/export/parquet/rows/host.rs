//! Windows of the host into rows.

use super::{Outcome, Rows};
use crate::{
    export::parquet::{column::Cell, table_id::TableId},
    model::host::{Activity, Cpu, Disk, FileSystem, HostWindow, Interface, Memory, Stall},
};

impl Rows {
    pub(in crate::export::parquet) fn host(&mut self, window: &HostWindow) -> Outcome {
        let at: [Cell; 2] = [window.start.into(), window.end.into()];
        self.host_itself(window)?;
        for cpu in &window.cpus {
            self.host_cpu(at.clone(), cpu)?;
        }
        for system in &window.file_systems {
            self.host_file_system(at.clone(), system)?;
        }
        for disk in &window.disks {
            self.host_disk(at.clone(), disk)?;
        }
        for interface in &window.interfaces {
            self.host_interface(at.clone(), interface)?;
        }
        for gpu in &window.gpus {
            self.gpu(at.clone(), gpu)?;
        }
        Ok(())
    }

    fn host_itself(&mut self, window: &HostWindow) -> Outcome {
        let cpu = window.all_cpus();
        let [load1, load5, load15] = window.activity.loads();
        let Activity { processes, running, blocked, .. } = window.activity;
        let pressure = window.pressure.as_ref();
        let stall = |stall: Option<Stall>| [stall.map(|s| s.some).into(), stall.map(|s| s.full).into()];
        let [cpu_some, cpu_full] = stall(pressure.map(|pressure| pressure.cpu));
        let [memory_some, memory_full] = stall(pressure.map(|pressure| pressure.memory));
        let [io_some, io_full] = stall(pressure.map(|pressure| pressure.io));
        let Memory { total, available, least_available, free, cached, dirty, swap_total, swap_free } =
            window.memory;
        self.tables.push(
            TableId::Host,
            [
                window.start.into(),
                window.end.into(),
                cpu.busy().into(),
                cpu.all().into(),
                load1.into(),
                load5.into(),
                load15.into(),
                processes.into(),
                running.into(),
                blocked.into(),
                window.activity.forks.into(),
                window.activity.context_switches.into(),
                cpu_some,
                cpu_full,
                memory_some,
                memory_full,
                io_some,
                io_full,
                total.into(),
                available.into(),
                least_available.into(),
                free.into(),
                cached.into(),
                dirty.into(),
                swap_total.into(),
                swap_free.into(),
            ],
        )
    }

    fn host_cpu(&mut self, [start, end]: [Cell; 2], cpu: &Cpu) -> Outcome {
        let [user, nice, system, idle, iowait, irq, softirq, steal] = cpu.modes().map(Cell::from);
        let number = cpu.number.into();
        let row = [start, end, number, user, nice, system, idle, iowait, irq, softirq, steal];
        self.tables.push(TableId::HostCpus, row)
    }

    fn host_file_system(&mut self, [start, end]: [Cell; 2], system: &FileSystem) -> Outcome {
        let FileSystem { mount, device, kind, size, available, inodes, inodes_free, read_only } = system;
        self.tables.push(
            TableId::HostFileSystems,
            [
                start,
                end,
                mount.as_str().into(),
                device.as_str().into(),
                kind.as_str().into(),
                (*size).into(),
                (*available).into(),
                (*inodes).into(),
                (*inodes_free).into(),
                (*read_only).into(),
            ],
        )
    }

    fn host_disk(&mut self, [start, end]: [Cell; 2], disk: &Disk) -> Outcome {
        let [reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns] =
            disk.counts().map(Cell::from);
        let name = disk.name.as_str().into();
        let row = [start, end, name, reads, read_bytes, read_ns, writes, written_bytes, write_ns, busy_ns];
        self.tables.push(TableId::HostDisks, row)
    }

    fn host_interface(&mut self, [start, end]: [Cell; 2], interface: &Interface) -> Outcome {
        let [bytes, packets, errors, dropped] = interface.received.counts().map(Cell::from);
        let [sent_bytes, sent_packets, sent_errors, sent_dropped] = interface.sent.counts().map(Cell::from);
        let name = interface.name.as_str().into();
        self.tables.push(
            TableId::HostInterfaces,
            [
                start,
                end,
                name,
                bytes,
                packets,
                errors,
                dropped,
                sent_bytes,
                sent_packets,
                sent_errors,
                sent_dropped,
            ],
        )
    }
}
