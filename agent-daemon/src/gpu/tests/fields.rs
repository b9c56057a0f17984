//! Every field, from what the library says to what a reading says.

use std::{path::Path, time::Duration};

use super::standin::{Kind, PATIENCE, StandIn, is_running, read_until};
use crate::gpu::{
    Availability, Clocks, Count, EnergySource, Feature, Gpu, Memory, MigInstance, ProcessUtilisation, Rates,
    Reason, Traffic, Utilisation, UtilisationBasis, pids::Pids, shares,
};

/// The pid that this process knows one of the host by.
fn own_pid(host_pid: u32) -> Option<u32> {
    Pids::find(Path::new("/proc"), None).own(host_pid)
}

#[test]
fn every_field_is_read() {
    let mut host = StandIn::with_gpus(1);
    let mut gpus = host.start();
    let first = gpus.read(PATIENCE);
    let versions = (Some("570.00.01".to_owned()), Some("12.570.00.01".to_owned()));
    assert_eq!(first.availability, Availability::Running { driver: versions.0, library: versions.1 });
    let gpu = &first.gpus[0];
    assert_eq!((&gpu.missing, &gpu.down), (&Vec::new(), &None));
    assert_eq!((gpu.interval, gpu.energy, gpu.nvlink), (None, None, None), "sums need two readings");
    check_levels(gpu);

    host.set(&[
        ("gpu.0.energy", "1002500"),
        ("gpu.0.ecc.0.0", "15"),
        ("gpu.0.field.138.4294967295", "1010"),
        ("gpu.0.field.139.4294967295", "2000"),
        ("gpu.0.process_samples", "4001:200:70:20:3:4 4001:300:50:40:1:0 4003:200:5:1:0:0"),
    ]);
    let second = gpus.read(PATIENCE);
    let gpu = &second.gpus[0];
    check_levels(gpu);
    assert!(gpu.interval.unwrap() > Duration::ZERO);
    let energy = gpu.energy.unwrap();
    assert_eq!((energy.joules, energy.source), (2.5, EnergySource::Counter));
    assert_eq!(gpu.ecc_corrected, Some(Count { total: 15, added: Some(3) }));
    assert_eq!(gpu.ecc_uncorrected, Some(Count { total: 1, added: Some(0) }));
    assert_eq!(gpu.nvlink, Some(Traffic { sent_bytes: 10 * 1024, received_bytes: 0 }));
    check_processes(gpu);
}

fn check_levels(gpu: &Gpu) {
    assert_eq!((gpu.index, gpu.uuid.as_deref()), (0, Some("GPU-0")));
    assert_eq!(gpu.name.as_deref(), Some("Stand-in H100"));
    let basis = UtilisationBasis::LastPeriod;
    let utilisation = Utilisation { gpu_percent: 75.0, memory_percent: Some(30.0), basis };
    assert_eq!(gpu.utilisation, Some(utilisation));
    assert_eq!(gpu.memory, Some(Memory { used_bytes: 4 << 30, total_bytes: 80 << 30 }));
    assert_eq!((gpu.power_watts, gpu.power_limit_watts), (Some(350.5), Some(700.0)));
    assert_eq!(gpu.temperature_celsius, Some(61));
    let clocks = Clocks {
        graphics_mhz: Some(1980),
        sm_mhz: Some(1975),
        memory_mhz: Some(2619),
        video_mhz: Some(1545),
    };
    assert_eq!(gpu.clocks, clocks);
    assert_eq!(gpu.throttle_reasons.as_deref().unwrap(), ["sw_power_cap", "hw_thermal_slowdown"]);
    let rates = Rates { sent_bytes_per_second: 1_500_000, received_bytes_per_second: 2_500_000 };
    assert_eq!(gpu.pcie, Some(rates));
    assert_eq!((gpu.encoder_percent, gpu.decoder_percent), (Some(7), Some(8)));
    assert!(!gpu.mig.as_ref().unwrap().is_enabled);
}

fn check_processes(gpu: &Gpu) {
    let [compute, graphics, ended] = gpu.processes.as_deref().unwrap() else { panic!("{:?}", gpu.processes) };
    assert_eq!((compute.host_pid, compute.pid), (4001, own_pid(4001)));
    assert_eq!((compute.is_compute, compute.is_graphics), (true, false));
    assert_eq!((compute.memory_bytes, compute.instance), (Some(1 << 30), None));
    let used = ProcessUtilisation {
        sm_percent: 60.0,
        memory_percent: 30.0,
        encoder_percent: 2.0,
        decoder_percent: 2.0,
    };
    assert_eq!(compute.utilisation, Some(used));
    assert_eq!((graphics.host_pid, graphics.is_compute, graphics.is_graphics), (4002, false, true));
    assert_eq!(graphics.utilisation, Some(ProcessUtilisation::default()), "it used nothing");
    assert_eq!((ended.host_pid, ended.is_compute, ended.is_graphics), (4003, false, false));
    assert_eq!(ended.utilisation.unwrap().sm_percent, 5.0, "it ended within the interval");
    let shares = shares(gpu).unwrap();
    let sum: f64 = shares.processes.iter().map(|share| share.used.gpu_seconds).sum();
    assert!(sum <= shares.total.gpu_seconds && shares.processes.len() == 2, "{shares:?}");
}

#[test]
fn each_gpu_is_itself() {
    let mut host = StandIn::with_gpus(8);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    let lines: Vec<_> =
        (0..8).map(|i| (format!("gpu.{i}.energy"), (1_000_000 + i * 1000).to_string())).collect();
    host.set(&lines.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect::<Vec<_>>());
    let reading = gpus.read(PATIENCE);
    assert_eq!(reading.gpus.len(), 8);
    for (index, gpu) in reading.gpus.iter().enumerate() {
        assert_eq!((gpu.index, gpu.uuid.clone()), (index as u32, Some(format!("GPU-{index}"))));
        assert_eq!(gpu.energy.unwrap().joules, index as f64);
    }
}

#[test]
fn utilisation_is_the_mean_of_the_drivers_samples() {
    let mut host = StandIn::with_gpus(1);
    host.set(&[("gpu.0.samples.1", "100:90")]);
    let mut gpus = host.start();
    let first = gpus.read(PATIENCE).gpus[0].utilisation.unwrap();
    assert_eq!(
        first.basis,
        UtilisationBasis::LastPeriod,
        "samples of before the first reading are of no interval"
    );
    host.set(&[("gpu.0.samples.1", "100:90 200:10 300:20 400:4000000"), ("gpu.0.samples.2", "200:4")]);
    let basis = UtilisationBasis::Samples(2);
    let expected = Utilisation { gpu_percent: 15.0, memory_percent: Some(4.0), basis };
    assert_eq!(gpus.read(PATIENCE).gpus[0].utilisation, Some(expected), "old and unsound ones are left out");
    assert_eq!(gpus.read(PATIENCE).gpus[0].utilisation.unwrap().basis, UtilisationBasis::LastPeriod);
}

#[test]
fn energy_is_integrated_where_there_is_no_counter() {
    let mut host = StandIn::with_gpus(1);
    host.remove(&["gpu.*.energy"]);
    let mut gpus = host.start();
    assert_eq!(gpus.read(PATIENCE).gpus[0].energy, None);
    // Between readings it draws less, which readings alone do not see.
    host.set(&[("gpu.0.power", "100000")]);
    std::thread::sleep(Duration::from_secs(1));
    host.remove(&["gpu.0.power"]);
    let reading = gpus.read(PATIENCE);
    let (gpu, energy) = (&reading.gpus[0], reading.gpus[0].energy.unwrap());
    assert_eq!((energy.source, gpu.power_watts), (EnergySource::IntegratedPower, Some(350.5)));
    let watts = energy.joules / gpu.interval.unwrap().as_secs_f64();
    assert!((100.0..200.0).contains(&watts), "{watts} W");
    assert_eq!(gpu.unsupported().collect::<Vec<_>>(), [Feature::Energy], "and that it has none is said");
}

#[test]
fn energy_of_a_reading_that_failed_is_in_the_next() {
    let mut host = StandIn::with_gpus(1);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    host.set(&[("error.nvmlDeviceGetTotalEnergyConsumption", "999"), ("gpu.0.energy", "1002000")]);
    assert_eq!(gpus.read(PATIENCE).gpus[0].energy, None);
    host.remove(&["error.nvmlDeviceGetTotalEnergyConsumption"]);
    assert_eq!(gpus.read(PATIENCE).gpus[0].energy.map(|energy| energy.joules), Some(2.0));
}

#[test]
fn parts_of_a_divided_gpu_are_told_with_their_processes() {
    let mut host = StandIn::with_gpus(1);
    host.remove(&["gpu.*.utilization.gpu", "gpu.*.samples.1", "gpu.*.process_samples"]);
    host.set(&[
        ("gpu.0.mig", "1"),
        ("gpu.0.compute", ""),
        ("gpu.0.graphics", ""),
        ("gpu.0.mig.0.uuid", "MIG-a"),
        ("gpu.0.mig.0.gi", "3"),
        ("gpu.0.mig.0.ci", "0"),
        ("gpu.0.mig.0.memory.total", "10000000000"),
        ("gpu.0.mig.0.memory.used", "1000"),
        ("gpu.0.mig.0.compute", "5001:4096:4294967295:4294967295"),
        ("gpu.0.mig.2.uuid", "MIG-b"),
        ("gpu.0.mig.2.gi", "5"),
        ("gpu.0.mig.2.ci", "1"),
        ("gpu.0.mig.2.memory.total", "20000000000"),
        ("gpu.0.mig.2.memory.used", "2000"),
        ("gpu.0.mig.2.compute", "5001:8192:5:1 5002:4096:5:1"),
    ]);
    let mut gpus = host.start();
    let reading = gpus.read(PATIENCE);
    let gpu = &reading.gpus[0];
    let mig = gpu.mig.as_ref().unwrap();
    let part = |uuid: &str, gi, ci, used_bytes, total_bytes| MigInstance {
        uuid: Some(uuid.to_owned()),
        gpu_instance: Some(gi),
        compute_instance: Some(ci),
        memory: Some(Memory { used_bytes, total_bytes }),
    };
    let parts = [part("MIG-a", 3, 0, 1000, 10_000_000_000), part("MIG-b", 5, 1, 2000, 20_000_000_000)];
    assert_eq!(
        (mig.is_enabled, mig.instances.as_slice()),
        (true, parts.as_slice()),
        "numbers may have holes"
    );
    let places: Vec<_> =
        gpu.processes.iter().flatten().map(|p| (p.host_pid, p.instance, p.memory_bytes)).collect();
    let (a, b) = (Some((3, 0)), Some((5, 1)));
    assert_eq!(places, [(5001, a, Some(4096)), (5001, b, Some(8192)), (5002, b, Some(4096))]);
    let unsupported: Vec<_> = gpu.unsupported().collect();
    assert_eq!(unsupported, [Feature::UtilisationSamples, Feature::Utilisation, Feature::ProcessUtilisation]);
}

#[test]
fn what_a_gpu_lacks_is_listed() {
    let mut host = StandIn::bare(Kind::Present);
    host.set(&[("count", "1"), ("gpu.0.uuid", "GPU-0")]);
    let mut gpus = host.start();
    let reading = gpus.read(PATIENCE);
    let gpu = &reading.gpus[0];
    assert_eq!(gpu.down, None);
    assert!(
        gpu.processes.is_none() && gpu.utilisation.is_none() && gpu.memory.is_none() && gpu.mig.is_none()
    );
    let always = [Feature::Uuid, Feature::MigInstances];
    let mut expected: Vec<_> =
        Feature::ALL.into_iter().filter(|f| (Feature::Name..Feature::EventTypes).contains(f)).collect();
    expected.retain(|feature| !always.contains(feature));
    let mut unsupported: Vec<_> = gpu.unsupported().collect();
    unsupported.sort();
    assert_eq!(unsupported, expected);
    assert_eq!(reading.xids_missing, [(Some(0), Reason::Unsupported)]);
}

#[test]
fn an_old_driver_says_what_it_has() {
    let mut host = StandIn::bare(Kind::Old);
    host.set(&[("count", "1"), ("gpu.0.uuid", "GPU-0"), ("gpu.0.power", "1000"), ("gpu.0.events", "8")]);
    let mut gpus = host.start();
    let reading = read_until(&mut gpus, "an answer", is_running);
    let gpu = &reading.gpus[0];
    assert_eq!(gpu.power_watts, Some(1.0));
    for feature in
        [Feature::Memory, Feature::NvlinkTraffic, Feature::ComputeProcesses, Feature::GraphicsProcesses]
    {
        let missing = gpu.missing.iter().find(|missing| missing.feature == feature).unwrap();
        assert!(matches!(missing.reason, Reason::NoFunction(_)), "{missing:?}");
    }
    assert!(
        matches!(reading.xids_missing.as_slice(), [(None, Reason::NoFunction(_))]),
        "{:?}",
        reading.xids_missing
    );
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let mut host = StandIn::with_gpus(1);
    host.set(&[("gpu.0.utilization.gpu", "4000000")]);
    let mut gpus = host.start();
    let reading = gpus.read(PATIENCE);
    assert_eq!(reading.gpus[0].utilisation, None);
    let missing = &reading.gpus[0].missing[0];
    assert!(missing.feature == Feature::Utilisation && matches!(missing.reason, Reason::BadAnswer(_)));
}
