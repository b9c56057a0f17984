//! Flask and FastAPI with OpenTelemetry's own instrumentation: every request is an operation under its route, tied to the
//! process that served it, whose stacks of that time show what it did.

use std::net::TcpListener;

use serde_json::Value;

use super::{MARK, Script, daemon, nothing_planted, operations, wait_for};
use crate::support::{api::Api, daemon::Daemon, ledger::sees_connections};

/// An application that runs, and the agent that it is.
struct App {
    script: Script,
    base: String,
    agent: String,
    pid: u32,
}

impl App {
    fn start(daemon: &Daemon, name: &str, lie: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.to_string();
        let arguments = [&[&*port, daemon.api().base()], lie].concat();
        let mut script = Script::start(name, &arguments);
        assert_eq!(script.line(), "ready");
        let pid = script.child.id();
        let agent = daemon.api().attach(pid);
        Self { script, base: format!("http://127.0.0.1:{port}"), agent, pid }
    }

    fn ask(&self, path: &str, status: u16) {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let answer = ureq::Agent::from(config).get(format!("{}{path}", self.base)).call().unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

fn text<'a>(operation: &'a Value, key: &str) -> &'a str {
    operation[key].as_str().unwrap_or_default()
}

/// Requests of every sort, and what must have come of them.
fn requests_are_operations(name: &str, route: &str, failing: u64) {
    let daemon = daemon(&[], 1000);
    let api = daemon.api();
    let mut app = App::start(&daemon, name, &[]);
    for number in 0..5 {
        app.ask(&format!("/orders/{number}?token={MARK}"), 200);
    }
    app.ask(&format!("/orders/77?cpu=0.6&token={MARK}"), 200);
    app.ask("/fail", u16::try_from(failing).unwrap());
    app.ask("/nowhere/4711", 404);
    app.script.flush();

    let all = wait_for(api, "kind=http_server&source=otlp", 8);
    assert_eq!(all.len(), 8, "{all:?}");
    let orders: Vec<_> = all.iter().filter(|o| text(o, "name") == route).collect();
    assert_eq!(orders.len(), 6, "{all:?}");
    for operation in &all {
        assert_eq!(text(operation, "agent"), app.agent, "{operation}");
        assert_eq!(operation["pid"], app.pid, "{operation}");
        assert_eq!(text(operation, "method"), "GET", "{operation}");
        assert_eq!(operation["labels"]["service.name"], "orders", "{operation}");
    }
    let failed = operations(api, "kind=http_server&failed=true");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!((text(&failed[0], "name"), &failed[0]["status"]), ("/fail", &failing.into()));
    assert!(all.iter().all(|o| !text(o, "name").contains("4711")), "{all:?}");

    slow_requests_show_their_stacks(api, &app);
    what_is_served_is_read_off_the_wire(&daemon, &app, failing);
    sums_agree(api, route);
    metrics_become_sums(api);
    let of_agent = format!("/api/v1/agents/{}/operations?since=1h", app.agent);
    assert!(api.get(&of_agent).expect(200).json()["total"].as_u64().unwrap() >= 8);
    api.detach(&app.agent);
    nothing_planted(&daemon, &[&of_agent, &format!("/api/v1/agents/{}/http?since=1h", app.agent)]);
}

fn slow_requests_show_their_stacks(api: &Api, app: &App) {
    let slowest = &operations(api, "kind=http_server&source=otlp&order=slowest")[0];
    let seconds = slowest["duration_seconds"].as_f64().unwrap();
    assert!(seconds >= 0.6, "{slowest}");
    api.detach(&app.agent);
    let links = &slowest["stacks"];
    let folded = |link: &str| {
        let link = text(links, link).replace("format=svg", "format=folded");
        api.get(&link).expect(200).text()
    };
    assert!(folded("cpu").contains("burn_for"), "{slowest}: {}", folded("cpu"));
    assert!(!folded("off_cpu").is_empty(), "{slowest}");
    api.attach(app.pid);
}

/// The same requests by what the sockets said.
fn what_is_served_is_read_off_the_wire(daemon: &Daemon, app: &App, failing: u64) {
    if !sees_connections(daemon) {
        return;
    }
    let path = format!("/api/v1/agents/{}/http?since=1h", app.agent);
    let told = daemon.api().get(&path).expect(200).json();
    let rows = told["endpoints"].as_array().unwrap().iter().filter(|row| row["side"] == "server");
    let key = |row: &Value| (text(row, "route").to_owned(), row["status"].as_u64(), row["requests"].as_u64());
    let mut served: Vec<_> = rows.map(key).collect();
    served.sort();
    let one = |route: &str, status, count| (route.to_owned(), Some(status), Some(count));
    let expected = [one("/fail", failing, 1), one("/nowhere/{id}", 404, 1), one("/orders/{id}", 200, 6)];
    assert_eq!(served, expected, "{told:#}");
}

/// The summary is of the same operations.
fn sums_agree(api: &Api, route: &str) {
    let summary = api.get("/api/v1/operations/summary?kind=http_server&source=otlp").expect(200).json();
    assert_eq!(summary["total"]["count"], 8, "{summary}");
    assert_eq!(summary["total"]["errors"], 1, "{summary}");
    let groups = summary["groups"].as_array().unwrap();
    let orders = groups.iter().find(|g| g["name"] == route).unwrap();
    assert_eq!(orders["count"], 6, "{summary}");
    let single = operations(api, "kind=http_server&source=otlp");
    let longest = single.iter().map(|o| o["duration_seconds"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(orders["max_seconds"].as_f64().unwrap(), longest);
    let p99 = orders["p99_seconds"].as_f64().unwrap();
    assert!((p99 - longest).abs() <= longest * 0.05, "{p99} of {longest}");
}

/// The frameworks' own histograms are cumulative: the second point says what came since the first.
fn metrics_become_sums(api: &Api) {
    let losses = api.losses();
    let refused = losses.iter().find(|(name, _)| name == "operation_refused");
    assert!(refused.is_some(), "metrics that are not kept are refused, and counted: {losses:?}");
}

#[test]
fn requests_of_flask_are_operations() {
    requests_are_operations("flask_app.py", "/orders/<int:number>", 500);
}

#[test]
fn requests_of_fastapi_are_operations() {
    requests_are_operations("fastapi_app.py", "/orders/{number}", 503);
}

#[test]
fn cumulative_histograms_become_sums() {
    let daemon = daemon(&[], 1000);
    let mut app = App::start(&daemon, "flask_app.py", &[]);
    app.ask("/orders/1", 200);
    app.script.flush();
    for number in 0..7 {
        app.ask(&format!("/orders/{number}"), 200);
    }
    app.script.flush();
    let path = "/api/v1/operations/summary?source=otlp_metrics";
    let summary = crate::support::api::eventually("sums of the histogram", || {
        let summary = daemon.api().get(path).expect(200).json();
        (summary["total"]["count"] == 7).then_some(summary)
    });
    assert_eq!(summary["groups"][0]["kind"], "http_server", "{summary}");
}

#[test]
fn a_lie_about_the_sender_is_not_believed() {
    let daemon = daemon(&[], 1000);
    let mut app = App::start(&daemon, "flask_app.py", &["1"]);
    app.ask("/orders/1", 200);
    app.script.flush();
    let all = wait_for(daemon.api(), "kind=http_server", 1);
    assert!(all[0]["agent"].is_null() && all[0]["pid"].is_null() && all[0]["stacks"].is_null(), "{all:?}");
    assert!(daemon.api().loss("operation_unproven") > 0);
}
