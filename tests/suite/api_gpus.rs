//! The routes of GPUs, over windows that were made up here.

use std::time::Duration;

use agentperf::{
    model::host::{
        HostWindow,
        gpu::{Amounts, Gpu, GpuProcess, Levels, Share, XidCount},
    },
    store::Store as _,
};
use serde_json::{Value, json};

use crate::api_world::{World, process_id};

const SECOND: u64 = 1_000_000_000;

/// A window in which a process of the live agent had a GPU for two of five seconds, and another one for one.
fn fill(world: &World) {
    (0..3).for_each(|n| {
        let start = world.begin + Duration::from_secs(600 + 5 * n);
        let process = |process, host_pid, seconds| GpuProcess {
            process,
            host_pid,
            busy_ns: Some(seconds * SECOND),
            energy_mj: Some(seconds * 200_000),
            memory: Some(1000 + n),
        };
        let gpu = Gpu {
            uuid: "GPU-1".into(),
            name: "NVIDIA L4".into(),
            busy: [
                Share { ns: 4 * SECOND, of_ns: 5 * SECOND },
                Share::default(),
                Share::default(),
                Share::default(),
            ],
            levels: Levels { memory_used: Some(2500), memory_total: Some(8000), ..Levels::default() },
            amounts: Amounts { energy_mj: Some(1_000_000), ..Amounts::default() },
            xids: vec![XidCount { number: 31, count: n }],
            processes: vec![process(Some(process_id(100)), 100, 2), process(None, 4711, 1)],
            ..Gpu::default()
        };
        let end = start + Duration::from_secs(5);
        world.store.put_host(HostWindow { start, end, gpus: vec![gpu], ..HostWindow::default() });
    });
}

/// The GPU was used for longer than the agent's window: nothing is idle then.
#[test]
fn calls_of_cuda_are_told_beside_the_use_of_the_gpu() {
    let world = World::new();
    let alone = world.get(&world.of_live("/cuda")).json();
    assert_eq!((&alone["gpus"], &alone["watched"]), (&Value::Null, &json!(true)));
    fill(&world);
    let told = world.get(&world.of_live("/cuda")).json();
    assert_eq!(told["gpus"]["busy_seconds"], json!(6.0), "{told:#}");
    assert!(told["gpus"]["idle_while_working_seconds"].is_number());
    let calls = |told: &Value| {
        let rows = told["calls"].as_array().unwrap().clone();
        rows.iter()
            .map(|row| (row["call"].clone(), row["pid"].clone(), row["errors"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        calls(&told),
        [(json!("launch"), Value::Null, json!(0)), (json!("synchronize"), Value::Null, json!(2))]
    );
    let by_process = world.get(&world.of_live("/cuda?by=process")).json();
    assert_eq!(
        calls(&by_process),
        [(json!("launch"), json!(100), json!(0)), (json!("synchronize"), json!(101), json!(2))]
    );
    assert_eq!(told["waits"]["max_seconds"], json!(0.9));
}

#[test]
fn a_gpu_is_told_over_a_range_and_how_it_went() {
    let world = World::new();
    fill(&world);
    let from = world.begin + Duration::from_secs(600);
    let told = world.get(&format!("/api/v1/system/metrics?from={from}&points=3")).json();
    let gpu = &told["gpus"][0];
    assert_eq!(
        (&gpu["busy"], &gpu["busy_seconds"], &gpu["memory_busy"]),
        (&json!(0.8), &json!(12.0), &Value::Null)
    );
    assert_eq!((&gpu["energy_joules"], &gpu["xids"]), (&json!(3000.0), &json!({"31": 3})));
    assert_eq!((&gpu["memory_used_bytes"], &gpu["temperature_celsius"]), (&json!(2500), &Value::Null));
    assert_eq!(gpu["processes"].as_array().unwrap().len(), 2);
    let points = told["points"].as_array().unwrap();
    let energy: f64 = points.iter().map(|point| point["gpus"][0]["energy_joules"].as_f64().unwrap()).sum();
    assert_eq!(energy, 3000.0);
}

#[test]
fn an_agent_is_told_what_its_own_processes_did() {
    let world = World::new();
    fill(&world);
    let told = world.get(&world.of_live("/gpus")).json();
    let gpu = &told["gpus"][0];
    assert_eq!((&gpu["uuid"], &gpu["name"]), (&json!("GPU-1"), &json!("NVIDIA L4")));
    assert_eq!((&gpu["busy_seconds"], &gpu["energy_joules"]), (&json!(6.0), &json!(1200.0)));
    assert_eq!((&gpu["memory_bytes"], &gpu["processes"][0]["host_pid"]), (&json!(1002), &json!(100)));
    assert_eq!(gpu["processes"].as_array().unwrap().len(), 1);
    let ended = world.get(&format!("/api/v1/agents/{}/gpus", world.ended)).json();
    assert_eq!(ended["gpus"], json!([]));
    world.get(&world.of_live("/gpus?since=x")).problem(400);
    world.get("/api/v1/agents/1-1/gpus").problem(404);
}
