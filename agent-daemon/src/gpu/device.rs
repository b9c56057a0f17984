//! Reads one GPU, field by field: what fails is noted and the rest goes on, unless the GPU is out of reach.

use std::time::Instant;

use nvml_wrapper::{
    Device,
    enum_wrappers::device::{Clock, EccCounter, MemoryError, PcieUtilCounter, Sampling, TemperatureSensor},
};

use super::{
    ask::Asker,
    feature::Feature,
    history::Past,
    mig, nvlink,
    pids::Pids,
    processes,
    reading::{Clocks, Energy, Gpu, Memory, Rates, Utilisation, UtilisationBasis},
    reason::Reason,
    samples, throttle,
};

/// What NVML's KB of PCIe traffic is taken for. Its documentation does not say whether it is 1000 or 1024 bytes.
const KILOBYTE: u64 = 1000;

/// Hotter than any GPU gets.
const MAX_CELSIUS: u32 = 200;

/// Fills in what a GPU says of itself. Sums and means are of the time since `past`, which is brought up to date.
pub(super) fn read(device: &Device<'_>, asker: &mut Asker<'_>, past: &mut Past, pids: &Pids, gpu: &mut Gpu) {
    let now = Instant::now();
    gpu.interval = past.interval(now);
    gpu.utilisation = utilisation(device, asker, past);
    gpu.memory = asker.ask(Feature::Memory, || device.memory_info()).map(Memory::from);
    gpu.energy = energy(device, asker, past, gpu, now);
    gpu.power_limit_watts = asker.ask(Feature::PowerLimit, || device.enforced_power_limit()).map(watts);
    let temperature = asker.ask(Feature::Temperature, || device.temperature(TemperatureSensor::Gpu));
    gpu.temperature_celsius = within(asker, Feature::Temperature, temperature, MAX_CELSIUS);
    gpu.clocks = clocks(device, asker);
    gpu.throttle_reasons =
        asker.ask(Feature::ThrottleReasons, || device.current_throttle_reasons()).map(throttle::names);
    gpu.ecc_corrected = ecc(device, asker, MemoryError::Corrected).map(|total| past.corrected(total));
    gpu.ecc_uncorrected = ecc(device, asker, MemoryError::Uncorrected).map(|total| past.uncorrected(total));
    gpu.pcie = pcie(device, asker);
    let nvlink = asker.ask(Feature::NvlinkTraffic, || nvlink::totals(device));
    gpu.nvlink = nvlink.and_then(|total| past.nvlink(total));
    let encoder = asker.ask(Feature::Encoder, || device.encoder_utilization()).map(|used| used.utilization);
    gpu.encoder_percent = within(asker, Feature::Encoder, encoder, 100);
    let decoder = asker.ask(Feature::Decoder, || device.decoder_utilization()).map(|used| used.utilization);
    gpu.decoder_percent = within(asker, Feature::Decoder, decoder, 100);
    let (mig, parts) = mig::read(device, asker);
    gpu.mig = mig;
    gpu.processes = processes::read(device, &parts, asker, &mut past.process_samples_until, pids);
    if gpu.interval.is_none() {
        // There is no interval yet that they could be of.
        gpu.processes.iter_mut().flatten().for_each(|process| process.utilisation = None);
    }
    if asker.down().is_none() {
        past.read = Some(now);
    }
}

/// What the driver says, if it can be: drivers have answered numbers that cannot.
fn within(asker: &mut Asker<'_>, feature: Feature, told: Option<u32>, most: u32) -> Option<u32> {
    let told = told?;
    if told > most {
        asker.miss(feature, Reason::BadAnswer(format!("{told}, where {most} is the most")));
        return None;
    }
    Some(told)
}

/// The mean since the reading before; else what the driver says of its last period.
fn utilisation(device: &Device<'_>, asker: &mut Asker<'_>, past: &mut Past) -> Option<Utilisation> {
    let sampled = sampled(device, asker, past);
    if past.read.is_some() && sampled.is_some() {
        return sampled;
    }
    let rates = asker.ask(Feature::Utilisation, || device.utilization_rates())?;
    if rates.gpu > 100 || rates.memory > 100 {
        let reason = format!("{} % and {} % of memory", rates.gpu, rates.memory);
        asker.miss(Feature::Utilisation, Reason::BadAnswer(reason));
        return None;
    }
    let memory_percent = Some(f64::from(rates.memory));
    Some(Utilisation {
        gpu_percent: f64::from(rates.gpu),
        memory_percent,
        basis: UtilisationBasis::LastPeriod,
    })
}

fn sampled(device: &Device<'_>, asker: &mut Asker<'_>, past: &mut Past) -> Option<Utilisation> {
    let (gpu, memory) = asker.ask(Feature::UtilisationSamples, || {
        let gpu = samples::mean_since(device, Sampling::GpuUtilization, &mut past.samples_until)?;
        let memory = samples::mean_since(device, Sampling::MemoryUtilization, &mut past.memory_samples_until);
        // The second may be missing where the first is not.
        Ok((gpu, memory.ok().flatten()))
    })?;
    let (gpu_percent, count) = gpu?;
    let memory_percent = memory.map(|(percent, _)| percent);
    Some(Utilisation { gpu_percent, memory_percent, basis: UtilisationBasis::Samples(count) })
}

/// Reads power and energy. After a reading that failed, energy is that since the last one which did not.
fn energy(
    device: &Device<'_>,
    asker: &mut Asker<'_>,
    past: &mut Past,
    gpu: &mut Gpu,
    now: Instant,
) -> Option<Energy> {
    let counted = match asker.attempt(Feature::Energy, || device.total_energy_consumption()) {
        Some(Ok(total_mj)) => {
            let added =
                past.meter.counter(now, total_mj).map_err(|reason| asker.miss(Feature::Energy, reason));
            added.ok().flatten()
        }
        Some(Err(reason)) => {
            if reason.is_unsupported() {
                past.meter.no_counter();
            }
            asker.miss(Feature::Energy, reason);
            None
        }
        None => None,
    };
    gpu.power_watts = power(device, asker);
    match gpu.power_watts {
        Some(watts) if past.meter.wants_power() => past.meter.power(now, watts),
        Some(_) => {}
        None => past.meter.gap(),
    }
    counted.or_else(|| past.meter.integrated())
}

/// Power draw in watts.
pub(super) fn power(device: &Device<'_>, asker: &mut Asker<'_>) -> Option<f64> {
    asker.ask(Feature::Power, || device.power_usage()).map(watts)
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}

fn clocks(device: &Device<'_>, asker: &mut Asker<'_>) -> Clocks {
    let mut clock = |which| asker.ask(Feature::Clocks, || device.clock_info(which));
    Clocks {
        graphics_mhz: clock(Clock::Graphics),
        sm_mhz: clock(Clock::SM),
        memory_mhz: clock(Clock::Memory),
        video_mhz: clock(Clock::Video),
    }
}

fn ecc(device: &Device<'_>, asker: &mut Asker<'_>, kind: MemoryError) -> Option<u64> {
    asker.ask(Feature::EccErrors, || device.total_ecc_errors(kind, EccCounter::Volatile))
}

fn pcie(device: &Device<'_>, asker: &mut Asker<'_>) -> Option<Rates> {
    let mut rate = |which| {
        let kilobytes = asker.ask(Feature::PcieTraffic, || device.pcie_throughput(which))?;
        Some(u64::from(kilobytes) * KILOBYTE)
    };
    let sent_bytes_per_second = rate(PcieUtilCounter::Send)?;
    Some(Rates { sent_bytes_per_second, received_bytes_per_second: rate(PcieUtilCounter::Receive)? })
}
