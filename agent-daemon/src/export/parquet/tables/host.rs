//! The tables of the host.

use super::{Column, END, START, Type, column, optional};

pub(super) const HOST: [Column; 26] = [
    START,
    END,
    column("cpu_busy_ns", Type::Int, "time that CPUs worked for somebody here, all together, ns"),
    column("cpu_ns", Type::Int, "all of their time, ns"),
    column("load1", Type::Float, "load average of the last minute, at the end"),
    column("load5", Type::Float, "of the last five minutes"),
    column("load15", Type::Float, "of the last fifteen minutes"),
    column("processes", Type::Int, "processes, at the end"),
    column("running", Type::Int, "tasks that ran or could have, at the end"),
    column("blocked", Type::Int, "tasks that waited for disks, at the end"),
    column("forks", Type::Int, "processes and threads that were started"),
    column("context_switches", Type::Int, "switches from task to task"),
    optional(
        "cpu_some_ns",
        Type::Int,
        "time in which some tasks stood still for want of a CPU, ns; none where the kernel does not tell",
    ),
    optional("cpu_full_ns", Type::Int, "time in which all did that were not idle, ns"),
    optional(
        "memory_some_ns",
        Type::Int,
        "time in which some tasks stood still for want of memory, ns; none where the kernel does not tell",
    ),
    optional("memory_full_ns", Type::Int, "time in which all did that were not idle, ns"),
    optional(
        "io_some_ns",
        Type::Int,
        "time in which some tasks stood still for want of I/O, ns; none where the kernel does not tell",
    ),
    optional("io_full_ns", Type::Int, "time in which all did that were not idle, ns"),
    column("memory_total", Type::Int, "physical memory, bytes"),
    column("memory_available", Type::Int, "what programs could have without swapping, at the end, bytes"),
    column("memory_least_available", Type::Int, "the least that this was at the end of a window, bytes"),
    column("memory_free", Type::Int, "what nobody uses at all, at the end, bytes"),
    column("memory_cached", Type::Int, "the page cache, at the end, bytes"),
    column("memory_dirty", Type::Int, "what waits to be written, at the end, bytes"),
    column("swap_total", Type::Int, "swap space, bytes"),
    column("swap_free", Type::Int, "swap space that is not used, at the end, bytes"),
];

pub(super) const CPUS: [Column; 11] = [
    START,
    END,
    column("cpu", Type::Int, "the CPU's number"),
    column("user_ns", Type::Int, "programs at normal priority, ns"),
    column("nice_ns", Type::Int, "programs of low priority, ns"),
    column("system_ns", Type::Int, "the kernel, for programs, ns"),
    column("idle_ns", Type::Int, "nothing, ns"),
    column("iowait_ns", Type::Int, "nothing, while a task waited for a disk, ns"),
    column("irq_ns", Type::Int, "interrupts, ns"),
    column("softirq_ns", Type::Int, "work that interrupts left for later, ns"),
    column("steal_ns", Type::Int, "another virtual machine had the CPU, ns"),
];

pub(super) const FILE_SYSTEMS: [Column; 10] = [
    START,
    END,
    column("mount", Type::Text, "where it is mounted"),
    column("device", Type::Text, "what is mounted"),
    column("kind", Type::Text, "its type"),
    column("size", Type::Int, "bytes that it has room for"),
    column("available", Type::Int, "bytes that programs without privileges may still write"),
    column("inodes", Type::Int, "inodes that it has room for; 0 where it has no fixed number"),
    column("inodes_free", Type::Int, "inodes that are free"),
    column("read_only", Type::Bool, "whether nothing can be written"),
];

pub(super) const DISKS: [Column; 10] = [
    START,
    END,
    column("name", Type::Text, "the kernel's name"),
    column("reads", Type::Int, "reads that were done"),
    column("read_bytes", Type::Int, "bytes read"),
    column("read_ns", Type::Int, "time that reads took, together, ns"),
    column("writes", Type::Int, "writes that were done"),
    column("written_bytes", Type::Int, "bytes written"),
    column("write_ns", Type::Int, "time that writes took, together, ns"),
    column("busy_ns", Type::Int, "time in which the device had something to do, ns"),
];

pub(super) const INTERFACES: [Column; 11] = [
    START,
    END,
    column("name", Type::Text, "its name"),
    column("received_bytes", Type::Int, "bytes that came"),
    column("received_packets", Type::Int, "packets that came"),
    column("received_errors", Type::Int, "broken packets that came"),
    column("received_dropped", Type::Int, "dropped packets that came"),
    column("sent_bytes", Type::Int, "bytes that went"),
    column("sent_packets", Type::Int, "packets that went"),
    column("sent_errors", Type::Int, "broken packets that went"),
    column("sent_dropped", Type::Int, "dropped packets that went"),
];
