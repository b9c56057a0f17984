//! What agents did, as the API tells it: the numbers are those of the windows that were stored.

use std::time::Duration;

use agentperf::store::Store;
use serde_json::{Value, json};

use crate::api_world::World;

#[test]
fn the_process_tree_reads_from_the_top() {
    let world = World::new();
    let tree = world.get(&world.of_live("/processes")).json();
    assert_eq!(tree["agent"], world.live.as_str());
    let rows = tree["processes"].as_array().unwrap();
    let shape: Vec<_> =
        rows.iter().map(|p| (p["pid"].as_u64().unwrap(), p["depth"].as_u64().unwrap())).collect();
    assert_eq!(shape, [(100, 0), (101, 1), (102, 2), (103, 1)]);
    assert_eq!(rows[0]["children"], json!([101, 103]));
    assert_eq!(
        rows[2],
        json!({
            "pid": 102, "parent": 101, "depth": 2, "children": [],
            "executable": "/usr/bin/python3.11", "comm": "python3", "argv": ["python3", "agent.py"],
            "start": (world.begin + Duration::from_secs(2)).to_string(),
            "end": (world.begin + Duration::from_secs(3)).to_string(),
            "exit_code": null, "signal": 9, "signal_name": "SIGKILL", "core_dumped": false,
            "killed": { "by": "process", "pid": 101, "comm": "sh" },
            "cpu_seconds": 1.234567891, "cpu_before_seconds": 1.0, "peak_rss_bytes": 64 << 20,
            "rss_bytes": 32 << 20, "pss_bytes": 31 << 20, "threads": 4, "descriptors": 9,
            "voluntary_switches": null, "involuntary_switches": null, "rss_bytes_per_second": 1024,
            "cgroup": {
                "cpu_limit": 0.5, "throttled_seconds": 0.25,
                "memory_limit_bytes": 1 << 30, "memory_limit_used_bytes": 1 << 29,
            },
        })
    );
    assert_eq!(
        tree["live"],
        json!({
            "processes": 2, "rss_bytes": 64 << 20, "threads": 8, "descriptors": 18, "rss_bytes_per_second": 2048,
            "cpu_limit": 0.5, "memory_limit_bytes": 1 << 30, "memory_limit_used_bytes": 1 << 29,
        })
    );
    assert_eq!((&rows[1]["exit_code"], &rows[1]["signal"]), (&json!(7), &json!(null)));
    let late = world.get(&world.of_live("/processes?since=5m")).json();
    let pids: Vec<_> =
        late["processes"].as_array().unwrap().iter().map(|p| p["pid"].as_u64().unwrap()).collect();
    assert_eq!(pids, [100, 103], "only those that lived in the range");
}

#[test]
fn the_timeline_sums_up_to_the_ledger() {
    let world = World::new();
    let ledger = world.get(&world.of_live("/ledger")).json();
    let sums = |page: &Value, cause: &Value| -> f64 {
        let segments = page["segments"].as_array().unwrap().iter();
        let causes = segments.flat_map(|segment| segment["causes"].as_array().unwrap());
        causes.filter(|share| share["cause"] == *cause).map(|share| share["seconds"].as_f64().unwrap()).sum()
    };
    for (query, segments, resolution) in
        [("", 2, 1.0), ("?resolution=5s", 2, 5.0), ("?resolution=24h", 1, 86400.0)]
    {
        let page = world.get(&world.of_live(&format!("/timeline{query}"))).json();
        assert_eq!(page["resolution_seconds"], resolution, "{page}");
        // A day may change between the two windows.
        let found = page["segments"].as_array().unwrap();
        assert!(found.len() == segments || resolution > 5.0 && found.len() == 2, "{page}");
        assert_eq!((&page["watched"], &page["covered"]), (&ledger["watched"], &ledger["covered"]));
        for share in ledger["causes"].as_array().unwrap() {
            let seconds = share["seconds"].as_f64().unwrap();
            assert!((sums(&page, &share["cause"]) - seconds).abs() < 1e-9, "{share}: {page}");
        }
        for segment in found {
            let causes = segment["causes"].as_array().unwrap();
            let sum: f64 = causes.iter().map(|share| share["seconds"].as_f64().unwrap()).sum();
            assert!((sum - segment["wall_seconds"].as_f64().unwrap()).abs() < 1e-9, "{segment}");
        }
    }
    world.get(&world.of_live("/timeline?resolution=5")).problem(400);
    world.get("/api/v1/agents/1-1/timeline").problem(404);
}

#[test]
fn the_ledger_sums_up_to_the_wall() {
    let world = World::new();
    let report = world.get(&world.of_live("/ledger")).json();
    assert_eq!((&report["wall_seconds"], &report["estimated"]), (&json!(10.0), &json!(true)));
    let causes = report["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 13, "those without time as well");
    assert_eq!(
        causes[0],
        json!({"cause": "agent_cpu", "seconds": 2.0, "share": 0.2, "estimated_seconds": 0.0})
    );
    assert_eq!(
        causes[3],
        json!({"cause": "llm_first_token", "seconds": 3.0, "share": 0.3, "estimated_seconds": 3.0})
    );
    assert_eq!(
        causes[12],
        json!({"cause": "unknown", "seconds": 0.002, "share": 0.0002, "estimated_seconds": 0.0})
    );
    let sum: f64 = causes.iter().map(|c| c["seconds"].as_f64().unwrap()).sum();
    assert!((sum - 10.0).abs() < 1e-9);
    let hidden = json!({"hidden": "llm_first_token", "under": "agent_cpu", "seconds": 1.0});
    assert_eq!(report["overlaps"], json!([hidden]));
    assert_eq!(report["thread_seconds"][0], json!({"role": "own", "state": "terminal", "seconds": 4.998}));
    assert_eq!(report["call_seconds"]["llm_first_token"], 4.0);
}

#[test]
fn syscalls_are_merged_over_windows_and_processes() {
    let world = World::new();
    let report = world.get(&world.of_live("/syscalls")).json();
    assert_eq!(report["watched"], true);
    assert_eq!((&report["covered"]["seconds"], &report["covered"]["windows"]), (&json!(10.0), &json!(2)));
    assert_eq!(report["covered"]["from"], world.begin.to_string());
    let read = &report["syscalls"][0];
    assert_eq!((&read["name"], &read["number"], &read["count"]), (&json!("read"), &json!(0), &json!(200)));
    assert_eq!(read["errors"], json!({"EAGAIN": 8, "ERESTARTSYS": 2, "errno_9999": 2}));
    assert_eq!((&read["total_seconds"], &read["max_seconds"]), (&json!(0.04), &json!(0.0019)));
    let quantile = |key: &str| read[key].as_f64().unwrap();
    let [p50, p90, p99] = ["p50_seconds", "p90_seconds", "p99_seconds"].map(quantile);
    assert!((1024e-9..2048e-9).contains(&p50), "{p50}");
    assert!(p50 <= p90 && p90 <= p99 && p99 <= 0.0019, "{p50} {p90} {p99}");
    let names: Vec<_> = report["syscalls"].as_array().unwrap().iter().map(|s| s["name"].clone()).collect();
    assert_eq!(names, ["read", "write", "syscall_999"], "most time first");
    assert!(read.get("pid").is_none());
}

#[test]
fn syscalls_can_be_told_by_process() {
    let world = World::new();
    let report = world.get(&world.of_live("/syscalls?by=process&since=1h")).json();
    let rows: Vec<_> = report["syscalls"].as_array().unwrap().iter().collect();
    let who: Vec<_> = rows.iter().map(|r| (r["pid"].clone(), r["comm"].clone(), r["name"].clone())).collect();
    assert_eq!(who[0], (json!(100), json!("python3"), json!("read")));
    assert_eq!(who[1], (json!(101), json!("sh"), json!("write")));
}

#[test]
fn off_cpu_time_is_divided_among_causes_and_kinds() {
    let world = World::new();
    let report = world.get(&world.of_live("/off-cpu")).json();
    let totals = &report["totals"];
    assert_eq!(
        *totals,
        json!({
            "seconds": 4.016, "blocked_seconds": 4.0, "page_fault_seconds": 0.006,
            "run_queue_seconds": 0.002, "preempted_seconds": 0.008,
        })
    );
    let causes: Vec<_> = report["causes"].as_array().unwrap().iter().map(|c| c["cause"].clone()).collect();
    assert_eq!(causes, ["network", "preempted", "page_fault"]);
    let top = &report["stacks"][0];
    assert_eq!(
        (&top["pid"], &top["comm"], &top["cause"]),
        (&json!(100), &json!("python3"), &json!("network"))
    );
    assert_eq!((&top["syscall"], &top["descriptor"]), (&json!("epoll_wait"), &json!("inet_socket")));
    assert_eq!((&top["waker_pid"], &top["count"], &top["seconds"]), (&json!(4242), &json!(4), &json!(4.002)));
    let frame = &top["stack"]["frames"][1];
    assert_eq!(
        *frame,
        json!({"kind": "python", "function": "wait_for_reply", "file": "/srv/agent/agent.py", "line": 12, "address": "0x100e"})
    );
    assert_eq!(top["stack"]["frames"][0]["kind"], "kernel");
}

#[test]
fn a_limit_shortens_the_stacks_and_nothing_else() {
    let world = World::new();
    let report = world.get(&world.of_live("/off-cpu?limit=1")).json();
    assert_eq!((report["stacks"].as_array().unwrap().len(), &report["stacks_total"]), (1, &json!(3)));
    assert_eq!(report["causes"].as_array().unwrap().len(), 3);
    assert_eq!(world.get(&world.of_live("/off-cpu?limit=0")).json()["stacks"], json!([]));
    world.get(&world.of_live("/off-cpu?limit=1001")).problem(400);
    world.get(&world.of_live("/off-cpu?limit=-1")).problem(400);
}

#[test]
fn ranges_choose_whole_windows() {
    let world = World::new();
    let windows = |query: &str| {
        let report = world.get(&world.of_live(&format!("/syscalls?{query}"))).json();
        report["covered"].get("windows").and_then(Value::as_u64)
    };
    let at = |seconds| world.begin + Duration::from_secs(seconds);
    assert_eq!(windows(&format!("from={}&to={}", at(1), at(2))), Some(1));
    assert_eq!(windows(&format!("from={}&to={}", at(4), at(6))), Some(2));
    assert_eq!(windows(&format!("from={}", at(5))), Some(1));
    assert_eq!(windows(&format!("to={}", at(5))), Some(1));
    assert_eq!(windows("since=30s"), None, "nothing was stored so late");
    assert_eq!(windows("since=1h"), Some(2));
}

#[test]
fn a_report_without_a_range_is_of_the_present_watch() {
    let world = World::new();
    let mut agent = world.store.agent(&world.live).unwrap();
    agent.attached = world.begin + Duration::from_secs(5);
    world.store.put_agent(agent);
    let windows = |what: &str| world.get(&world.of_live(what)).json()["covered"]["windows"].clone();
    for what in ["/syscalls?", "/off-cpu?", "/profile?format=json&"] {
        assert_eq!(windows(&what[..what.len() - 1]), 1, "{what}: what came before was another watch");
        assert_eq!(windows(&format!("{what}since=1h")), 2, "{what}: what was asked for");
        assert_eq!(windows(&format!("{what}from={}", world.begin)), 2, "{what}");
    }
}

#[test]
fn what_is_not_watched_is_said_to_be_so() {
    let world = World::new();
    let of_ended = |what: &str| world.get(&format!("/api/v1/agents/{}{what}", world.ended));
    for what in ["/syscalls", "/off-cpu"] {
        let report = of_ended(what).json();
        assert_eq!((&report["watched"], &report["covered"]), (&json!(false), &json!(null)));
    }
    assert!(of_ended("/profile?type=off_cpu").problem(409).contains("not watched by the probe off_cpu"));
    assert_eq!(of_ended("/profile?type=cpu").status, 200, "watched, but never on the CPU: an empty profile");
}

#[test]
fn profiles_come_in_every_format() {
    let world = World::new();
    let get = |query: &str| world.get(&world.of_live(&format!("/profile?{query}")));

    let folded = get("type=cpu&format=folded");
    assert_eq!(folded.header("content-type"), Some("text/plain; charset=utf-8"));
    let lines = ["python3;main;hot 140", "python3;main;load (agent.py);ksys_read_[k] 50", "sh;main;hot 10"];
    assert_eq!(folded.text().lines().collect::<Vec<_>>(), lines);

    let off_cpu = get("type=off_cpu&format=folded");
    let line = "python3;wait_for_reply (agent.py);schedule_[k] 4002000";
    assert!(off_cpu.text().lines().any(|l| l == line), "{}", off_cpu.text());

    let svg = get("format=svg");
    assert_eq!(svg.header("content-type"), Some("image/svg+xml"));
    assert!(svg.header("content-security-policy").unwrap().contains("sandbox"));
    assert!(
        svg.text().contains("coder &lt;1&gt;") && svg.text().contains("hot (140 samples"),
        "{}",
        svg.text()
    );

    let speedscope = get("format=speedscope");
    assert_eq!(speedscope.json()["profiles"][0]["type"], "sampled");
    assert!(speedscope.header("content-disposition").unwrap().contains(".speedscope.json"));

    let json = get("format=json&type=off_cpu").json();
    assert_eq!((&json["type"], &json["seconds"]), (&json!("off_cpu"), &json!(4.016)));
    assert_eq!(json["stacks"][0]["cause"], "network");

    let pprof = get("");
    assert_eq!(pprof.header("content-type"), Some("application/octet-stream"));
    assert_eq!(pprof.body[..2], [0x1f, 0x8b], "gzip");
    get("type=gpu").problem(400);
    get("format=xml").problem(400);
}

#[test]
fn an_empty_range_is_an_answer_in_every_format() {
    let world = World::new();
    for format in ["pprof", "folded", "svg", "speedscope", "json"] {
        for kind in ["cpu", "off_cpu"] {
            let query = format!("/profile?since=1s&format={format}&type={kind}");
            assert_eq!(world.get(&world.of_live(&query)).status, 200, "{query}");
        }
    }
}
