//! Which tables there are.

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableId {
    Agents,
    Processes,
    Windows,
    Cpu,
    OffCpu,
    Syscalls,
    SyscallErrors,
    SyscallLatencies,
    Cuda,
    Files,
    Network,
    NetworkFailures,
    NetworkConnectTimes,
    Disk,
    DiskLatencies,
    Http,
    HttpDurations,
    Ledger,
    ThreadTime,
    InterpretersUnread,
    Stacks,
    Frames,
    Operations,
    OperationSums,
    Host,
    HostCpus,
    HostFileSystems,
    HostDisks,
    HostInterfaces,
    Gpus,
    GpuThrottled,
    GpuXids,
    GpuProcesses,
}

impl TableId {
    /// Its file's name, without the ending.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Agents => "agents",
            Self::Processes => "processes",
            Self::Windows => "windows",
            Self::Cpu => "cpu",
            Self::OffCpu => "off_cpu",
            Self::Syscalls => "syscalls",
            Self::SyscallErrors => "syscall_errors",
            Self::SyscallLatencies => "syscall_latencies",
            Self::Cuda => "cuda",
            Self::Files => "files",
            Self::Network => "network",
            Self::NetworkFailures => "network_failures",
            Self::NetworkConnectTimes => "network_connect_times",
            Self::Disk => "disk",
            Self::DiskLatencies => "disk_latencies",
            Self::Http => "http",
            Self::HttpDurations => "http_durations",
            Self::Ledger => "ledger",
            Self::ThreadTime => "thread_time",
            Self::InterpretersUnread => "interpreters_unread",
            Self::Stacks => "stacks",
            Self::Frames => "frames",
            Self::Operations => "operations",
            Self::OperationSums => "operation_sums",
            Self::Host => "host",
            Self::HostCpus => "host_cpus",
            Self::HostFileSystems => "host_file_systems",
            Self::HostDisks => "host_disks",
            Self::HostInterfaces => "host_interfaces",
            Self::Gpus => "gpus",
            Self::GpuThrottled => "gpu_throttled",
            Self::GpuXids => "gpu_xids",
            Self::GpuProcesses => "gpu_processes",
        }
    }

    /// What its rows are.
    pub(super) fn doc(self) -> &'static str {
        match self {
            Self::Agents => "Process trees under watch.",
            Self::Processes => "Every process of an agent.",
            Self::Windows => {
                "Stretches of time; old ones stand for several. The sums are those of the rows of the other tables."
            }
            Self::Cpu => "CPU samples by window, process and stack.",
            Self::OffCpu => "Time off the CPU by window, process, cause, waker and stack.",
            Self::Syscalls => "System calls by window, process and number.",
            Self::SyscallErrors => "Calls that failed, by errno.",
            Self::SyscallLatencies => {
                "Calls by latency: how many took at least 2^log2_ns ns, and less than twice that."
            }
            Self::Cuda => "Calls of CUDA by window, process and kind.",
            Self::Files => "Files by window, process and path.",
            Self::Network => "Traffic by window, process and peer.",
            Self::NetworkFailures => "Connections that failed, by errno.",
            Self::NetworkConnectTimes => {
                "Connections by how long they took to make: at least 2^log2_ns ns, and less than twice that."
            }
            Self::Disk => "Block I/O by window, process, device and operation.",
            Self::DiskLatencies => {
                "Block I/O by latency: how many requests took at least 2^log2_ns ns, and less than twice that."
            }
            Self::Http => "Exchanges over HTTP by window, process and endpoint.",
            Self::HttpDurations => "Exchanges over HTTP by how long they took.",
            Self::Ledger => {
                "Wall clock by window and by what was true at once; the rows of a window sum up to it."
            }
            Self::ThreadTime => "Time of all threads by window and state; threads side by side each count.",
            Self::InterpretersUnread => "Processes whose interpreter's frames could not be read, and why.",
            Self::Stacks => "Stacks that the rows of cpu and off_cpu name, each once.",
            Self::Frames => "The calls on these stacks.",
            Self::Operations => {
                "What applications told of, one by one: requests, page loads, calls; and calls of tools and models that agentperf saw."
            }
            Self::Host => "The host by window; old ones stand for several.",
            Self::HostCpus => "What each CPU did, by window.",
            Self::HostFileSystems => "Mounted file systems with space of their own, at each window's end.",
            Self::HostDisks => "Block devices by window; `other` are those that have no row of their own.",
            Self::HostInterfaces => {
                "Network interfaces by window; `other` are those that have no row of their own."
            }
            Self::Gpus => "GPUs by window of the host. What a GPU does not tell is missing, never 0.",
            Self::GpuThrottled => "What held the clocks of GPUs down, by window.",
            Self::GpuXids => "Critical errors of GPUs (XID), by window.",
            Self::GpuProcesses => "Who used the GPUs, by window.",
            Self::OperationSums => {
                "Operations of a stretch added up: those that are old, or that were told as sums. None is also in operations."
            }
        }
    }
}
