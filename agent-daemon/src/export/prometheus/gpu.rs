//! The series of GPUs: of the host's windows, merged since the daemon started.

use super::{families::Family, series::Series, series::seconds};
use crate::model::host::gpu::{CLOCKS, ENGINES, Gpu, UNKNOWN_GPU};

/// Every series of a metric of GPUs; none of others.
pub(super) fn of(family: Family, gpus: &[Gpu]) -> Vec<Series> {
    gpus.iter().flat_map(|gpu| of_one(family, gpu)).collect()
}

fn of_one(family: Family, gpu: &Gpu) -> Vec<Series> {
    let level = |value: Option<u64>, unit: f64| one(gpu, value.map(|value| value as f64 * unit));
    match family {
        // Errors may name none, and there is nothing else to say of that.
        Family::GpuInfo | Family::GpuUp | Family::GpuProcesses if gpu.uuid == UNKNOWN_GPU => Vec::new(),
        Family::GpuInfo => vec![(vec![gpu.uuid.clone(), gpu.index.to_string(), gpu.name.clone()], 1.0)],
        Family::GpuUp => one(gpu, Some(f64::from(u8::from(gpu.down.is_none())))),
        Family::GpuBusySeconds => {
            let shares = ENGINES.iter().zip(gpu.busy).filter(|(_, share)| share.of_ns > 0);
            shares.map(|(engine, share)| labelled(gpu, engine, seconds(share.ns))).collect()
        }
        Family::GpuMemoryUsed => level(gpu.levels.memory_used, 1.0),
        Family::GpuMemoryTotal => level(gpu.levels.memory_total, 1.0),
        Family::GpuPower => level(gpu.levels.power_mw, 1e-3),
        Family::GpuPowerLimit => level(gpu.levels.power_limit_mw, 1e-3),
        Family::GpuEnergy => level(gpu.amounts.energy_mj, 1e-3),
        Family::GpuTemperature => level(gpu.levels.temperature_celsius, 1.0),
        Family::GpuClock => {
            let clocks = CLOCKS.iter().zip(gpu.levels.clocks_mhz);
            clocks.filter_map(|(clock, mhz)| Some(labelled(gpu, clock, mhz? as f64 * 1e6))).collect()
        }
        Family::GpuThrottledSeconds => {
            gpu.throttled.iter().map(|held| labelled(gpu, &held.reason, seconds(held.ns))).collect()
        }
        Family::GpuEccErrors => pair(
            gpu,
            [("corrected", gpu.amounts.ecc_corrected), ("uncorrected", gpu.amounts.ecc_uncorrected)],
        ),
        Family::GpuPcieBytes => {
            pair(gpu, [("sent", gpu.amounts.pcie_sent), ("received", gpu.amounts.pcie_received)])
        }
        Family::GpuNvlinkBytes => {
            pair(gpu, [("sent", gpu.amounts.nvlink_sent), ("received", gpu.amounts.nvlink_received)])
        }
        Family::GpuXidErrors => {
            gpu.xids.iter().map(|xid| labelled(gpu, &xid.number.to_string(), xid.count as f64)).collect()
        }
        Family::GpuProcesses if gpu.down.is_none() => {
            one(gpu, Some(gpu.processes.iter().filter(|process| process.memory.is_some()).count() as f64))
        }
        _ => Vec::new(),
    }
}

fn one(gpu: &Gpu, value: Option<f64>) -> Vec<Series> {
    value.map(|value| (vec![gpu.uuid.clone()], value)).into_iter().collect()
}

fn labelled(gpu: &Gpu, label: &str, value: f64) -> Series {
    (vec![gpu.uuid.clone(), label.to_owned()], value)
}

fn pair(gpu: &Gpu, values: [(&str, Option<u64>); 2]) -> Vec<Series> {
    values.into_iter().filter_map(|(label, value)| Some(labelled(gpu, label, value? as f64))).collect()
}
