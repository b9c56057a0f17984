//! GPUs that fall off, come back, come and go; drivers that are reloaded; XID errors.

use std::{fs, time::Duration};

use super::standin::{PATIENCE, StandIn, is_running, read_until};
use crate::gpu::{Count, GpuReading, Reason, Xid};

/// What is told of each GPU: who, and why it cannot be read.
fn roll(reading: &GpuReading) -> Vec<(&str, Option<&Reason>)> {
    reading.gpus.iter().map(|gpu| (gpu.uuid.as_deref().unwrap_or("?"), gpu.down.as_ref())).collect()
}

#[test]
fn a_gpu_that_falls_off_is_told_and_found_again() {
    let mut host = StandIn::with_gpus(2);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    host.set(&[("gpu.1.lost", "1"), ("gpu.0.energy", "1001000")]);
    let reading = gpus.read(PATIENCE);
    assert_eq!(roll(&reading), [("GPU-0", None), ("GPU-1", Some(&Reason::GpuLost))]);
    assert_eq!(reading.gpus[1].name.as_deref(), Some("Stand-in H100"));
    assert_eq!(reading.gpus[0].energy.unwrap().joules, 1.0, "the other one goes on");
    assert_eq!(reading.gpus[0].down, None);

    // NVML is started again for its sake; the other one's sums go on across that.
    let started = || host.log().iter().filter(|line| *line == "init").count();
    let before = started();
    let again = read_until(&mut gpus, "NVML started again", |_| started() > before + 1);
    assert_eq!(roll(&again), [("GPU-0", None), ("GPU-1", Some(&Reason::GpuLost))]);
    host.set(&[("gpu.0.energy", "1004000"), ("gpu.1.energy", "1010000")]);
    host.remove(&["gpu.1.lost"]);
    let healed = gpus.read(PATIENCE);
    assert_eq!(roll(&healed), [("GPU-0", None), ("GPU-1", None)]);
    assert_eq!(healed.gpus[0].energy.unwrap().joules, 3.0);
    assert_eq!(healed.gpus[1].energy.unwrap().joules, 10.0, "what it drew meanwhile");
    assert!(healed.gpus[1].interval > healed.gpus[0].interval, "since the reading that it was in");
}

#[test]
fn a_gpu_that_cannot_be_opened_is_told_with_the_reason() {
    let mut host = StandIn::with_gpus(2);
    host.set(&[("error.nvmlDeviceGetHandleByIndex_v2.0", "4")]);
    let reading = host.start().read(PATIENCE);
    assert_eq!(roll(&reading), [("?", Some(&Reason::NoPermission)), ("GPU-1", None)]);
}

#[test]
fn gpus_that_come_and_go_are_seen() {
    let mut host = StandIn::with_gpus(1);
    let mut gpus = host.start();
    assert_eq!(roll(&gpus.read(PATIENCE)), [("GPU-0", None)]);
    host.set(&[("count", "3"), ("gpu.1.uuid", "GPU-1"), ("gpu.2.uuid", "GPU-2")]);
    let added = gpus.read(PATIENCE);
    assert_eq!(roll(&added), [("GPU-0", None), ("GPU-1", None), ("GPU-2", None)]);
    assert!(added.gpus[0].interval.is_some() && added.gpus[1].interval.is_none());

    // The first goes; the others move up.
    host.set(&[("count", "2"), ("gpu.0.uuid", "GPU-1"), ("gpu.1.uuid", "GPU-2")]);
    let gone = gpus.read(PATIENCE);
    assert_eq!(roll(&gone), [("GPU-1", None), ("GPU-2", None), ("GPU-0", Some(&Reason::NotListed))]);
    assert!(gone.gpus[0].interval.is_some(), "it is the same GPU under another index");
}

#[test]
fn a_gpu_is_not_taken_for_another_one_that_had_its_index() {
    let mut host = StandIn::with_gpus(2);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    // The driver lists them the other way round, and the first one is lost.
    host.set(&[("gpu.0.uuid", "GPU-1"), ("gpu.1.uuid", "GPU-0"), ("gpu.0.lost", "1")]);
    let reading = gpus.read(PATIENCE);
    let expected = [("?", Some(&Reason::GpuLost)), ("GPU-0", None), ("GPU-1", Some(&Reason::NotListed))];
    assert_eq!(roll(&reading), expected);
}

#[test]
fn energy_is_not_metered_of_another_gpu_that_took_the_index() {
    let mut host = StandIn::with_gpus(2);
    host.remove(&["gpu.*.energy"]);
    host.set(&[("gpu.0.power", "100000"), ("gpu.1.power", "900000")]);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    host.set(&[("gpu.0.uuid", "GPU-1"), ("gpu.1.uuid", "GPU-0")]);
    host.set(&[("gpu.0.power", "900000"), ("gpu.1.power", "100000")]);
    std::thread::sleep(Duration::from_millis(500));
    let reading = gpus.read(PATIENCE);
    let gpu = reading.gpus.iter().find(|gpu| gpu.uuid.as_deref() == Some("GPU-0")).unwrap();
    let joules = gpu.energy.map_or(0.0, |energy| energy.joules);
    assert!(joules < 150.0 * gpu.interval.unwrap().as_secs_f64(), "{joules} J");
}

#[test]
fn a_gpu_that_only_the_drivers_folder_shows_makes_nvml_start_again() {
    let host = StandIn::with_gpus(1);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    gpus.read(PATIENCE);
    let started = || host.log().iter().filter(|line| *line == "init").count();
    assert_eq!(started(), 1, "nothing has changed");
    fs::write(host.path("gpus/0000:41:00.0"), "").unwrap();
    assert!(is_running(&gpus.read(PATIENCE)));
    assert_eq!(started(), 2);
    gpus.read(PATIENCE);
    assert_eq!(started(), 2);
}

#[test]
fn a_driver_that_is_reloaded_is_followed() {
    let mut host = StandIn::with_gpus(1);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    host.set(&[("error.nvmlDeviceGetCount_v2", "1"), ("error.nvmlInit_v2", "9")]);
    read_until(&mut gpus, "the driver is unloaded", |reading| !is_running(reading));
    host.remove(&["error.nvmlDeviceGetCount_v2", "error.nvmlInit_v2"]);
    host.set(&[("driver", "575.00.01"), ("gpu.0.energy", "4000"), ("gpu.0.ecc.0.0", "2")]);
    let reading = read_until(&mut gpus, "the driver is loaded again", is_running);
    let gpu = &reading.gpus[0];
    assert_eq!(gpu.energy.unwrap().joules, 4.0, "its counters start again");
    assert_eq!(gpu.ecc_corrected, Some(Count { total: 2, added: Some(2) }));
    assert_eq!(gpu.nvlink.map(|sum| sum.sent_bytes), Some(0));
}

#[test]
fn xid_errors_are_told_at_once() {
    let mut host = StandIn::with_gpus(2);
    host.set(&[("gpu.*.events", "8")]);
    let mut gpus = host.start();
    assert_eq!(gpus.read(PATIENCE).xids_missing, []);
    let before = crate::model::time::Timestamp::now();
    host.set(&[("xid.1", "1 79"), ("xid.2", "0 999"), ("xid.3", "0 31")]);
    let mut xids: Vec<Xid> = Vec::new();
    let asked = std::time::Instant::now();
    while xids.len() < 3 && asked.elapsed() < PATIENCE {
        xids.extend(gpus.take_xids().0);
        std::thread::sleep(Duration::from_millis(5));
    }
    let told: Vec<_> = xids.iter().map(|xid| (xid.gpu, xid.uuid.as_deref(), xid.number)).collect();
    let (first, second) = (Some("GPU-0"), Some("GPU-1"));
    assert_eq!(told, [(Some(1), second, Some(79)), (Some(0), first, None), (Some(0), first, Some(31))]);
    assert!(xids[0].meaning().unwrap().contains("fallen off the bus") && xids[1].meaning().is_none());
    assert!(xids.iter().all(|xid| xid.at >= before));

    host.set(&[("xid.4", "0 48")]);
    std::thread::sleep(Duration::from_millis(200));
    let reading = gpus.read(PATIENCE);
    assert_eq!(
        reading.xids.iter().map(|xid| xid.number).collect::<Vec<_>>(),
        [Some(48)],
        "a reading brings the rest"
    );
    assert_eq!(gpus.read(PATIENCE).xids, []);
}

#[test]
fn events_that_failed_are_asked_for_again() {
    let mut host = StandIn::with_gpus(1);
    host.set(&[("gpu.*.events", "8"), ("error.nvmlEventSetWait_v2", "999")]);
    let mut gpus = host.start();
    read_until(&mut gpus, "the failure", |reading| !reading.xids_missing.is_empty());
    host.remove(&["error.nvmlEventSetWait_v2"]);
    read_until(&mut gpus, "events again", |reading| reading.xids_missing.is_empty());
    host.set(&[("xid.1", "0 48")]);
    let reading = read_until(&mut gpus, "the error", |reading| !reading.xids.is_empty());
    assert_eq!(reading.xids[0].number, Some(48));
}

#[test]
fn a_gpu_without_events_does_not_silence_the_others() {
    let mut host = StandIn::with_gpus(2);
    host.set(&[("gpu.1.events", "8")]);
    let mut gpus = host.start();
    assert_eq!(gpus.read(PATIENCE).xids_missing, [(Some(0), Reason::Unsupported)]);
    host.set(&[("xid.1", "1 43")]);
    let reading = read_until(&mut gpus, "the error of the other", |reading| !reading.xids.is_empty());
    assert_eq!(reading.xids[0].number, Some(43));
}
