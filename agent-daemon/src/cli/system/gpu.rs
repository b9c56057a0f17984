//! The GPUs of `agentperf system`.

use super::super::{
    out,
    table::{Align, Table},
    units,
};
use crate::api::dto::gpu::{GpuDto, GpuInfoDto, GpuStatusDto};

/// Which GPUs there are, or why there are none to see: a line each.
pub(super) fn kind_of(status: &GpuStatusDto) -> String {
    let reason = status.reason.as_deref().map(out::plain);
    match (status.enabled, reason) {
        (false, _) => "GPUs are not looked for (gpu.enabled)\n".to_owned(),
        (true, Some(reason)) if status.gpus.is_empty() => format!("no GPUs: {reason}\n"),
        (true, _) if status.gpus.is_empty() => "no GPUs\n".to_owned(),
        (true, _) => status.gpus.iter().map(line).collect(),
    }
}

fn line(gpu: &GpuInfoDto) -> String {
    let name = if gpu.name.is_empty() { "unknown product" } else { &gpu.name };
    let memory =
        gpu.memory_bytes.map_or_else(String::new, |bytes| format!(", {} of memory", units::bytes(bytes)));
    let down = gpu.down.as_deref().map_or_else(String::new, |why| format!("; DOWN: {}", out::plain(why)));
    format!("GPU {}: {}{memory} ({}){down}\n", gpu.index, out::plain(name), out::plain(&gpu.uuid))
}

/// What they did.
pub(super) fn table(gpus: &[GpuDto]) -> Option<String> {
    let mut table = Table::new(&[
        ("GPU", Align::Right),
        ("BUSY", Align::Right),
        ("MEMORY", Align::Right),
        ("OF", Align::Right),
        ("POWER", Align::Right),
        ("ENERGY", Align::Right),
        ("TEMP", Align::Right),
        ("PROCESSES", Align::Right),
        ("ERRORS", Align::Left),
        ("HELD DOWN BY", Align::Left),
    ]);
    gpus.iter().for_each(|gpu| table.row(row(gpu)));
    (!gpus.is_empty()).then(|| table.render(""))
}

fn row(gpu: &GpuDto) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let xids = gpu.xids.iter().map(|(number, count)| format!("XID {number} ({count})"));
    let ecc = gpu.ecc_uncorrected.filter(|errors| *errors > 0).map(|errors| format!("ECC ({errors})"));
    let errors: Vec<String> = xids.chain(ecc).collect();
    let held: Vec<&str> =
        gpu.throttled_seconds.keys().map(String::as_str).filter(|reason| *reason != "gpu_idle").collect();
    let number = if gpu.index == u32::MAX { "?".to_owned() } else { gpu.index.to_string() };
    vec![
        number,
        or_none(gpu.busy.map(|busy| units::percent(busy, 1.0))),
        or_none(gpu.memory_used_bytes.map(units::bytes)),
        or_none(gpu.memory_bytes.map(units::bytes)),
        or_none(gpu.power_watts.map(|watts| format!("{watts:.0} W"))),
        or_none(gpu.energy_joules.map(|joules| format!("{joules:.0} J"))),
        or_none(gpu.temperature_celsius.map(|degrees| format!("{degrees} °C"))),
        gpu.processes.iter().filter(|process| process.memory_bytes.is_some()).count().to_string(),
        errors.join(", "),
        held.join(", "),
    ]
}
