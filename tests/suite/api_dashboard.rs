//! The dashboard: one answer that agrees with the reports it sums up.

use serde_json::{Value, json};

use crate::api_world::World;

fn sum(list: &Value) -> f64 {
    list.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).sum()
}

#[test]
fn it_agrees_with_the_reports() {
    let world = World::new();
    let seen = world.get("/api/v1/dashboard?hours=2").json();
    let off_cpu = world.get(&world.of_live("/off-cpu")).json();
    let calls = world.get(&world.of_live("/syscalls")).json();
    let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} {b}");

    let blocked = &off_cpu["totals"]["blocked_seconds"].as_f64().unwrap();
    let faults = &off_cpu["totals"]["page_fault_seconds"].as_f64().unwrap();
    near(seen["totals"]["blocked_seconds"].as_f64().unwrap(), blocked + faults);
    near(sum(&seen["series"]["blocked_seconds"]), blocked + faults);
    let cpu = world.get(&world.of_live("/profile?format=json")).json()["seconds"].as_f64().unwrap();
    near(seen["totals"]["cpu_seconds"].as_f64().unwrap(), cpu);
    assert_eq!(seen["totals"]["syscalls"], 600.0);
    assert_eq!(seen["syscalls"][0]["name"], calls["syscalls"][0]["name"]);
    near(seen["syscalls"][0]["total_seconds"].as_f64().unwrap(), 0.04);
    assert_eq!(seen["causes"][0]["cause"], "network");

    let agents = seen["agents"].as_array().unwrap();
    assert_eq!(
        (agents.len(), &seen["agents_total"]),
        (1, &json!(1)),
        "one that ended and did nothing is left out"
    );
    let agent = &agents[0];
    assert_eq!((&agent["name"], &agent["state"]), (&json!("coder <1>"), &json!("live")));
    assert_eq!((&agent["processes_live"], &agent["processes_ended"]), (&json!(2), &json!(2)));
    near(sum(&agent["cpu_seconds_series"]), cpu);
    assert_eq!(seen["functions_cpu"][0]["function"], "hot");
    assert_eq!(seen["functions_cpu"][1]["function"], "ksys_read");
    assert_eq!(seen["functions_off_cpu"][0]["function"], "wait_for_reply", "where user code waits");
    assert_eq!(
        (&seen["processes"][0]["pid"], &seen["processes"][0]["comm"]),
        (&json!(100), &json!("python3"))
    );
    assert_eq!(seen["losses"], json!({"symbols_unread": 1, "rows_merged": 7}));
    assert!(seen["own"]["rss_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(
        seen["host"]["cpus"].as_f64().unwrap() >= 1.0 && seen["host"]["memory_bytes"].as_f64().unwrap() > 1e6
    );
}

#[test]
fn buckets_are_equally_long_and_as_many_as_the_range_needs() {
    let world = World::new();
    for (hours, bucket) in [(1, 60), (24, 1800), (168, 10_800)] {
        let seen = world.get(&format!("/api/v1/dashboard?hours={hours}")).json();
        assert_eq!(seen["series"]["bucket_seconds"], bucket);
        let length = seen["series"]["cpu_seconds"].as_array().unwrap().len();
        assert!(
            (hours * 3600 / bucket..=hours * 3600 / bucket + 1).contains(&(length as i64)),
            "{hours}: {length}"
        );
        assert_eq!(seen["agents"][0]["cpu_seconds_series"].as_array().unwrap().len(), length);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = World::new();
    for query in ["hours=0", "hours=745", "hours=-1", "hours=x", "hours=1.5", "hours=99999999999", "days=1"] {
        world.get(&format!("/api/v1/dashboard?{query}")).problem(400);
    }
    assert_eq!(world.get("/api/v1/dashboard").status, 200);
}
