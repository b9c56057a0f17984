//! One life of NVML in this process, from its start until it fails or must be started again: NVML lists the GPUs at
//! its start, so one that was added, or one that came back, is seen only after another.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nvml_wrapper::{Device, Nvml};

use super::{
    ask::{Asker, Progress},
    device,
    events::{Events, XidQueue},
    feature::Feature,
    history::{History, Past},
    pids::Pids,
    reading::{Availability, Gpu, GpuReading},
    reason::Reason,
};

/// More GPUs than any host has.
const MOST_GPUS: u32 = 256;

/// What the host had when NVML was started.
pub(super) struct Session<'nvml> {
    nvml: &'nvml Nvml,
    count: u32,
    listing: Option<BTreeSet<OsString>>,
    events: Events<'nvml>,
    driver: Option<String>,
    library: Option<String>,
    metered: Instant,
}

/// What a session works with and leaves behind.
pub(super) struct Surroundings<'a> {
    pub(super) progress: &'a Progress,
    pub(super) xids: &'a XidQueue,
    pub(super) history: &'a mut History,
    pub(super) pids: &'a Pids,
    /// The driver's folder of GPUs.
    pub(super) listing: &'a Path,
    /// How often power is sampled where there is no counter of energy.
    pub(super) meter_period: Duration,
}

impl<'nvml> Session<'nvml> {
    /// Takes stock.
    ///
    /// # Errors
    /// The GPUs cannot be counted.
    pub(super) fn open(nvml: &'nvml Nvml, around: &Surroundings<'_>) -> Result<Self, Reason> {
        let progress = around.progress;
        let count = count(nvml, progress)?;
        let version = |feature, ask: &dyn Fn() -> Option<String>| progress.call(feature, None, ask);
        Ok(Self {
            nvml,
            count,
            listing: names(around.listing),
            events: Events::open(nvml, count, progress),
            driver: version(Feature::DriverVersion, &|| nvml.sys_driver_version().ok()),
            library: version(Feature::LibraryVersion, &|| nvml.sys_nvml_version().ok()),
            metered: Instant::now(),
        })
    }

    /// Whether GPUs were added or taken away since.
    ///
    /// # Errors
    /// They cannot be counted: NVML must be started again.
    pub(super) fn has_changed(&self, around: &Surroundings<'_>) -> Result<bool, Reason> {
        Ok(count(self.nvml, around.progress)? != self.count || names(around.listing) != self.listing)
    }

    /// Reads every GPU.
    ///
    /// # Errors
    /// NVML must be started again.
    pub(super) fn read(&mut self, around: &mut Surroundings<'_>) -> Result<GpuReading, Reason> {
        self.drain(around);
        let xids_missing = self.events.missing().to_vec();
        if self.events.is_broken() {
            // Told in this reading, and better in the next, perhaps.
            self.events = Events::open(self.nvml, self.count, around.progress);
        }
        let mut gpus = Vec::new();
        for index in 0..self.count {
            let gpu = read_gpu(self.nvml, index, around);
            if let Some(reason) = gpu.down.as_ref().filter(|reason| reason.is_library_down()) {
                return Err(reason.clone());
            }
            gpus.push(gpu);
        }
        add_unlisted(&mut gpus, around.history);
        let availability =
            Availability::Running { driver: self.driver.clone(), library: self.library.clone() };
        Ok(GpuReading { gpus, xids_missing, ..GpuReading::empty(availability) })
    }

    /// Takes what errors are waiting: a GPU that falls off tells why just before, and nobody does once events are asked for
    /// anew.
    pub(super) fn drain(&mut self, around: &mut Surroundings<'_>) {
        if !self.events.is_broken() {
            self.events.wait(Duration::ZERO, around.progress, around.xids);
        }
    }

    /// Spends time between readings: waits for XID errors, and samples power where there is no counter of energy.
    /// Returns whether it waited.
    pub(super) fn idle(&mut self, patience: Duration, around: &mut Surroundings<'_>) -> bool {
        if self.metered.elapsed() >= around.meter_period {
            self.metered = Instant::now();
            for (uuid, past) in around.history.metered() {
                sample_power(self.nvml, uuid, past, around.progress);
            }
        }
        self.events.wait(patience, around.progress, around.xids)
    }
}

fn count(nvml: &Nvml, progress: &Progress) -> Result<u32, Reason> {
    Ok(progress.call(Feature::Count, None, || nvml.device_count())?.min(MOST_GPUS))
}

/// The names in a folder; `None` if it cannot be read.
fn names(folder: &Path) -> Option<BTreeSet<OsString>> {
    let entries = fs::read_dir(folder).ok()?.take(MOST_GPUS as usize);
    Some(entries.flatten().map(|entry| entry.file_name()).collect())
}

fn read_gpu(nvml: &Nvml, index: u32, around: &mut Surroundings<'_>) -> Gpu {
    let mut asker = Asker::new(around.progress, index);
    let mut gpu = Gpu { index, ..Gpu::default() };
    match asker.attempt(Feature::Handle, || nvml.device_by_index(index)) {
        Some(Ok(device)) => read_known(&device, &mut asker, &mut gpu, around),
        Some(Err(reason)) => gpu.down = Some(reason),
        None => {}
    }
    let (missing, down) = asker.finish();
    gpu.missing = missing;
    gpu.down = gpu.down.or(down);
    if gpu.down.is_some() {
        return remembered(gpu, around.history);
    }
    gpu
}

fn read_known(device: &Device<'_>, asker: &mut Asker<'_>, gpu: &mut Gpu, around: &mut Surroundings<'_>) {
    gpu.uuid = asker.ask(Feature::Uuid, || device.uuid());
    gpu.name = asker.ask(Feature::Name, || device.name());
    if asker.down().is_some() {
        return;
    }
    let past = around.history.of(&key(gpu));
    past.index = gpu.index;
    past.name.clone_from(&gpu.name);
    device::read(device, asker, past, around.pids, gpu);
}

/// What a GPU is remembered by.
fn key(gpu: &Gpu) -> String {
    gpu.uuid.clone().unwrap_or_else(|| format!("#{}", gpu.index))
}

/// A GPU that is out of reach: who it was, and no figures, since what was read of them is not whole.
fn remembered(gpu: Gpu, history: &History) -> Gpu {
    let known = history.at_index(gpu.index);
    Gpu {
        index: gpu.index,
        uuid: gpu.uuid.or_else(|| known.map(|(uuid, _)| uuid.to_owned())),
        name: gpu.name.or_else(|| known.and_then(|(_, past)| past.name.clone())),
        down: gpu.down,
        missing: gpu.missing,
        ..Gpu::default()
    }
}

/// Adds those that were read before and are not listed any more. Indices may have moved since: a GPU that was taken
/// for another one by its index is told apart here.
fn add_unlisted(gpus: &mut Vec<Gpu>, history: &History) {
    let present: BTreeSet<String> =
        gpus.iter().filter(|gpu| gpu.down.is_none()).filter_map(|gpu| gpu.uuid.clone()).collect();
    for gpu in gpus.iter_mut().filter(|gpu| gpu.down.is_some()) {
        if gpu.uuid.as_ref().is_some_and(|uuid| present.contains(uuid)) {
            (gpu.uuid, gpu.name) = (None, None);
        }
    }
    for (uuid, past) in history.all() {
        let is_here = |gpu: &Gpu| match &gpu.uuid {
            Some(known) => known == uuid,
            None => gpu.index == past.index,
        };
        if past.read.is_some() && !uuid.starts_with('#') && !gpus.iter().any(is_here) {
            let (uuid, name) = (Some(uuid.to_owned()), past.name.clone());
            gpus.push(Gpu { index: past.index, uuid, name, down: Some(Reason::NotListed), ..Gpu::default() });
        }
    }
}

fn sample_power(nvml: &Nvml, uuid: &str, past: &mut Past, progress: &Progress) {
    let mut asker = Asker::new(progress, past.index);
    let device = asker.ask(Feature::Handle, || nvml.device_by_index(past.index));
    // Another GPU may have the index by now.
    let device = device.filter(|device| asker.ask(Feature::Uuid, || device.uuid()).as_deref() == Some(uuid));
    match device.and_then(|device| device::power(&device, &mut asker)) {
        Some(watts) => past.meter.power(Instant::now(), watts),
        None => past.meter.gap(),
    }
}
