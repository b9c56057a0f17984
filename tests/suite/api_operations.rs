//! The doors for operations, and what the API makes of what came through them.

use serde_json::{Value, json};

use crate::{
    api_json::Answer,
    api_world::{KEY, World},
};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn send(world: &World, path: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {KEY}");
    world.send("POST", path, &[JSON, ("Authorization", &bearer)], body.to_string().as_bytes())
}

fn job(name: &str, seconds: f64) -> Value {
    json!({ "kind": "job", "name": name, "duration_seconds": seconds })
}

#[test]
fn what_is_sent_is_listed_and_added_up() {
    let world = World::new();
    let mut records: Vec<Value> = (1..=20).map(|n| job("import", f64::from(n) / 10.0)).collect();
    for (n, record) in records.iter_mut().enumerate() {
        record["user"] = json!(format!("user {}", n % 4));
        record["success"] = json!(n % 5 != 0);
        record["labels"] = json!({ "service.name": "nightly", "secret": "planted" });
    }
    records.push(job("", 1.0));
    let answer = send(&world, "/api/v1/performance/batch", &json!({ "operations": records })).json();
    assert_eq!(
        (&answer["accepted"], &answer["refused"], &answer["labels_dropped"]),
        (&json!(20), &json!(1), &json!(20))
    );
    assert_eq!(answer["refusals"][0]["index"], 20);

    let page = world.get("/api/v1/operations?order=slowest&limit=3").json();
    let seconds: Vec<_> =
        page["operations"].as_array().unwrap().iter().map(|o| &o["duration_seconds"]).collect();
    assert_eq!(seconds, [2.0, 1.9, 1.8]);
    assert_eq!((&page["total"], &page["next_offset"]), (&json!(20), &json!(3)));
    assert_eq!(page["operations"][0]["labels"], json!({ "service.name": "nightly" }));
    let last = world.get("/api/v1/operations?offset=19&limit=3").json();
    assert_eq!((last["operations"].as_array().unwrap().len(), &last["next_offset"]), (1, &Value::Null));

    let summary = world.get("/api/v1/operations/summary").json();
    let group = &summary["groups"][0];
    assert_eq!((&group["count"], &group["errors"], &group["users"]), (&json!(20), &json!(4), &json!(4)));
    for (percentile, truth) in [("p50_seconds", 1.0), ("p90_seconds", 1.8), ("p99_seconds", 2.0)] {
        let told = group[percentile].as_f64().unwrap();
        assert!((told - truth).abs() <= truth * 0.05, "{percentile}: {told}");
    }
    let glance = &world.get("/api/v1/dashboard").json()["operations"];
    assert_eq!(
        (&glance["requests"], &glance["errors"], &glance["endpoints_total"]),
        (&json!(20), &json!(4), &json!(1))
    );
    assert_eq!(
        (&glance["slowest"][0]["name"], &glance["slowest"][0]["p99_seconds"]),
        (&json!("import"), &group["p99_seconds"])
    );
    let users = world.get("/api/v1/operations/summary?by=user").json();
    assert_eq!(users["groups_total"], 4);
    assert!(!users.to_string().contains("user 1") && !page.to_string().contains("planted"));
}

#[test]
fn a_refused_record_is_an_error_that_names_the_field() {
    let world = World::new();
    for (record, says) in [
        (json!({ "kind": "job", "name": "s3 import 2024" }), "lacks `duration_seconds`"),
        (json!({ "kind": "job", "name": 7, "duration_seconds": 1 }), "in `name`"),
        (
            json!({ "kind": "job", "name": "x", "duration_seconds": 1, "planted": 1 }),
            "expected one of `kind`",
        ),
        (job("re\u{202e}versed", 1.0), "not printable"),
    ] {
        let detail = send(&world, "/api/v1/performance/collect", &record).problem(422);
        assert!(detail.contains(says) && !detail.contains("planted"), "{detail}");
    }
    send(&world, "/api/v1/performance/collect", &job("s3 import 2024", 1.0)).json();
    let page = world.get("/api/v1/operations").json();
    assert_eq!(page["operations"][0]["name"], "s3 import 2024");
    assert_eq!(page["total"], 1);
    let detail = world.get("/api/v1/operations?limit=x").problem(400);
    assert!(detail.contains("expected a whole number"), "{detail}");
}

#[test]
fn a_key_is_needed_and_every_way_to_show_it_works() {
    let world = World::new();
    let body = job("x", 1.0).to_string();
    let door = "/api/v1/performance/collect";
    world.send("POST", door, &[JSON], body.as_bytes()).problem(401);
    for wrong in ["Bearer wrong", "Basic dXNlcg==", "Bearer ", &format!("Bearer {KEY}x")] {
        let answer = world.send("POST", door, &[JSON, ("Authorization", wrong)], body.as_bytes());
        assert!(!answer.problem(401).contains(KEY));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(world.send("POST", door, &[JSON, ("X-Agentperf-Key", KEY)], body.as_bytes()).status, 200);
    // Only pages have to show it in an address, which others may read.
    world.send("POST", &format!("{door}?key={KEY}"), &[JSON], body.as_bytes()).problem(401);
    let page = format!("/api/v1/frontend-metrics?key={KEY}");
    let text = [("Content-Type", "text/plain;charset=UTF-8")];
    assert_eq!(world.send("POST", &page, &text, br#"{"metrics": []}"#).status, 200);
}

#[test]
fn pages_of_configured_origins_may_send_and_nothing_else() {
    let world = World::new();
    let page = format!("/api/v1/frontend-metrics?key={KEY}");
    let body = br#"{"metrics": []}"#;
    let from = |origin| [JSON, ("Origin", origin), ("Sec-Fetch-Site", "cross-site")];
    let asked = world.send("OPTIONS", "/api/v1/frontend-metrics", &from("https://shop.example"), b"");
    assert_eq!(asked.status, 204);
    assert_eq!(asked.header("access-control-allow-origin"), Some("https://shop.example"));
    let sent = world.send("POST", &page, &from("https://shop.example"), body);
    assert_eq!(
        (sent.status, sent.header("access-control-allow-origin")),
        (200, Some("https://shop.example"))
    );
    for origin in ["https://evil.example", "null", "https://shop.example.evil.example", "http://shop.example"]
    {
        let refused = world.send("POST", &page, &from(origin), body);
        refused.problem(403);
        assert_eq!(refused.header("access-control-allow-origin"), None);
        world.send("OPTIONS", &page, &from(origin), b"").problem(403);
    }
    for path in ["/api/v1/operations", "/api/v1/agents", "/api/v1/performance/collect", "/v1/traces"] {
        world.send("GET", path, &from("https://shop.example"), b"").problem(403);
        world.send("POST", path, &from("https://shop.example"), b"{}").problem(403);
        world.send("OPTIONS", path, &from("https://shop.example"), b"").problem(403);
    }
    world.send("GET", "/api/v1/frontend-metrics", &from("https://shop.example"), b"").problem(403);
    // One's own pages are no configured origin: the project does not name them.
    world.send("POST", &page, &[JSON, ("Origin", "http://localhost:7575")], body).problem(403);
}

#[test]
fn spans_in_json_are_answered_in_json() {
    let world = World::new();
    let now = jiff::Timestamp::now().as_nanosecond();
    let span = |start: i128, end: i128| {
        json!({ "name": "GET /items/17?q=planted", "kind": 2,
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
        "attributes": [{ "key": "db.statement", "value": { "stringValue": "planted" } }, { "key": "http.method", "value": { "stringValue": "GET" } }] })
    };
    let spans =
        [span(now - 5_000_000, now), span(now, now - 1), span(1, 2), span(now + (1 << 60), now + (1 << 60))];
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let answer = send(&world, "/v1/traces", &body).json();
    let partial = &answer["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "3", "{answer}");
    let message = partial["errorMessage"].as_str().unwrap();
    for says in ["ends before it begins", "24 h ago", "future"] {
        assert!(message.contains(says), "{message}");
    }
    let page = world.get("/api/v1/operations").text().to_owned();
    assert!(page.contains("\"db\"") && !page.contains("planted"), "{page}");
    assert_eq!(send(&world, "/v1/traces", &json!({ "resourceSpans": [] })).json(), json!({}));
}

/// A request of OTLP with so many histograms, of so many points of one request each.
fn histograms(count: usize, points: usize) -> Value {
    let now = jiff::Timestamp::now().as_nanosecond().to_string();
    let point = json!({ "startTimeUnixNano": now, "timeUnixNano": now, "bucketCounts": [1], "sum": 0.25 });
    let histogram = json!({ "aggregationTemporality": 1, "dataPoints": vec![point; points] });
    let metric = json!({ "name": "http.server.request.duration", "histogram": histogram });
    json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": vec![metric; count] }] }] })
}

#[test]
fn work_that_spans_and_metrics_tell_is_counted_once() {
    let world = World::new();
    let now = jiff::Timestamp::now().as_nanosecond();
    let span = json!({ "name": "GET /", "kind": 2, "startTimeUnixNano": (now - 5_000_000).to_string(),
        "endTimeUnixNano": now.to_string(),
        "attributes": [{ "key": "http.route", "value": { "stringValue": "/" } }] });
    let spans = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": vec![span; 4] }] }] });
    assert_eq!(send(&world, "/v1/traces", &spans).json(), json!({}));
    assert_eq!(send(&world, "/v1/metrics", &histograms(1, 4)).json(), json!({}));
    let summary = world.get("/api/v1/operations/summary").json();
    assert_eq!(summary["total"]["count"], 4, "{summary}");
    let sources = summary["sources"].as_array().unwrap();
    let counts: Vec<_> = sources.iter().map(|of| (of["source"].as_str().unwrap(), &of["count"])).collect();
    assert_eq!(counts, [("otlp", &json!(4)), ("otlp_metrics", &json!(4))]);
    let metrics = world.get("/api/v1/operations/summary?source=otlp_metrics").json();
    assert_eq!(metrics["total"]["count"], 4, "{metrics}");
}

#[test]
fn each_point_of_a_metric_counts_for_the_rate() {
    let world = World::new();
    let answer = send(&world, "/v1/metrics", &histograms(5, 250)).json();
    let partial = &answer["partialSuccess"];
    assert_eq!(partial["rejectedDataPoints"], "250", "{answer}");
    assert!(partial["errorMessage"].as_str().unwrap().contains("beyond the 1000"), "{answer}");
    // Ten thousand may come at once; far fewer than ten thousand requests are enough.
    let statuses = (0..100).map(|_| send(&world, "/v1/metrics", &histograms(4, 250)).status);
    let limited = statuses.into_iter().position(|status| status == 429);
    assert!(limited.is_some_and(|at| at >= 9), "{limited:?}");
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    let world = World::new();
    for query in [
        "limit=0",
        "limit=1001",
        "offset=10001",
        "order=fastest",
        "agent=x",
        "source=x",
        "since=x",
        "x=1",
        "failed=2",
    ] {
        world.get(&format!("/api/v1/operations?{query}")).problem(400);
    }
    for query in ["by=name", "limit=0", "agent=x", "failed=true"] {
        world.get(&format!("/api/v1/operations/summary?{query}")).problem(400);
    }
    world.get("/api/v1/agents/1-1/operations").problem(404);
}
