//! The GPUs of a window: what NVML's thread reads, as the host's record has it. A reading that is late counts in the
//! window in which it comes; each of its sums is of the time since the reading before.
//!
//! What changes (NVML comes or goes, a GPU is there, falls off or comes back) is logged once. Processes are identified
//! by their start in /proc; one that had ended when it was told first has a pid of the host, and no identity.

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use super::super::proc_tree::start_ns;
use crate::{
    config,
    gpu::{self, Availability, GpuReading, Gpus, Reason, Settings, Share as Part, Xid, shares},
    model::{
        host::gpu::{
            Amounts, Gpu, GpuInfo, GpuPart, GpuProcess, GpuStatus, Levels, MAX_GPU_ROWS, Share, Throttled,
            UNKNOWN_GPU, XidCount,
        },
        id::ProcessId,
    },
    telemetry::{Loss, Telemetry},
};

/// How long a window waits for its reading, which was asked for [`AHEAD`]; and after one that did not come.
const PATIENCE: Duration = Duration::from_secs(1);
const IMPATIENCE: Duration = Duration::from_millis(10);
/// After how long it is said that NVML does not answer. Before, a window may be without GPUs.
const STUCK: Duration = Duration::from_secs(2);
/// How long before a window's end its reading is asked for: two measurements of 20 ms are in it for each GPU.
pub(super) const AHEAD: Duration = Duration::from_millis(400);
/// How long stopping waits for NVML.
const STOP: Duration = Duration::from_millis(500);
/// XID errors of a window that are logged one by one.
const LOGGED: usize = 16;

/// The host's GPUs.
pub(super) struct HostGpus {
    gpus: Gpus,
    telemetry: Arc<Telemetry>,
    status: GpuStatus,
    /// The processes of the last reading by their pids on the host: who has ended since is known by it.
    processes: FxHashMap<u32, ProcessId>,
    patience: Duration,
}

impl HostGpus {
    /// Starts to look for GPUs; `None` if they are not wanted, or no thread can be had.
    pub(super) fn start(config: &config::Gpu, telemetry: &Arc<Telemetry>) -> Option<Self> {
        let mut status = GpuStatus { enabled: config.enabled, ..GpuStatus::default() };
        if !config.enabled {
            telemetry.set_gpus(status);
            return None;
        }
        match Gpus::start(settings(config)) {
            Ok(gpus) => Some(Self {
                gpus,
                telemetry: Arc::clone(telemetry),
                status,
                processes: FxHashMap::default(),
                patience: PATIENCE,
            }),
            Err(error) => {
                tracing::warn!(%error, "GPUs are not read: no thread can be started");
                status.reason = Some(error.to_string());
                telemetry.set_gpus(status);
                None
            }
        }
    }

    /// Asks for a reading ahead of time.
    pub(super) fn request(&mut self) {
        self.gpus.request();
    }

    /// What the GPUs did since the last call.
    pub(super) fn window(&mut self) -> Vec<Gpu> {
        let reading = self.gpus.read(self.patience);
        let is_stuck = matches!(reading.availability, Availability::Stuck { .. });
        self.patience = if is_stuck { IMPATIENCE } else { PATIENCE };
        self.telemetry.losses.add(Loss::GpuErrorDropped, reading.xids_lost);
        let mut told: Vec<Gpu> = match &reading.availability {
            Availability::Running { .. } => self.read(&reading),
            Availability::Stuck { elapsed, .. } if *elapsed < STUCK => Vec::new(),
            _ => self.silent(&why(&reading.availability)),
        };
        add_xids(&mut told, &reading.xids);
        told
    }

    /// Lets NVML go; a thread that hangs in the driver is left behind.
    pub(super) fn stop(self) {
        if !self.gpus.stop(STOP) {
            tracing::warn!("NVML does not answer: stopping without it");
        }
    }

    fn read(&mut self, reading: &GpuReading) -> Vec<Gpu> {
        let mut status = GpuStatus { enabled: true, ..GpuStatus::default() };
        if let Availability::Running { driver, library } = &reading.availability {
            (status.driver, status.library) = (driver.clone(), library.clone());
        }
        let mut processes = FxHashMap::default();
        let gpus: Vec<&gpu::Gpu> = reading.gpus.iter().take(MAX_GPU_ROWS).collect();
        let told: Vec<Gpu> = gpus.iter().map(|gpu| self.gpu(gpu, &mut processes)).collect();
        status.gpus = gpus.iter().zip(&told).map(|(read, told)| info(read, told)).collect();
        self.processes = processes;
        self.tell(status);
        told
    }

    /// NVML tells nothing: what was there cannot be read.
    fn silent(&mut self, reason: &str) -> Vec<Gpu> {
        let mut status = self.status.clone();
        status.reason = Some(reason.to_owned());
        status.gpus.iter_mut().for_each(|gpu| gpu.down = Some(reason.to_owned()));
        let told = status.gpus.iter().map(|gpu| Gpu {
            uuid: gpu.uuid.clone(),
            index: gpu.index,
            name: gpu.name.clone(),
            down: gpu.down.clone(),
            ..Gpu::default()
        });
        let told = told.collect();
        self.tell(status);
        told
    }

    /// Says what has changed, once, and remembers how it stands.
    fn tell(&mut self, status: GpuStatus) {
        if status == self.status {
            return;
        }
        match (&self.status.reason, &status.reason) {
            (before, None) if before.is_some() || self.status.driver != status.driver => {
                let driver = status.driver.as_deref().unwrap_or("unknown");
                tracing::info!(driver, gpus = status.gpus.len(), "GPUs are read");
            }
            (before, Some(reason)) if before.as_ref() != Some(reason) => {
                // That a host has none is nothing to worry about.
                match status.gpus.is_empty() {
                    true => tracing::info!(reason, "no GPUs are read"),
                    false => tracing::warn!(reason, "GPUs are not read"),
                }
            }
            _ => {}
        }
        for gpu in &status.gpus {
            let before = self.status.gpus.iter().find(|known| known.uuid == gpu.uuid);
            say_change(before, gpu);
        }
        self.telemetry.set_gpus(status.clone());
        self.status = status;
    }

    fn gpu(&self, read: &gpu::Gpu, processes: &mut FxHashMap<u32, ProcessId>) -> Gpu {
        let mut told = counted(read);
        let parts = shares(read).map(|shares| shares.processes).unwrap_or_default();
        for process in read.processes.iter().flatten() {
            let known = || self.processes.get(&process.host_pid).copied();
            let identity =
                process.pid.and_then(start_ns).map(|start| ProcessId::new(process.host_pid, start));
            let identity = identity.or_else(known);
            if let Some(identity) = identity {
                processes.insert(process.host_pid, identity);
            }
            let part = parts.iter().find(|part| part.host_pid == process.host_pid);
            told.add_process(GpuProcess {
                process: identity,
                host_pid: process.host_pid,
                busy_ns: busy(part, process),
                energy_mj: part.and_then(|part| part.used.joules).map(thousandths),
                memory: process.memory_bytes,
            });
        }
        told
    }
}

/// How NVML's thread is to work.
pub(super) fn settings(config: &config::Gpu) -> Settings {
    Settings { library: config.library.clone(), host_proc: config.host_proc.clone(), ..Settings::default() }
}

/// What a process used; 0 where the driver tells of it that it used nothing.
fn busy(part: Option<&Part>, process: &gpu::GpuProcess) -> Option<u64> {
    let none = process.utilisation.map(|_| 0);
    part.map(|part| ns(part.used.gpu_seconds)).or(none)
}

/// All but its processes.
fn counted(read: &gpu::Gpu) -> Gpu {
    let interval = read.interval.unwrap_or_default();
    let share = |percent: Option<f64>| {
        percent.filter(|_| read.interval.is_some()).map_or_else(Share::default, |percent| Share {
            ns: ns(interval.as_secs_f64() * percent.clamp(0.0, 100.0) / 100.0),
            of_ns: ns(interval.as_secs_f64()),
        })
    };
    let used = read.utilisation;
    let levels = levels(read);
    let mut told = Gpu {
        uuid: identity(read),
        index: read.index,
        name: read.name.clone().unwrap_or_default(),
        down: read.down.as_ref().map(Reason::to_string),
        busy: [
            share(used.map(|used| used.gpu_percent)),
            share(used.and_then(|used| used.memory_percent)),
            share(read.encoder_percent.map(f64::from)),
            share(read.decoder_percent.map(f64::from)),
        ],
        levels,
        amounts: amounts(read, interval),
        most_memory_used: levels.memory_used,
        hottest_celsius: levels.temperature_celsius,
        energy_is_sampled: read.energy.is_some_and(|e| e.source == gpu::EnergySource::IntegratedPower),
        parts: read.mig.iter().flat_map(|mig| &mig.instances).take(MAX_GPU_ROWS).map(part).collect(),
        ..Gpu::default()
    };
    for reason in read.throttle_reasons.iter().flatten() {
        told.add_throttled(&Throttled { reason: reason.clone(), ns: ns(interval.as_secs_f64()) });
    }
    told
}

fn identity(read: &gpu::Gpu) -> String {
    read.uuid.clone().unwrap_or_else(|| format!("#{}", read.index))
}

fn levels(read: &gpu::Gpu) -> Levels {
    let clock = |mhz: Option<u32>| mhz.map(u64::from);
    let clocks = &read.clocks;
    Levels {
        memory_used: read.memory.map(|memory| memory.used_bytes),
        memory_total: read.memory.map(|memory| memory.total_bytes),
        power_mw: read.power_watts.map(thousandths),
        power_limit_mw: read.power_limit_watts.map(thousandths),
        temperature_celsius: read.temperature_celsius.map(u64::from),
        clocks_mhz: [clocks.graphics_mhz, clocks.sm_mhz, clocks.memory_mhz, clocks.video_mhz].map(clock),
    }
}

fn amounts(read: &gpu::Gpu, interval: Duration) -> Amounts {
    let errors = |count: Option<gpu::Count>| count.and_then(|count| count.added);
    let over = |rate: u64| (rate as f64 * interval.as_secs_f64()) as u64;
    let pcie = read.pcie.filter(|_| read.interval.is_some());
    Amounts {
        energy_mj: read.energy.map(|energy| thousandths(energy.joules)),
        ecc_corrected: errors(read.ecc_corrected),
        ecc_uncorrected: errors(read.ecc_uncorrected),
        pcie_sent: pcie.map(|rates| over(rates.sent_bytes_per_second)),
        pcie_received: pcie.map(|rates| over(rates.received_bytes_per_second)),
        nvlink_sent: read.nvlink.map(|traffic| traffic.sent_bytes),
        nvlink_received: read.nvlink.map(|traffic| traffic.received_bytes),
    }
}

fn part(instance: &gpu::MigInstance) -> GpuPart {
    GpuPart {
        uuid: instance.uuid.clone().unwrap_or_default(),
        memory_used: instance.memory.map(|memory| memory.used_bytes),
        memory_total: instance.memory.map(|memory| memory.total_bytes),
    }
}

fn info(read: &gpu::Gpu, told: &Gpu) -> GpuInfo {
    GpuInfo {
        uuid: told.uuid.clone(),
        index: told.index,
        name: told.name.clone(),
        memory_total: told.levels.memory_total,
        down: told.down.clone(),
        unsupported: read.unsupported().map(gpu::Feature::name).collect(),
    }
}

/// Errors at the GPUs that had them.
fn add_xids(told: &mut Vec<Gpu>, xids: &[Xid]) {
    for (i, xid) in xids.iter().enumerate() {
        let uuid = xid.uuid.as_deref().unwrap_or(UNKNOWN_GPU);
        if i < LOGGED {
            let (number, meaning) = (xid.number.unwrap_or(0), xid.meaning().unwrap_or("see NVIDIA's list"));
            tracing::warn!(gpu = uuid, xid = number, meaning, "a GPU reported an error");
        }
        let count = XidCount { number: xid.number.unwrap_or(0), count: 1 };
        match told.iter_mut().find(|gpu| gpu.uuid == uuid) {
            Some(gpu) => gpu.add_xid(count),
            None => {
                let index = xid.gpu.unwrap_or(u32::MAX);
                told.push(Gpu { uuid: uuid.to_owned(), index, xids: vec![count], ..Gpu::default() });
            }
        }
    }
}

fn say_change(before: Option<&GpuInfo>, now: &GpuInfo) {
    let (gpu, name) = (&now.uuid, &now.name);
    match (before.map(|before| &before.down), &now.down) {
        (None, None) => tracing::info!(gpu, name, unsupported = ?now.unsupported, "a GPU is read"),
        (Some(Some(_)), None) => tracing::info!(gpu, name, "the GPU can be read again"),
        (Some(before), Some(reason)) if before.as_ref() == Some(reason) => {}
        (_, Some(reason)) => tracing::warn!(gpu, name, reason, "the GPU cannot be read"),
        (Some(None), None) => {}
    }
}

/// Why nothing is told. Without what changes from one time to the next, so that it is the same as long as it is so.
pub(super) fn why(availability: &Availability) -> String {
    match availability {
        Availability::Running { .. } => String::new(),
        Availability::Unavailable { reason, .. } => reason.to_string(),
        Availability::Stuck { feature, gpu, .. } => {
            let call = feature.map_or("its start", gpu::Feature::function);
            let which = gpu.map_or_else(String::new, |index| format!(" of GPU {index}"));
            format!("NVML does not answer: {call}{which}")
        }
    }
}

fn ns(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

fn thousandths(amount: f64) -> u64 {
    (amount * 1e3).round() as u64
}
