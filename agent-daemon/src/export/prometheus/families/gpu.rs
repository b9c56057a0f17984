//! The metrics of GPUs, and of what agents do with them. They are named by their uuids: an index is another GPU's after a boot.

use prometheus_client::registry::Unit::{Bytes, Celsius, Joules, Seconds};

use super::{
    Family as F,
    Kind::{Counter, Gauge},
    Row, row,
};

/// Labels of a GPU.
const GPU: &[&str] = &["gpu"];
/// Labels of what an agent does with one.
const OF_AGENT: &[&str] = &["agent", "agent_id", "gpu"];
/// Labels of its two directions, `sent` and `received`.
const LINK: &[&str] = &["gpu", "direction"];

pub(super) static ROWS: [Row; 16] = [
    row(
        F::GpuInfo,
        "gpu_info",
        None,
        Gauge,
        &["gpu", "index", "name"],
        "1. A GPU by its uuid: NVML's index, and the product",
    ),
    row(
        F::GpuUp,
        "gpu_up",
        None,
        Gauge,
        GPU,
        "1 if it can be read, 0 if it fell off or the driver does not answer",
    ),
    row(
        F::GpuBusySeconds,
        "gpu_busy",
        Some(Seconds),
        Counter,
        &["gpu", "engine"],
        "Time in which a unit worked: compute (any kernel ran), memory, encoder, decoder",
    ),
    row(F::GpuMemoryUsed, "gpu_memory_used", Some(Bytes), Gauge, GPU, "Its memory that is allocated"),
    row(F::GpuMemoryTotal, "gpu_memory_total", Some(Bytes), Gauge, GPU, "Its memory"),
    row(F::GpuPower, "gpu_power_watts", None, Gauge, GPU, "Power draw"),
    row(F::GpuPowerLimit, "gpu_power_limit_watts", None, Gauge, GPU, "The power limit in force"),
    row(F::GpuEnergy, "gpu_energy", Some(Joules), Counter, GPU, "Energy drawn"),
    row(F::GpuTemperature, "gpu_temperature", Some(Celsius), Gauge, GPU, "Temperature of the chip"),
    row(
        F::GpuClock,
        "gpu_clock_hertz",
        None,
        Gauge,
        &["gpu", "clock"],
        "Present clocks: graphics, sm, memory, video",
    ),
    row(
        F::GpuThrottledSeconds,
        "gpu_throttled",
        Some(Seconds),
        Counter,
        &["gpu", "reason"],
        "Time in which something held its clocks down, in NVML's words; gpu_idle is no trouble",
    ),
    row(
        F::GpuEccErrors,
        "gpu_ecc_errors",
        None,
        Counter,
        &["gpu", "kind"],
        "Memory errors that ECC met: corrected, uncorrected",
    ),
    row(
        F::GpuPcieBytes,
        "gpu_pcie",
        Some(Bytes),
        Counter,
        LINK,
        "Bytes over PCIe, taken from a measurement of 20 ms in each window",
    ),
    row(F::GpuNvlinkBytes, "gpu_nvlink", Some(Bytes), Counter, LINK, "Payload over all its NVLinks"),
    row(
        F::GpuXidErrors,
        "gpu_xid_errors",
        None,
        Counter,
        &["gpu", "xid"],
        "Critical errors that the driver reported, by XID number; a series begins with the first of them",
    ),
    row(F::GpuProcesses, "gpu_processes", None, Gauge, GPU, "Processes that have memory on it"),
];

/// What agents do with GPUs.
pub(super) static OF_AGENTS: [Row; 3] = [
    row(
        F::AgentGpuSeconds,
        "agent_gpu",
        Some(Seconds),
        Counter,
        OF_AGENT,
        "Time in which work of its processes ran on a GPU; work of several at once counts once, divided",
    ),
    row(
        F::AgentGpuEnergy,
        "agent_gpu_energy",
        Some(Joules),
        Counter,
        OF_AGENT,
        "Energy that a GPU drew for it: by its share of the time, so that idle time is nobody's",
    ),
    row(
        F::AgentGpuMemory,
        "agent_gpu_memory",
        Some(Bytes),
        Gauge,
        OF_AGENT,
        "Memory of a GPU that its processes have, as of the last window",
    ),
];
