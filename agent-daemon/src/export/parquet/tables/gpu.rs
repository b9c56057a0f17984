//! The tables of GPUs.

use super::{Column, END, START, Type, column, optional};

const GPU: Column = column("gpu", Type::Text, "the GPU's uuid");

pub(super) const GPUS: [Column; 34] = [
    START,
    END,
    GPU,
    column("index", Type::Int, "NVML's index, at the end"),
    column("name", Type::Text, "the product"),
    optional("down", Type::Text, "why it could not be read, at the end"),
    column("compute_busy_ns", Type::Int, "time in which a kernel ran, ns"),
    column("compute_of_ns", Type::Int, "time of which that is known, ns"),
    column("memory_busy_ns", Type::Int, "time in which memory was read or written, ns"),
    column("memory_of_ns", Type::Int, "time of which that is known, ns"),
    column("encoder_busy_ns", Type::Int, "time in which the video encoder worked, ns"),
    column("encoder_of_ns", Type::Int, "time of which that is known, ns"),
    column("decoder_busy_ns", Type::Int, "time in which the video decoder worked, ns"),
    column("decoder_of_ns", Type::Int, "time of which that is known, ns"),
    optional("memory_used", Type::Int, "memory that is allocated, at the end, bytes"),
    optional("memory_total", Type::Int, "memory that is there, bytes"),
    optional("power_mw", Type::Int, "power draw, at the end, mW"),
    optional("power_limit_mw", Type::Int, "the power limit in force, mW"),
    optional("temperature_celsius", Type::Int, "temperature of the chip, at the end, °C"),
    optional("graphics_mhz", Type::Int, "graphics clock, at the end, MHz"),
    optional("sm_mhz", Type::Int, "clock of the streaming multiprocessors, at the end, MHz"),
    optional("memory_mhz", Type::Int, "memory clock, at the end, MHz"),
    optional("video_mhz", Type::Int, "video clock, at the end, MHz"),
    optional("energy_mj", Type::Int, "energy drawn, mJ"),
    optional("ecc_corrected", Type::Int, "memory errors that ECC corrected"),
    optional("ecc_uncorrected", Type::Int, "memory errors that it could not correct"),
    optional("pcie_sent", Type::Int, "bytes sent over PCIe, by samples of 20 ms"),
    optional("pcie_received", Type::Int, "bytes received over PCIe, likewise"),
    optional("nvlink_sent", Type::Int, "bytes sent over NVLink"),
    optional("nvlink_received", Type::Int, "bytes received over NVLink"),
    optional("most_memory_used", Type::Int, "the most memory in use at the end of a window, bytes"),
    optional("hottest_celsius", Type::Int, "the highest temperature at the end of a window, °C"),
    column("energy_is_sampled", Type::Bool, "whether the energy is the power draw summed up, not a counter"),
    column("parts", Type::Int, "parts of a divided GPU (MIG), at the end"),
];

pub(super) const THROTTLED: [Column; 5] = [
    START,
    END,
    GPU,
    column("reason", Type::Text, "what held the clocks down, in NVML's words; gpu_idle is no trouble"),
    column("ns", Type::Int, "the length of the windows at whose end it did, ns"),
];

pub(super) const XIDS: [Column; 5] = [
    START,
    END,
    GPU,
    column("xid", Type::Int, "the error's number; 0 where it is not known"),
    column("count", Type::Int, "how often it came"),
];

pub(super) const PROCESSES: [Column; 8] = [
    START,
    END,
    GPU,
    optional(
        "process",
        Type::Text,
        "the process's identity, with a start to a clock tick; none where the daemon does not see it",
    ),
    column("host_pid", Type::Int, "its pid in the host's namespace; 0 for those without a row of their own"),
    optional("busy_ns", Type::Int, "time in which its work ran, ns"),
    optional("energy_mj", Type::Int, "its share of the energy, mJ"),
    optional("memory", Type::Int, "its memory on the GPU, at the end, bytes"),
];
