//! The processes of a GPU: who has a context, with how much memory, and what each used. Lists change while they are
//! asked for, and a process that ended within the interval is only in the samples.

use std::collections::BTreeMap;

use nvml_wrapper::{
    Device, enums::device::UsedGpuMemory, error::NvmlError, struct_wrappers::device::ProcessInfo,
};

use super::{
    ask::Asker,
    feature::Feature,
    mig,
    pids::Pids,
    reading::{GpuProcess, ProcessUtilisation},
    samples::{Until, processes_since},
};

/// How often a list is asked for that has grown between its being counted and its being read.
const ATTEMPTS: usize = 3;

type Place = (u32, Option<(u32, u32)>);

/// Reads them; `None` if NVML tells nothing of processes.
pub(super) fn read(
    device: &Device<'_>,
    parts: &[Device<'_>],
    asker: &mut Asker<'_>,
    until: &mut Until,
    pids: &Pids,
) -> Option<Vec<GpuProcess>> {
    let compute = listed(Feature::ComputeProcesses, asker, || device.running_compute_processes());
    let graphics = listed(Feature::GraphicsProcesses, asker, || device.running_graphics_processes());
    let used = asker.ask(Feature::ProcessUtilisation, || processes_since(device, until));
    let mut found = BTreeMap::new();
    add(&mut found, compute.as_deref().unwrap_or_default(), None, |process| process.is_compute = true);
    add(&mut found, graphics.as_deref().unwrap_or_default(), None, |process| process.is_graphics = true);
    for part in parts {
        let instance = mig::ids(part, asker);
        let compute = listed(Feature::ComputeProcesses, asker, || part.running_compute_processes());
        add(&mut found, &compute.unwrap_or_default(), instance, |process| process.is_compute = true);
    }
    if compute.is_none() && graphics.is_none() && used.is_none() && found.is_empty() {
        return None;
    }
    if let Some(used) = used {
        add_used(&mut found, &used);
    }
    let named = found.into_values().map(|process| GpuProcess { pid: pids.own(process.host_pid), ..process });
    Some(named.collect())
}

fn listed(
    feature: Feature,
    asker: &mut Asker<'_>,
    list: impl Fn() -> Result<Vec<ProcessInfo>, NvmlError>,
) -> Option<Vec<ProcessInfo>> {
    asker.ask(feature, || {
        let mut listed = list();
        for _ in 1..ATTEMPTS {
            match listed {
                Err(NvmlError::InsufficientSize(_)) => listed = list(),
                other => return other,
            }
        }
        listed
    })
}

fn add(
    found: &mut BTreeMap<Place, GpuProcess>,
    listed: &[ProcessInfo],
    instance: Option<(u32, u32)>,
    mark: impl Fn(&mut GpuProcess),
) {
    for info in listed {
        let instance = instance.or(info.gpu_instance_id.zip(info.compute_instance_id));
        let process = found.entry((info.pid, instance)).or_insert_with(|| unused(info.pid, instance));
        mark(process);
        if let UsedGpuMemory::Used(bytes) = info.used_gpu_memory {
            // One process has one sum, which both lists tell.
            process.memory_bytes = Some(process.memory_bytes.map_or(bytes, |known| known.max(bytes)));
        }
    }
}

/// Adds what was used; who is not in the samples used nothing.
fn add_used(found: &mut BTreeMap<Place, GpuProcess>, used: &BTreeMap<u32, ProcessUtilisation>) {
    for process in found.values_mut() {
        process.utilisation = Some(ProcessUtilisation::default());
    }
    for (pid, utilisation) in used {
        let place = found.range((*pid, None)..).next().map(|(place, _)| *place);
        let place = place.filter(|place| place.0 == *pid).unwrap_or((*pid, None));
        let process = found.entry(place).or_insert_with(|| unused(*pid, None));
        process.utilisation = Some(*utilisation);
    }
}

fn unused(host_pid: u32, instance: Option<(u32, u32)>) -> GpuProcess {
    GpuProcess {
        host_pid,
        pid: None,
        is_compute: false,
        is_graphics: false,
        memory_bytes: None,
        instance,
        utilisation: None,
    }
}
