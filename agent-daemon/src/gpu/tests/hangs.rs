//! Calls that do not return, and a thread that ends: the daemon goes on.

use std::time::{Duration, Instant};

use super::standin::{PATIENCE, StandIn, is_running, read_until};
use crate::gpu::{Availability, Feature, Reason};

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn a_call_that_hangs_blocks_nobody_and_loses_nothing() {
    let mut host = StandIn::with_gpus(2);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    host.set(&[("hang.nvmlDeviceGetTemperature.1", "1"), ("gpu.0.energy", "1005000")]);
    for _ in 0..3 {
        let asked = Instant::now();
        let reading = gpus.read(SHORT);
        assert!(asked.elapsed() < SHORT * 10, "it took {:?}", asked.elapsed());
        let is_stuck = matches!(reading.availability, Availability::Stuck { .. });
        assert!(is_stuck && reading.gpus.is_empty(), "{reading:?}");
    }
    let reading = read_until(&mut gpus, "where it hangs", |reading| {
        let place = (Some(Feature::Temperature), Some(1));
        matches!(reading.availability, Availability::Stuck { feature, gpu, .. } if (feature, gpu) == place)
    });
    assert!(reading.gpus.is_empty());

    host.remove(&["hang.nvmlDeviceGetTemperature.1"]);
    let late = read_until(&mut gpus, "the late reading", is_running);
    assert_eq!(late.gpus[0].energy.unwrap().joules, 5.0);
    host.set(&[("gpu.0.energy", "1006000")]);
    let next = gpus.read(PATIENCE);
    assert_eq!(next.gpus[0].energy.unwrap().joules, 1.0);
    assert!(next.gpus.iter().all(|gpu| gpu.down.is_none()));
}

#[test]
fn a_start_that_hangs_blocks_nobody() {
    let mut host = StandIn::with_gpus(1);
    host.set(&[("hang.nvmlInit_v2", "1")]);
    let mut gpus = host.start();
    let reading = read_until_stuck(&mut gpus);
    assert_eq!(reading, Some(Feature::Start));
    let asked = Instant::now();
    assert!(!gpus.stop(SHORT), "it still hangs");
    assert!(asked.elapsed() < SHORT * 10);
    // The thread that was left behind ends once it can.
    host.remove(&["hang.nvmlInit_v2"]);
    let deadline = Instant::now() + PATIENCE;
    while host.log().last().is_none_or(|line| line != "shutdown") {
        assert!(Instant::now() < deadline, "{:?}", host.log());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_until_stuck(gpus: &mut crate::gpu::Gpus) -> Option<Feature> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Availability::Stuck { feature: Some(feature), .. } = gpus.read(SHORT).availability {
            return Some(feature);
        }
    }
    None
}

#[test]
fn waiting_for_events_that_hangs_is_told() {
    let mut host = StandIn::with_gpus(1);
    host.set(&[("gpu.*.events", "8"), ("hang.nvmlEventSetWait_v2", "1")]);
    let mut gpus = host.start();
    std::thread::sleep(SHORT);
    assert_eq!(read_until_stuck(&mut gpus), Some(Feature::EventWait));
    host.remove(&["hang.nvmlEventSetWait_v2"]);
    assert!(is_running(&gpus.read(PATIENCE)));
}

#[test]
fn a_reading_can_be_asked_for_ahead() {
    let mut host = StandIn::with_gpus(1);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    // On a busy machine the thread may be late; not each time.
    let is_of_the_request = (0..20).any(|_| {
        gpus.request();
        std::thread::sleep(Duration::from_millis(300));
        host.set(&[("gpu.0.power", "1000")]);
        let power = gpus.read(PATIENCE).gpus[0].power_watts;
        host.remove(&["gpu.0.power"]);
        power == Some(350.5)
    });
    assert!(is_of_the_request, "it is made when it is asked for, not when it is fetched");
}

#[test]
fn stopping_lets_the_library_go() {
    let host = StandIn::with_gpus(1);
    let mut gpus = host.start();
    gpus.read(PATIENCE);
    assert!(gpus.stop(PATIENCE));
    assert_eq!(host.log(), ["init", "set", "free", "shutdown"]);
}

/// The wrapper adds to a number that the library tells, which overflows in a build that checks for it.
#[cfg(debug_assertions)]
#[test]
fn a_thread_that_ends_is_told_and_another_is_started() {
    let mut host = StandIn::with_gpus(1);
    host.set(&[("gpu.0.compute.count", "4294967295")]);
    let mut gpus = host.start();
    let reading = gpus.read(PATIENCE);
    match &reading.availability {
        Availability::Unavailable { reason: Reason::NoThread(text), .. } => {
            assert!(text.contains("nvmlDeviceGetComputeRunningProcesses_v3"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    host.remove(&["gpu.0.compute.count"]);
    let reading = read_until(&mut gpus, "another thread", is_running);
    assert_eq!(reading.gpus[0].down, None);
}
