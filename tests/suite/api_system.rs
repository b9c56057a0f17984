//! The host's routes, over windows that were made up here.

use std::time::Duration;

use agentperf::{
    model::{
        host::{Cpu, Disk, FileSystem, HostWindow, Interface, Memory, Platform, Pressure, Stall, SystemInfo},
        time::Timestamp,
    },
    store::Store,
};
use serde_json::{Value, json};

use crate::api_world::World;

const SECOND: u64 = 1_000_000_000;

/// Ten minutes of windows of five seconds: each CPU works for one of them, half of that in the kernel.
pub(crate) fn fill(store: &dyn Store, begin: Timestamp) {
    (0..120).for_each(|n| store.put_host(window(begin + Duration::from_secs(5 * n), n)));
}

fn window(start: Timestamp, n: u64) -> HostWindow {
    let cpu = |number| Cpu::new(number, [SECOND / 2, 0, SECOND / 2, 4 * SECOND, 0, 0, 0, 0]);
    let stall = Stall { some: SECOND / 10, full: 0 };
    let disk = FileSystem {
        mount: "/".into(),
        kind: "ext4".into(),
        size: 1000,
        available: 900 - n,
        ..FileSystem::default()
    };
    let traffic = |bytes| [bytes, 1, 0, 0].into();
    let interface = |name: &str, received, sent| Interface {
        name: name.into(),
        received: traffic(received),
        sent: traffic(sent),
    };
    let mut window = HostWindow { start, end: start + Duration::from_secs(5), ..HostWindow::default() };
    window.cpus = vec![cpu(0), cpu(1)];
    window.activity.load = [n as f32 / 100.0, 0.5, 0.25];
    window.activity.forks = 3;
    window.pressure = Some(Pressure { cpu: stall, memory: stall, io: stall });
    window.memory = Memory::from([8000, 4000 + n, 4000 + n, 100, 200, 0, 50, 40]);
    window.file_systems = vec![disk];
    window.disks = vec![Disk::new("vda".into(), [1, 4096, 7, 2, 8192, 8, 9])];
    window.interfaces = vec![interface("eth0", 100, 50), interface("lo", 7, 7)];
    window
}

/// What kind of host it pretends to be.
pub(crate) fn kind() -> SystemInfo {
    SystemInfo {
        operating_system: Some("Debian GNU/Linux 13 (trixie)".into()),
        architecture: "x86_64",
        cpu_model: None,
        cpus: 2,
        memory: 8000,
        swap: 50,
        booted: Some(Timestamp::now() - Duration::from_secs(3600)),
        platform: Platform::Container { runtime: "docker".into() },
    }
}

#[test]
fn the_host_is_what_it_is() {
    let info = World::new().get("/api/v1/system/info").json();
    for (field, expected) in [
        ("operating_system", json!("Debian GNU/Linux 13 (trixie)")),
        ("cpu_model", Value::Null),
        ("cpus", json!(2)),
        ("memory_bytes", json!(8000)),
        ("platform", json!("container")),
        ("platform_name", json!("docker")),
    ] {
        assert_eq!(info[field], expected, "{field}: {info}");
    }
    let up = info["uptime_seconds"].as_f64().unwrap();
    assert!((3600.0..3660.0).contains(&up), "{up}");
}

#[test]
fn amounts_are_those_of_the_range_and_the_rest_is_of_its_end() {
    let world = World::new();
    let all = world.get("/api/v1/system/metrics").json();
    assert_eq!((&all["covered"]["windows"], &all["covered"]["seconds"]), (&json!(120), &json!(600.0)));
    assert_eq!((&all["cpu"]["user_seconds"], &all["cpu"]["idle_seconds"]), (&json!(120.0), &json!(960.0)));
    assert_eq!((&all["cpu"]["busy"], &all["cpus"][1]["time"]["system_seconds"]), (&json!(0.2), &json!(60.0)));
    assert_eq!((&all["activity"]["forks"], &all["activity"]["load1"]), (&json!(360), &json!(1.19)));
    assert_eq!(all["pressure"]["io"]["some_seconds"], 12.0);
    let memory = &all["memory"];
    assert_eq!((&memory["available_bytes"], &memory["least_available_bytes"]), (&json!(4119), &json!(4000)));
    assert_eq!(all["file_systems"][0]["available_bytes"], 781);
    assert_eq!(all["disks"][0]["written_bytes"], 120 * 8192);
    assert_eq!(all["interfaces"][1]["sent"]["bytes"], 120 * 7);
}

#[test]
fn points_tell_how_it_went_without_the_loopback() {
    let world = World::new();
    for (most, least) in [(1, 1), (10, 5), (120, 60), (1000, 120)] {
        let told = world.get(&format!("/api/v1/system/metrics?points={most}")).json();
        let points = told["points"].as_array().unwrap();
        assert!((least..=most).contains(&points.len()), "{most}: {}", points.len());
        let sum = |of: &dyn Fn(&Value) -> f64| points.iter().map(of).sum::<f64>();
        assert!((sum(&|p| p["cpu"]["user_seconds"].as_f64().unwrap()) - 120.0).abs() < 1e-6);
        assert_eq!(sum(&|p| p["received"]["bytes"].as_f64().unwrap()), 12_000.0);
        assert_eq!(sum(&|p| p["read_bytes"].as_f64().unwrap()), 120.0 * 4096.0);
        for pair in points.windows(2) {
            assert!(pair[0]["to"].as_str() <= pair[1]["from"].as_str());
        }
    }
}

#[test]
fn a_range_is_told_alone_and_one_without_windows_is_empty() {
    let world = World::new();
    let (from, to) = (world.begin + Duration::from_secs(100), world.begin + Duration::from_secs(110));
    let some = world.get(&format!("/api/v1/system/metrics?from={from}&to={to}")).json();
    assert_eq!((&some["covered"]["windows"], &some["cpu"]["user_seconds"]), (&json!(2), &json!(2.0)));
    let none = world.get("/api/v1/system/metrics?to=2020-01-01T00:00:00Z").json();
    assert_eq!((&none["covered"], &none["cpu"], &none["points"]), (&Value::Null, &Value::Null, &json!([])));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::new();
    for query in [
        "points=0",
        "points=1001",
        "points=-1",
        "points=x",
        "since=x",
        "since=1h&from=2020-01-01T00:00:00Z",
        "cpu=1",
    ] {
        world.get(&format!("/api/v1/system/metrics?{query}")).problem(400);
    }
}
