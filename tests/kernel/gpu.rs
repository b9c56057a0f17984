//! GPUs end to end: the daemon loads a stand-in for NVIDIA's library, and what that says comes out at the API, in the
//! metrics and as alerts. What each function may answer is tried one by one beside the code.

use std::{process::Command, time::Instant};

use serde_json::{Value, json};

use crate::support::{
    api::{Api, eventually},
    binary::agentperf,
    daemon::Daemon,
    nvml::Nvml,
    puppet::Puppet,
};

const GIB: u64 = 1 << 30;

/// What a GPU did of late.
fn gpu(api: &Api, uuid: &str) -> Option<Value> {
    let told = api.get("/api/v1/system/metrics?since=3s").expect(200).json();
    told["gpus"].as_array().unwrap().iter().find(|gpu| gpu["uuid"] == uuid).cloned()
}

/// What kind of GPU it is, or that it cannot be read.
fn info(api: &Api, uuid: &str) -> Option<Value> {
    let told = api.get("/api/v1/system/info").expect(200).json();
    told["gpu"]["gpus"].as_array().unwrap().iter().find(|gpu| gpu["uuid"] == uuid).cloned()
}

/// A sample of `/metrics`.
fn sample(api: &Api, series: &str) -> Option<f64> {
    let text = api.get("/metrics").expect(200).text();
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

fn logged(daemon: &Daemon, words: &str) -> usize {
    daemon.log().lines().filter(|line| line.contains(words)).count()
}

fn near(value: &Value, expected: f64, tolerance: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() <= tolerance)
}

#[test]
fn what_a_gpu_did_and_for_whom_is_told() {
    let mut nvml = Nvml::with_gpus(2);
    let puppet = Puppet::start();
    nvml.run(0, puppet.pid(), 50);
    let daemon = Daemon::start(nvml.config());
    let api = daemon.api();
    let agent = api.attach(puppet.pid());

    let status = eventually("NVML answers", || {
        let told = api.get("/api/v1/system/info").expect(200).json()["gpu"].clone();
        (told["gpus"].as_array().unwrap().len() == 2).then_some(told)
    });
    assert_eq!((&status["enabled"], &status["reason"]), (&json!(true), &Value::Null));
    assert_eq!(status["gpus"][0]["name"], "Stand-in H100");
    assert_eq!(status["gpus"][0]["memory_bytes"], 80 * GIB);

    let first = eventually("a second reading", || {
        gpu(api, "GPU-0").filter(|gpu| gpu["processes"][0]["energy_joules"].as_f64() > Some(0.0))
    });
    assert!(near(&first["busy"], 0.75, 1e-6) && near(&first["memory_busy"], 0.3, 1e-6), "{first:#}");
    assert_eq!((&first["memory_used_bytes"], &first["temperature_celsius"]), (&json!(4 * GIB), &json!(61)));
    assert_eq!((&first["power_watts"], &first["clocks_mhz"]["sm"]), (&json!(300.0), &json!(1975)));
    assert!(first["throttled_seconds"]["sw_power_cap"].as_f64() > Some(0.0), "{first:#}");
    let process = &first["processes"][0];
    assert_eq!((&process["host_pid"], &process["seen"]), (&json!(puppet.pid()), &json!(true)));

    // Half of the time, and half of 300 W: of how long it was, the GPU itself tells.
    let used = eventually("the agent's GPU", || {
        let used = api.get(&format!("/api/v1/agents/{agent}/gpus?since=1h")).expect(200).json();
        used["gpus"][0]["busy_seconds"].as_f64().filter(|seconds| *seconds > 1.0).map(|_| used.clone())
    });
    let own = &used["gpus"][0];
    assert_eq!((&own["uuid"], &own["memory_bytes"]), (&json!("GPU-0"), &json!(GIB)), "{used:#}");
    assert_eq!(used["gpus"].as_array().unwrap().len(), 1, "not the one that it did not use");
    let (busy, joules) = (own["busy_seconds"].as_f64().unwrap(), own["energy_joules"].as_f64().unwrap());
    assert!((joules / busy / 300.0 - 1.0).abs() < 0.05, "{joules} J in {busy} s");

    let labels = format!("agent_id=\"{agent}\",gpu=\"GPU-0\"}} ");
    let text = eventually("metrics of the agent", || {
        Some(api.get("/metrics").text()).filter(|text| text.contains(&labels))
    });
    for metric in ["gpu_seconds_total", "gpu_energy_joules_total", "gpu_memory_bytes"] {
        let own = format!("agentperf_agent_{metric}{{");
        assert!(text.lines().any(|l| l.starts_with(&own) && l.contains(&labels)), "{metric}: {text}");
    }
    assert_eq!(sample(api, "agentperf_gpu_memory_total_bytes{gpu=\"GPU-1\"}"), Some((80 * GIB) as f64));
    assert_eq!(sample(api, "agentperf_gpu_up{gpu=\"GPU-0\"}"), Some(1.0));

    let mut command = Command::new(agentperf());
    command.args(["system", "--url", api.base()]);
    let shown = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(shown.contains("GPU 0: Stand-in H100, 85.9 GB of memory (GPU-0)"), "{shown}");
    assert!(shown.contains("75.0 %") && shown.contains("sw_power_cap"), "{shown}");
}

#[test]
fn a_gpu_that_falls_off_is_said_once_alerted_and_found_again() {
    let mut nvml = Nvml::with_gpus(2);
    let daemon = Daemon::start(nvml.config());
    let api = daemon.api();
    eventually("two GPUs", || gpu(api, "GPU-1"));

    let begin = Instant::now();
    nvml.set(&[("gpu.1.lost".into(), "1".into()), ("xid.1".into(), "1 79".into())]);
    let alert = eventually("the XID alert", || {
        let told = api.get("/api/v1/alerts?state=firing").expect(200).json();
        let all = told["alerts"].as_array().unwrap().clone();
        all.into_iter().find(|alert| alert["labels"]["alertname"] == "GpuXidError")
    });
    eprintln!("the XID fired after {:.2} s, with windows of 1 s", begin.elapsed().as_secs_f64());
    assert_eq!((&alert["labels"]["gpu"], &alert["labels"]["xid"]), (&json!("GPU-1"), &json!("79")));
    let down = eventually("it is down", || info(api, "GPU-1").filter(|gpu| gpu["down"] != Value::Null));
    assert!(down["down"].as_str().unwrap().contains("fallen off the bus"), "{down}");
    eventually("the metric says so", || {
        (sample(api, "agentperf_gpu_up{gpu=\"GPU-1\"}") == Some(0.0)).then_some(())
    });
    assert_eq!(sample(api, "agentperf_gpu_temperature_celsius{gpu=\"GPU-1\"}"), None, "nothing stale");
    assert_eq!(sample(api, "agentperf_gpu_xid_errors_total{gpu=\"GPU-1\",xid=\"79\"}"), Some(1.0));
    assert_eq!(gpu(api, "GPU-0").unwrap()["down"], Value::Null, "the other one goes on");
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(logged(&daemon, "the GPU cannot be read"), 1, "{}", daemon.log());
    assert_eq!(logged(&daemon, "a GPU reported an error"), 1, "{}", daemon.log());

    nvml.remove("gpu.1.lost");
    nvml.count(3);
    eventually("it is back", || info(api, "GPU-1").filter(|gpu| gpu["down"] == Value::Null));
    eventually("one that was added", || gpu(api, "GPU-2"));
    assert_eq!(logged(&daemon, "the GPU can be read again"), 1, "{}", daemon.log());
    let hidden = api.losses().into_iter().filter(|(name, _)| name.starts_with("gpu")).collect::<Vec<_>>();
    assert!(hidden.iter().all(|(_, n)| *n == 0), "{hidden:?}");
}

#[test]
fn what_fails_is_missing_and_what_hangs_holds_up_nothing() {
    let mut nvml = Nvml::with_gpus(1);
    nvml.say("error.nvmlDeviceGetTemperature", "999");
    nvml.remove("gpu.*.power");
    let mut daemon = Daemon::start(nvml.config());
    let api = daemon.api();
    let told = eventually("a GPU", || gpu(api, "GPU-0"));
    assert_eq!((&told["temperature_celsius"], &told["power_watts"]), (&Value::Null, &Value::Null));
    assert_eq!(told["memory_used_bytes"], 4 * GIB);
    let unsupported = info(api, "GPU-0").unwrap()["unsupported"].clone();
    assert!(unsupported.as_array().unwrap().contains(&json!("power")), "{unsupported}");

    nvml.say("hang.nvmlDeviceGetMemoryInfo_v2", "1");
    let reason = eventually("it is said that NVML hangs", || {
        let told = api.get("/api/v1/system/info").expect(200).json();
        told["gpu"]["reason"].as_str().map(str::to_owned)
    });
    assert!(reason.contains("nvmlDeviceGetMemoryInfo_v2 of GPU 0"), "{reason}");
    let windows = || api.get("/api/v1/system/metrics").expect(200).json()["covered"]["windows"].clone();
    let before = windows().as_u64();
    eventually("the host goes on", || (windows().as_u64() > before.map(|n| n + 3)).then_some(()));
    let begin = Instant::now();
    daemon.stop();
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    assert_eq!(logged(&daemon, "GPUs are not read"), 1, "{}", daemon.log());
    nvml.remove("hang.nvmlDeviceGetMemoryInfo_v2");
}

#[test]
fn a_host_without_a_driver_says_so_and_nothing_else_is_missing() {
    let daemon = Daemon::start(json!({ "gpu": { "library": "/nonexistent/libnvidia-ml.so.1" } }));
    let api = daemon.api();
    let told = eventually("the reason", || {
        let told = api.get("/api/v1/system/info").expect(200).json()["gpu"].clone();
        (told["reason"] != Value::Null).then_some(told)
    });
    assert!(told["reason"].as_str().unwrap().contains("cannot be loaded"), "{told}");
    let metrics = eventually("a window", || {
        let told = api.get("/api/v1/system/metrics").expect(200).json();
        (told["covered"] != Value::Null).then_some(told)
    });
    assert_eq!(metrics["gpus"], json!([]));
    assert_eq!(logged(&daemon, "no GPUs are read"), 1, "{}", daemon.log());

    let off = |enabled: &str| {
        let mut check = Command::new(agentperf());
        check.args(["check", "--json"]).env("AGENTPERF_GPU_ENABLED", enabled);
        let ran = check.env("AGENTPERF_GPU_LIBRARY", "/nonexistent/libnvidia-ml.so.1").output().unwrap();
        let found: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        found["checks"].as_array().unwrap().iter().find(|check| check["name"] == "nvml").cloned()
    };
    let found = off("true").unwrap();
    assert_eq!(found["state"], "unavailable");
    assert!(found["reason"].as_str().unwrap().contains("cannot be loaded"), "{found}");
    assert!(off("false").unwrap()["reason"].as_str().unwrap().contains("gpu.enabled"));
}
