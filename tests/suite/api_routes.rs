//! Health, status, agents: the daily round.

use serde_json::json;

use crate::api_world::World;

#[test]
fn health_does_not_wait_for_readiness() {
    let world = World::new();
    assert_eq!(world.get("/readyz").json(), json!({"status": "ready"}));
    world.ready.send(false).unwrap();
    assert_eq!(world.get("/healthz").json(), json!({"status": "ok"}));
    assert_eq!(world.get("/readyz").problem(503), "agentperf is starting or shutting down");
}

#[test]
fn status_shows_probes_losses_and_own_cost() {
    let world = World::new();
    let status = world.get("/api/v1/status").json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["agents"], json!({"live": 1, "ended": 1}));
    let reason = "the kernel is older than 5.11: a hash by tid stands in";
    assert_eq!(
        status["probes"][1],
        json!({"name": "task_storage", "purpose": "per-thread state", "state": "substituted", "attached": false,
            "reason": reason})
    );
    assert_eq!(status["losses"]["symbols_unread"], 1);
    assert_eq!(status["losses"]["window_dropped"], 0, "what did not happen is shown too");
    assert!(status["own"]["rss_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(status["kernel"].as_str().unwrap().contains('.'));
}

#[test]
fn an_agent_is_attached_read_and_detached() {
    let world = World::new();
    let made = world.post(
        "/api/v1/agents",
        r#"{"pid": 4711, "name": "mine", "for": "30s", "probes": ["cpu", "syscalls"]}"#,
    );
    assert_eq!(made.status, 201);
    let agent = made.json();
    let path = made.header("location").unwrap().to_owned();
    assert_eq!(path, format!("/api/v1/agents/{}", agent["id"].as_str().unwrap()));
    assert_eq!(
        (&agent["pid"], &agent["name"], &agent["state"]),
        (&json!(4711), &json!("mine"), &json!("live"))
    );
    assert_eq!((&agent["source"], &agent["rule"]), (&json!("attach"), &json!(null)));
    assert_eq!(agent["probes"], json!(["cpu", "syscalls"]));
    assert!(agent["expires"].as_str().unwrap().ends_with('Z'), "times are RFC 3339 in UTC");
    assert_eq!(world.get(&path).json(), agent);

    let ended = world.delete(&path);
    assert_eq!(ended.status, 200);
    assert_eq!((&ended.json()["state"], &ended.json()["end_reason"]), (&json!("ended"), &json!("detached")));
    assert_eq!(world.get(&path).json(), ended.json(), "what is known of it is kept");
    assert!(world.delete(&path).problem(409).contains("has already ended"));
}

#[test]
fn every_probe_is_on_unless_some_are_named() {
    let world = World::new();
    let all = world.post("/api/v1/agents", r#"{"pid": 4711}"#).json();
    let probes = ["cpu", "off_cpu", "syscalls", "ledger", "cuda", "wire", "files", "network", "disk"];
    assert_eq!(all["probes"], json!(probes));
    assert_eq!(all["expires"], json!(null));
    let none = world.post("/api/v1/agents", r#"{"pid": 4712, "probes": []}"#).json();
    assert_eq!(none["probes"], json!([]));
}

#[test]
fn agents_are_listed_with_what_ended() {
    let world = World::new();
    let list = world.get("/api/v1/agents").json();
    let agents = list["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 2);
    assert_eq!((&agents[0]["name"], &agents[0]["rule"]), (&json!("coder <1>"), &json!("claude-code")));
    assert_eq!((&agents[1]["state"], &agents[1]["end_reason"]), (&json!("ended"), &json!("exited")));
}

#[test]
fn every_refusal_to_attach_says_why() {
    let world = World::new();
    let attach = |pid: u32| world.post("/api/v1/agents", &format!("{{\"pid\": {pid}}}"));
    for (pid, status, says) in [
        (2, 400, "kernel thread"),
        (3, 404, "has exited"),
        (4, 400, "attach to 100"),
        (5, 403, "agentperf itself"),
        (6, 409, "no BTF"),
        (7, 409, "already tracing 256 agents"),
        (8, 503, "shutting down"),
        (9, 404, "no process has pid 9"),
        (10, 409, "part of another agent"),
        (11, 500, "its log says why"),
        (12, 409, "does not show it"),
        (100, 409, "already traced as part of agent"),
    ] {
        let detail = attach(pid).problem(status);
        assert!(detail.contains(says), "{detail}");
    }
}

#[test]
fn unknown_ended_and_malformed_agents_are_told_apart() {
    let world = World::new();
    let below = ["", "/processes", "/syscalls", "/off-cpu", "/profile"];
    for what in below {
        world.get(&format!("/api/v1/agents/1-1{what}")).problem(404);
        for id in
            ["x", "1", "-", "1-", "-1", "1-1-1x", "%20", "1%2D", "+1-1", "01-1", "1-9999999999999999999999"]
        {
            let detail = world.get(&format!("/api/v1/agents/{id}{what}")).problem(400);
            assert!(detail.contains("PID-STARTMS"), "{detail}");
        }
        assert_eq!(world.get(&format!("/api/v1/agents/{}{what}", world.ended)).status, 200, "{what}");
    }
    world.delete("/api/v1/agents/1-1").problem(404);
    world.delete("/api/v1/agents/x").problem(400);
    world.delete(&format!("/api/v1/agents/{}", world.ended)).problem(409);
}

#[test]
fn pages_need_nothing_from_elsewhere() {
    let world = World::new();
    for path in ["/", "/api/v1/docs", "/debug/pprof/"] {
        let page = world.get(path);
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        let html = page.text();
        assert!(
            !html.contains("<script") && !html.contains("src=") && !html.contains("href=\"http"),
            "{path}"
        );
    }
    let front = world.get("/");
    assert!(front.text().contains("· 1 losses · 7 small rows merged<"), "merging loses no sum");
    assert!(front.text().contains("coder &lt;1&gt;") && !front.text().contains("coder <1>"));
    assert!(front.text().contains(&world.of_live("/profile?type=cpu&amp;format=svg")));
}
