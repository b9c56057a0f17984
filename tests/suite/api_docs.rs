//! The OpenAPI document against the routes, in both directions, and against what is checked in.

use std::{collections::BTreeSet, fs, net::SocketAddr, path::PathBuf, sync::Arc};

use agentperf::{
    api,
    config::Budget,
    export::prometheus::Metrics,
    model::control::Control,
    store::{Limits, Memory},
    telemetry::{HostInfo, Telemetry},
};
use serde_json::Value;

use crate::{
    api_json::Answer,
    api_schema::check,
    api_tools,
    api_world::{KEY, World},
};

fn document() -> Value {
    serde_json::to_value(api::document()).unwrap()
}

/// Method, documented path, and one that is really asked for.
type Call = (&'static str, &'static str, String);

/// Those of the doors in, and of what came through them.
fn operations(of_agent: &str) -> Vec<Call> {
    let get = |template: &'static str, path: String| ("GET", template, path);
    let same = |path: &'static str| get(path, path.to_owned());
    let record = r#"{"kind": "job", "name": "x", "duration_seconds": 1}"#;
    vec![
        get("/api/v1/agents/{id}/operations", of_agent.to_owned()),
        get("/api/v1/agents/{id}/operations", format!("{of_agent}?agent=1-1")),
        ("POST", "/v1/traces", r#"{"resourceSpans": []}"#.into()),
        ("POST", "/v1/traces", r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}"#.into()),
        ("POST", "/v1/traces", "x".into()),
        ("POST", "/v1/metrics", r#"{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{}]}]}]}"#.into()),
        ("POST", "/api/v1/performance/collect", record.into()),
        ("POST", "/api/v1/performance/collect", "7".into()),
        ("POST", "/api/v1/performance/batch", format!(r#"{{"operations": [{record}, 1]}}"#)),
        ("POST", "/api/v1/frontend-metrics", r#"{"metrics": []}"#.into()),
        same("/api/v1/operations"),
        get("/api/v1/operations", "/api/v1/operations?order=slowest&limit=0".into()),
        same("/api/v1/operations/summary"),
        get("/api/v1/operations/summary", "/api/v1/operations/summary?by=user".into()),
    ]
}

/// Those of the alerts.
fn alerts(silence: &str) -> Vec<Call> {
    let same = |path: &'static str| ("GET", path, path.to_owned());
    let wanted = r#"{"matchers": ["alertname=\"A\""], "duration": "1h", "author": "me"}"#;
    vec![
        same("/api/v1/alerts"),
        ("GET", "/api/v1/alerts", "/api/v1/alerts?state=firing".into()),
        ("GET", "/api/v1/alerts", "/api/v1/alerts?state=x".into()),
        same("/api/v1/alerts/history"),
        ("GET", "/api/v1/alerts/history", "/api/v1/alerts/history?limit=0".into()),
        same("/api/v1/alerts/rules"),
        same("/api/v1/alerts/silences"),
        same("/api/v1/alerts/receivers"),
        same("/api/v1/alerts/reactions"),
        ("POST", DUMP, DUMP.into()),
        ("POST", DUMP, DUMP.into()),
        ("GET", FILE, "/api/v1/alerts/reactions/1/files/1-recorder.jsonl.zst".into()),
        ("GET", FILE, "/api/v1/alerts/reactions/1/files/%2E%2E%2Fx".into()),
        ("POST", UNDO, "/api/v1/alerts/reactions/1/undo".into()),
        ("POST", UNDO, "/api/v1/alerts/reactions/77/undo".into()),
        ("POST", UNDO, "/api/v1/alerts/reactions/x/undo".into()),
        ("POST", TEST, "/api/v1/alerts/receivers/script/test".into()),
        ("POST", TEST, "/api/v1/alerts/receivers/nobody/test".into()),
        ("POST", "/api/v1/alerts/silences", wanted.into()),
        ("POST", "/api/v1/alerts/silences", wanted.replace("me", "")),
        ("POST", "/api/v1/alerts/silences", wanted.replace("1h", "1")),
        ("POST", "/api/v1/alerts/silences", wanted.replace("=\\\"A", "=~\\\".*")),
        ("POST", "/api/v1/alerts/silences", "x".into()),
        ("DELETE", "/api/v1/alerts/silences/{id}", format!("/api/v1/alerts/silences/{silence}")),
        ("DELETE", "/api/v1/alerts/silences/{id}", "/api/v1/alerts/silences/x".into()),
        ("DELETE", "/api/v1/alerts/silences/{id}", format!("/api/v1/alerts/silences/{}", "0".repeat(32))),
    ]
}

/// Those of what is read off the wire.
fn wire(world: &World) -> Vec<Call> {
    let get = |route: &'static str, what: &str| ("GET", route, format!("{route}{what}"));
    let of_agent = |what: String| ("GET", "/api/v1/agents/{id}/coverage", what);
    let content = |path: String| ("GET", "/api/v1/agents/{id}/content", path);
    let http = |what: &str| ("GET", "/api/v1/agents/{id}/http", world.of_live(&format!("/http{what}")));
    vec![
        get("/api/v1/llm-calls", ""),
        get("/api/v1/llm-calls/summary", ""),
        get("/api/v1/llm-calls/summary", "?by=agent"),
        get("/api/v1/llm-calls/summary", "?by=x"),
        get("/api/v1/llm-calls", "?order=slowest&limit=1&failed=true"),
        get("/api/v1/llm-calls", "?order=x"),
        get("/api/v1/mcp-calls", ""),
        get("/api/v1/mcp-calls", "?limit=0"),
        get("/api/v1/coverage", ""),
        of_agent(world.of_live("/coverage")),
        of_agent("/api/v1/agents/1-1/coverage".to_owned()),
        content(world.of_live("/content")),
        content(world.of_live("/content?call=00a1b2c3d4e5f607&limit=1")),
        content(world.of_live("/content?call=x")),
        content("/api/v1/agents/1-1/content".to_owned()),
        http(""),
        http("?by=route&limit=1"),
        http("?by=server"),
        http("?by=process&since=60s"),
        http("?by=x"),
    ]
}

/// Those of tool calls.
fn tools(world: &World) -> Vec<Call> {
    let of_agent = |what: &str| ("GET", "/api/v1/agents/{id}/tools", what.to_owned());
    let of_call = |path: String| ("GET", "/api/v1/tools/{id}", path);
    vec![
        of_agent(&world.of_live("/tools")),
        of_agent(&world.of_live("/tools?order=busiest&limit=1")),
        of_agent(&world.of_live("/tools?kind=x")),
        of_agent("/api/v1/agents/1-1/tools"),
        of_call(api_tools::first(world)),
        of_call("/api/v1/tools/x".into()),
        of_call("/api/v1/tools/1-1".into()),
    ]
}

fn of_agents(world: &World) -> Vec<Call> {
    let live = |what: &str| world.of_live(what);
    let ended = |what: &str| format!("/api/v1/agents/{}{what}", world.ended);
    let get = |template: &'static str, path: String| ("GET", template, path);
    vec![
        get("/api/v1/agents/{id}", live("")),
        get("/api/v1/agents/{id}", ended("")),
        get("/api/v1/agents/{id}", "/api/v1/agents/1-1".into()),
        get("/api/v1/agents/{id}", "/api/v1/agents/x".into()),
        ("DELETE", "/api/v1/agents/{id}", ended("")),
        ("DELETE", "/api/v1/agents/{id}", "/api/v1/agents/1-1".into()),
        get("/api/v1/agents/{id}/processes", live("/processes")),
        get("/api/v1/agents/{id}/processes", ended("/processes")),
        get("/api/v1/agents/{id}/gpus", live("/gpus")),
        get("/api/v1/agents/{id}/cuda", live("/cuda")),
        get("/api/v1/agents/{id}/cuda", live("/cuda?by=process")),
        get("/api/v1/agents/{id}/cuda", ended("/cuda?by=x")),
        get("/api/v1/agents/{id}/files", live("/files")),
        get("/api/v1/agents/{id}/files", live("/files?by=directory&limit=1")),
        get("/api/v1/agents/{id}/files", live("/files?by=process")),
        get("/api/v1/agents/{id}/files", ended("/files?by=x")),
        get("/api/v1/agents/{id}/syscalls", live("/syscalls")),
        get("/api/v1/agents/{id}/syscalls", live("/syscalls?by=process")),
        get("/api/v1/agents/{id}/syscalls", ended("/syscalls")),
        get("/api/v1/agents/{id}/off-cpu", live("/off-cpu")),
        get("/api/v1/agents/{id}/off-cpu", live("/off-cpu?limit=x")),
        get("/api/v1/agents/{id}/locks", live("/locks")),
        get("/api/v1/agents/{id}/locks", live("/locks?limit=0")),
        get("/api/v1/agents/{id}/network", live("/network")),
        get("/api/v1/agents/{id}/network", live("/network?by=process&limit=1")),
        get("/api/v1/agents/{id}/network", live("/network?by=host")),
        get("/api/v1/agents/{id}/network", ended("/network?by=x")),
        get("/api/v1/agents/{id}/disk", live("/disk")),
        get("/api/v1/agents/{id}/disk", live("/disk?by=process&offset=1")),
        get("/api/v1/agents/{id}/disk", ended("/disk?by=x")),
        get("/api/v1/agents/{id}/stacks/quality", live("/stacks/quality")),
        get("/api/v1/agents/{id}/stacks/quality", live("/stacks/quality?since=x")),
        get("/api/v1/agents/{id}/profile", live("/profile")),
        get("/api/v1/agents/{id}/profile", live("/profile?format=folded")),
        get("/api/v1/agents/{id}/profile", live("/profile?format=svg")),
        get("/api/v1/agents/{id}/profile", live("/profile?format=json&type=cpu")),
        get("/api/v1/agents/{id}/profile", live("/profile?format=json&type=off_cpu")),
        get("/api/v1/agents/{id}/profile", ended("/profile?type=off_cpu")),
        get("/api/v1/agents/{id}/blocked-on", live("/blocked-on")),
        get("/api/v1/agents/{id}/blocked-on", ended("/blocked-on")),
        get("/api/v1/agents/{id}/blocked-on", live("/blocked-on?x=1")),
        get("/api/v1/agents/{id}/blocked-on/longest", live("/blocked-on/longest?since=60s")),
        get("/api/v1/agents/{id}/blocked-on/longest", ended("/blocked-on/longest")),
        get("/api/v1/agents/{id}/blocked-on/longest", live("/blocked-on/longest?limit=101")),
        get("/api/v1/agents/{id}/timeline", live("/timeline")),
        get("/api/v1/agents/{id}/timeline", ended("/timeline")),
        get("/api/v1/agents/{id}/timeline", live("/timeline?resolution=0s")),
        get("/api/v1/agents/{id}/turns", live("/turns")),
        get("/api/v1/agents/{id}/turns", ended("/turns?gap=1m")),
        get("/api/v1/agents/{id}/turns", live("/turns?gap=0s")),
        get("/api/v1/agents/{id}/ledger", live("/ledger")),
        get("/api/v1/agents/{id}/ledger", ended("/ledger")),
        get("/api/v1/agents/{id}/ledger", live("/ledger?since=x")),
    ]
}

/// At least one good request of every operation, and some refused ones.
fn calls(world: &World) -> Vec<Call> {
    let live = |what: &str| world.of_live(what);
    let get = |template: &'static str, path: String| ("GET", template, path);
    let same = |path: &'static str| get(path, path.to_owned());
    let mut calls = operations(&live("/operations"));
    calls.extend([alerts(&world.silence), tools(world), wire(world)].concat());
    calls.extend(of_agents(world));
    calls.extend([
        same("/"),
        same("/healthz"),
        same("/readyz"),
        same("/api/v1/status"),
        same("/api/v1/docs"),
        same("/api/v1/openapi.json"),
        same("/api/v1/agents"),
        same("/api/v1/dashboard"),
        get("/api/v1/dashboard", "/api/v1/dashboard?hours=744".into()),
        get("/api/v1/dashboard", "/api/v1/dashboard?hours=0".into()),
        same("/api/v1/system/info"),
        same("/api/v1/system/metrics"),
        get("/api/v1/system/metrics", "/api/v1/system/metrics?points=0".into()),
        same("/debug/pprof/"),
        ("POST", "/api/v1/agents", "4711".into()),
        ("POST", "/api/v1/agents", "0".into()),
        ("POST", "/api/v1/agents", "5".into()),
        ("POST", "/api/v1/agents", "8".into()),
        ("POST", "/api/v1/agents", "9".into()),
        ("POST", "/api/v1/agents", "11".into()),
        ("POST", "/api/v1/agents", "100".into()),
        get("/metrics", "/metrics".into()),
        get("/debug/pprof/profile", "/debug/pprof/profile?seconds=1&pid=100".into()),
        get("/debug/pprof/profile", "/debug/pprof/profile?seconds=1&pid=9".into()),
        get("/debug/pprof/profile", "/debug/pprof/profile".into()),
        // Last: there is no live agent afterwards.
        ("DELETE", "/api/v1/agents/{id}", live("")),
    ]);
    calls
}

/// Tests of receivers and what is done with reactions, which take no body.
const TEST: &str = "/api/v1/alerts/receivers/{name}/test";
const DUMP: &str = "/api/v1/alerts/reactions/dump";
const UNDO: &str = "/api/v1/alerts/reactions/{id}/undo";
const FILE: &str = "/api/v1/alerts/reactions/{id}/files/{name}";

fn ask(world: &World, method: &str, template: &str, path: &str) -> Answer {
    match method {
        "POST" if [TEST, DUMP, UNDO].contains(&template) => world.send(method, path, &[], b""),
        "POST" if template != "/api/v1/agents" => {
            let bearer = format!("Bearer {KEY}");
            let headers = [("Content-Type", "application/json"), ("Authorization", &*bearer)];
            world.send(method, template, &headers, path.as_bytes())
        }
        "POST" => world.post("/api/v1/agents", &format!("{{\"pid\": {path}}}")),
        _ => world.send(method, path, &[], b""),
    }
}

/// Every answer is one that the document announces, in status, media type and shape.
#[test]
fn answers_are_as_documented() {
    let (world, document) = (World::new(), document());
    for (method, template, path) in calls(&world) {
        let answer = ask(&world, method, template, &path);
        let operation = &document["paths"][template][method.to_lowercase()];
        let announced = &operation["responses"][answer.status.to_string()];
        assert!(announced.is_object(), "{method} {path}: {} is not documented", answer.status);
        let media_type = answer.header("content-type").unwrap();
        let content = &announced["content"][media_type];
        assert!(content.is_object(), "{method} {path}: {} as {media_type} is not documented", answer.status);
        if media_type.ends_with("json") && template != "/api/v1/openapi.json" {
            let wrong = check(&document, &content["schema"], &answer.json());
            assert_eq!(wrong, [] as [&str; 0], "{method} {path}");
        }
    }
}

/// The calls above leave no operation out, and none of the documented ones is missing from the router.
#[test]
fn every_documented_operation_is_there() {
    let (world, document) = (World::new(), document());
    let calls = calls(&world);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let mut of_it = calls.iter().filter(|c| c.0.eq_ignore_ascii_case(method) && c.1 == path);
            let (method, _, concrete) =
                of_it.next().unwrap_or_else(|| panic!("{method} {path} is never tried"));
            let status = ask(&world, method, path, concrete).status;
            assert!(!matches!(status, 404 | 405), "{method} {path}: {status}");
        }
    }
}

/// The router's own list of paths: whatever way a route got there.
#[test]
fn every_route_is_documented() {
    let telemetry = Arc::new(Telemetry::default());
    let store = Arc::new(Memory::new(Limits::default(), telemetry.clone()));
    let (_, ready) = tokio::sync::watch::channel(true);
    let listen: SocketAddr = "127.0.0.1:7575".parse().unwrap();
    let metrics = Arc::new(Metrics::new(100, telemetry.clone(), HostInfo::read(), Budget::default()));
    let state =
        api::State::new(store, Control::channel().0, telemetry, HostInfo::read(), metrics, ready, listen);
    let printed = format!("{:?}", api::router(state));
    let ours = |path: &&str| path.starts_with('/') && !path.contains("__private__");
    let routed: BTreeSet<_> = printed.split('"').filter(ours).collect();
    let document = document();
    let documented: BTreeSet<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert!(routed.len() > 10, "the router prints its paths: {printed}");
    assert_eq!(routed, documented);
}

#[test]
fn every_operation_says_what_it_is_for() {
    let document = document();
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|t| t["name"].clone().to_string()).collect();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let at = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{at}");
            assert!(tags.contains(&operation["tags"][0].to_string()), "{at}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(
                    parameter["description"].as_str().is_some_and(|s| !s.is_empty()),
                    "{at}: {parameter}"
                );
            }
        }
    }
}

/// The copy in docs/ is for readers without a daemon. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn the_checked_in_document_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let current = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &current).unwrap();
    }
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        current == checked_in,
        "docs/openapi.json is not what the routes say: UPDATE_GOLDEN=1 cargo test -p agentperf-tests writes it anew"
    );
}

/// What the server sends is the document.
#[test]
fn the_document_is_served() {
    let world = World::new();
    assert_eq!(world.get("/api/v1/openapi.json").json(), document());
    let page = world.get("/api/v1/docs");
    for path in document()["paths"].as_object().unwrap().keys() {
        assert!(page.text().contains(&format!("<code>{path}</code>")), "{path}");
    }
}
