//! Every error code of NVML, in every function that is called; and libraries that are none.

use std::fs;

use super::standin::{Kind, PATIENCE, StandIn, is_running, read_until};
use crate::gpu::{Availability, Feature, Gpu, GpuReading, Gpus, Reason};

/// `nvmlReturn_t` up to what is newer than any driver.
fn codes() -> impl Iterator<Item = u32> {
    (1..=35).chain([999])
}

fn reason_of(code: u32) -> Reason {
    Reason::from(nvml_wrapper::error::NvmlError::from(code))
}

/// What is asked of each GPU in each reading.
fn of_a_gpu() -> impl Iterator<Item = Feature> {
    let range = Feature::Handle..Feature::EventTypes;
    Feature::ALL
        .into_iter()
        .filter(move |feature| range.contains(feature) && *feature != Feature::MigInstances)
}

fn unavailable(reading: &GpuReading) -> Option<&Reason> {
    match &reading.availability {
        Availability::Unavailable { reason, .. } => Some(reason),
        Availability::Running { .. } | Availability::Stuck { .. } => None,
    }
}

fn check_sound(gpu: &Gpu, index: u32) {
    assert_eq!((gpu.index, &gpu.down, gpu.missing.as_slice()), (index, &None, [].as_slice()));
    assert_eq!((gpu.temperature_celsius, gpu.power_watts), (Some(61), Some(350.5)));
}

#[test]
fn every_error_of_every_function_of_a_gpu_is_said_and_costs_nothing_else() {
    let mut host = StandIn::with_gpus(2);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    for feature in of_a_gpu() {
        for code in codes() {
            let key = format!("error.{}.0", feature.function());
            host.set(&[(&key, &code.to_string())]);
            let reading = gpus.read(PATIENCE);
            check(&reading, feature, code);
            host.remove(&[&key]);
            let healed = read_until(&mut gpus, "the GPU is well again", is_running);
            check_sound(&healed.gpus[0], 0);
            check_sound(&healed.gpus[1], 1);
        }
    }
}

fn check(reading: &GpuReading, feature: Feature, code: u32) {
    let (context, reason) = (format!("{feature:?}, {code}: {reading:?}"), reason_of(code));
    if reason.is_library_down() {
        assert_eq!(unavailable(reading), Some(&reason), "{context}");
        return;
    }
    assert_eq!(reading.gpus.len(), 2, "{context}");
    check_sound(&reading.gpus[1], 1);
    let gpu = &reading.gpus[0];
    if reason.is_gpu_down() || feature == Feature::Handle {
        assert_eq!(gpu.down, Some(reason), "{context}");
        assert_eq!(
            (gpu.uuid.as_deref(), gpu.power_watts),
            (Some("GPU-0"), None),
            "who, and no figures: {context}"
        );
        return;
    }
    assert_eq!(gpu.down, None, "{context}");
    let is_no_sample =
        code == 6 && [Feature::UtilisationSamples, Feature::ProcessUtilisation].contains(&feature);
    // How the library tells the number of entries.
    let lists = [
        Feature::UtilisationSamples,
        Feature::ProcessUtilisation,
        Feature::ComputeProcesses,
        Feature::GraphicsProcesses,
    ];
    let is_count = code == 7 && lists.contains(&feature);
    if is_no_sample || is_count {
        assert!(gpu.missing.is_empty(), "{context}");
        return;
    }
    let [missing] = gpu.missing.as_slice() else { panic!("one thing is missing: {context}") };
    assert_eq!((missing.feature, &missing.reason), (feature, &reason), "{context}");
    assert_eq!(gpu.power_watts.is_none(), feature == Feature::Power, "{context}");
    assert_eq!(gpu.temperature_celsius.is_none(), feature == Feature::Temperature, "{context}");
}

#[test]
fn every_error_of_the_start_and_of_the_count_is_said_and_tried_again() {
    let mut host = StandIn::with_gpus(1);
    for function in ["nvmlInit_v2", "nvmlDeviceGetCount_v2"] {
        for code in codes() {
            host.set(&[(&format!("error.{function}"), &code.to_string())]);
            let mut gpus = host.start();
            let reading = gpus.read(PATIENCE);
            assert_eq!(unavailable(&reading), Some(&reason_of(code)), "{function}: {reading:?}");
            host.remove(&[&format!("error.{function}")]);
            let healed = read_until(&mut gpus, "NVML is started again", is_running);
            check_sound(&healed.gpus[0], 0);
            assert!(gpus.stop(PATIENCE));
        }
    }
}

#[test]
fn errors_of_versions_and_of_the_end_cost_nothing() {
    let mut host = StandIn::with_gpus(1);
    let functions = ["nvmlSystemGetDriverVersion", "nvmlSystemGetNVMLVersion", "nvmlShutdown"];
    for code in codes() {
        let keys = functions.map(|function| format!("error.{function}"));
        for key in &keys {
            host.set(&[(key, &code.to_string())]);
        }
        let mut gpus = host.start();
        let reading = gpus.read(PATIENCE);
        assert_eq!(reading.availability, Availability::Running { driver: None, library: None });
        check_sound(&reading.gpus[0], 0);
        assert!(gpus.stop(PATIENCE));
    }
}

#[test]
fn every_error_of_the_parts_of_a_divided_gpu_is_said() {
    let mut host = StandIn::with_gpus(1);
    host.set(&[
        ("gpu.0.mig", "1"),
        ("gpu.0.mig.0.uuid", "MIG-a"),
        ("gpu.0.mig.0.gi", "3"),
        ("gpu.0.mig.0.ci", "0"),
        ("gpu.0.mig.0.memory.total", "10000000000"),
        ("gpu.0.mig.0.memory.used", "1000"),
        ("gpu.0.mig.0.compute", ""),
    ]);
    let mut gpus = host.start();
    let functions = [
        "nvmlDeviceGetMaxMigDeviceCount",
        "nvmlDeviceGetMigDeviceHandleByIndex",
        "nvmlDeviceGetGpuInstanceId",
        "nvmlDeviceGetComputeInstanceId",
    ];
    for function in functions {
        for code in codes() {
            let key = format!("error.{function}");
            host.set(&[(&key, &code.to_string())]);
            let (reading, reason) = (gpus.read(PATIENCE), reason_of(code));
            let is_hole = code == 6 && function == "nvmlDeviceGetMigDeviceHandleByIndex";
            if reason.is_library_down() {
                assert_eq!(unavailable(&reading), Some(&reason), "{function}");
            } else if reason.is_gpu_down() {
                assert_eq!(reading.gpus[0].down, Some(reason), "{function}");
            } else if !is_hole {
                let missing = reading.gpus[0].missing.iter().map(|m| (m.feature, m.reason.clone()));
                assert_eq!(missing.collect::<Vec<_>>(), [(Feature::MigInstances, reason)], "{function}");
            }
            host.remove(&[&key]);
            read_until(&mut gpus, "the GPU is well again", |reading| {
                is_running(reading) && reading.gpus[0].missing.is_empty() && reading.gpus[0].down.is_none()
            });
        }
    }
}

#[test]
fn every_error_of_events_costs_the_events_only() {
    let mut host = StandIn::with_gpus(2);
    host.set(&[("gpu.*.events", "8")]);
    let of_all = ["nvmlEventSetCreate", "nvmlEventSetWait_v2"];
    let of_one = ["nvmlDeviceGetSupportedEventTypes", "nvmlDeviceRegisterEvents"];
    for function in of_all.into_iter().chain(of_one) {
        for code in codes() {
            let (gpu, suffix) = if of_all.contains(&function) { (None, "") } else { (Some(0), ".0") };
            let is_timeout = code == 10 && function == "nvmlEventSetWait_v2";
            let key = format!("error.{function}{suffix}");
            host.set(&[(&key, &code.to_string())]);
            let mut gpus = host.start();
            let told = |reading: &GpuReading| reading.xids_missing.contains(&(gpu, reason_of(code)));
            let reading = read_until(&mut gpus, function, |reading| is_timeout || told(reading));
            check_sound(&reading.gpus[0], 0);
            check_sound(&reading.gpus[1], 1);
            host.remove(&[&key]);
            assert!(gpus.stop(PATIENCE));
        }
    }
    let log = host.log();
    let count = |word: &str| log.iter().filter(|line| *line == word).count();
    assert_eq!((count("init"), count("set")), (count("shutdown"), count("free")), "all is freed");
}

fn reason_without_library(gpus: &mut Gpus) -> Reason {
    unavailable(&gpus.read(PATIENCE)).unwrap().clone()
}

#[test]
fn a_library_that_is_none_is_said_and_looked_for_again() {
    let host = StandIn::with_gpus(1);
    let library = host.path("libnvidia-ml.so.1");
    let good = fs::read(&library).unwrap();
    fs::remove_file(&library).unwrap();
    let mut gpus = host.start();
    assert!(
        matches!(reason_without_library(&mut gpus), Reason::NoLibrary(text) if text.contains("No such file"))
    );
    fs::write(&library, "not a library").unwrap();
    read_until(
        &mut gpus,
        "a file that is no library",
        |reading| matches!(unavailable(reading), Some(Reason::NoLibrary(text)) if !text.contains("No such file")),
    );
    fs::remove_file(&library).unwrap();
    fs::write(&library, good).unwrap();
    let reading = read_until(&mut gpus, "the driver was installed", is_running);
    check_sound(&reading.gpus[0], 0);
}

#[test]
fn a_library_that_cannot_be_stopped_is_not_used() {
    let host = StandIn::bare(Kind::Bare);
    let mut gpus = host.start();
    assert!(
        matches!(reason_without_library(&mut gpus), Reason::NoFunction(text) if text.contains("nvmlShutdown"))
    );
    assert!(gpus.stop(PATIENCE), "and the thread has not panicked over it");
}
