//! Requests from who means no good, or does not know better: each gets the right status and one sentence,
//! and the server goes on.

use crate::api_world::World;

#[test]
fn foreign_hosts_are_refused() {
    let world = World::new();
    for host in
        ["evil.example", "evil.example:7575", "localhost.evil.example", "192.0.2.1", "user@localhost", ""]
    {
        let detail = world.send("GET", "/healthz", &[("Host", host)], b"").problem(403);
        assert!(detail.contains("Host header"), "{detail}");
    }
    let port = world.address.port();
    for host in ["localhost", "LOCALHOST:1", "[::1]:99", "127.0.0.1", &format!("127.0.0.1:{port}")] {
        assert_eq!(world.send("GET", "/healthz", &[("Host", host)], b"").status, 200, "{host}");
    }
}

#[test]
fn foreign_origins_are_refused_whatever_they_ask() {
    let world = World::new();
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", "chrome-extension://abc"]
    {
        let headers = [("Origin", origin), ("Content-Type", "application/json")];
        world.send("GET", "/api/v1/agents", &headers, b"").problem(403);
        world.send("POST", "/api/v1/agents", &headers, br#"{"pid": 4711}"#).problem(403);
        world.send("OPTIONS", "/api/v1/agents", &headers, b"").problem(403);
    }
    assert_eq!(world.get("/api/v1/agents").json()["agents"].as_array().unwrap().len(), 2, "nothing was done");
    let own = [("Origin", "http://localhost:7575")];
    assert_eq!(world.send("GET", "/api/v1/agents", &own, b"").status, 200);
    let image = [("Sec-Fetch-Site", "cross-site")];
    world.send("GET", "/debug/pprof/profile?pid=4711&seconds=1", &image, b"").problem(403);
    assert_eq!(world.send("GET", "/", &image, b"").status, 200, "a link from elsewhere");
}

#[test]
fn a_request_without_one_host_is_refused() {
    let world = World::new();
    world.raw(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").problem(400);
    world.raw(b"GET /healthz HTTP/1.0\r\n\r\n").problem(400);
    world
        .raw(b"GET /healthz HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nHost: localhost\r\n\r\n")
        .problem(400);
    world
        .raw(b"GET http://evil.example/healthz HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n")
        .problem(403);
}

#[test]
fn paths_and_methods_that_are_not_there_are_problems_too() {
    let world = World::new();
    for path in [
        "/nope",
        "/api",
        "/api/v1",
        "/api/v1/agents/",
        "/api/v1/agents/1-1/nope",
        "/../etc/passwd",
        "//",
        "/%00",
        "/%ff",
    ] {
        world.get(path).problem(404);
    }
    let detail = world.send("PUT", "/api/v1/agents", &[], b"").problem(405);
    assert!(detail.contains("PUT"), "{detail}");
    assert!(world.send("DELETE", "/healthz", &[], b"").header("allow").unwrap().contains("GET"));
    assert!(world.send("PUT", "/api/v1/agents", &[], b"").header("allow").unwrap().contains("POST"));
    world.send("PATCH", &world.of_live("/syscalls"), &[], b"").problem(405);
    world.send("TRACE", "/", &[], b"").problem(405);
    assert_eq!(world.send("HEAD", "/healthz", &[], b"").status, 200);
}

#[test]
fn ids_of_nonsense_are_refused() {
    let world = World::new();
    let long = format!("1-{}", "9".repeat(4000));
    for id in ["%ff", "%00", "%2e%2e%2f", "..%2f..%2fetc", "'--", "%F0%9F%92%A9", "1-1%0d%0aX:y", &long] {
        world.get(&format!("/api/v1/agents/{id}")).problem(400);
    }
}

#[test]
fn bodies_are_checked_whole() {
    let world = World::new();
    let wrong = [
        ("", "not understood"),
        ("{", "not understood"),
        ("[]", "expected an object"),
        (r#"[4711, "x", "1s", []]"#, "expected an object"),
        ("null", "not understood"),
        ("{}", "missing field `pid`"),
        (r#"{"pid": 0}"#, "between 1 and 4194304"),
        (r#"{"pid": -4711}"#, "between 1 and 4194304"),
        (r#"{"pid": 4194305}"#, "between 1 and 4194304"),
        (r#"{"pid": 99999999999999999999}"#, "not understood"),
        (r#"{"pid": 1.5}"#, "not understood"),
        (r#"{"pid": "4711"}"#, "expected a whole number"),
        (r#"{"pid": true}"#, "not understood"),
        (r#"{"pid": 4711, "pid": 1}"#, "duplicate field"),
        (r#"{"pid": 4711, "colour": 1}"#, "unknown field `colour`"),
        (r#"{"pid": 4711, "for": "soon"}"#, "`for` must be a duration"),
        (r#"{"pid": 4711, "for": "-30s"}"#, "`for` must be a duration"),
        (r#"{"pid": 4711, "for": "0s"}"#, "longer than nothing"),
        (r#"{"pid": 4711, "for": "9999h"}"#, "at most"),
        (r#"{"pid": 4711, "for": 30}"#, "not understood"),
        (r#"{"pid": 4711, "name": ""}"#, "printable"),
        (r#"{"pid": 4711, "name": "a\u0007"}"#, "printable"),
        (r#"{"pid": 4711, "probes": ["gpu"]}"#, "unknown variant `gpu`"),
        (r#"{"pid": 4711, "probes": "cpu"}"#, "expected a list"),
        (r#"{"pid": 4711} x"#, "trailing"),
    ];
    for (body, says) in wrong {
        let detail = world.post("/api/v1/agents", body).problem(400);
        assert!(detail.contains(says), "{body}: {detail}");
    }
    let name = format!(r#"{{"pid": 4711, "name": "{}"}}"#, "x".repeat(101));
    world.post("/api/v1/agents", &name).problem(400);
    let json = [("Content-Type", "application/json")];
    world.send("POST", "/api/v1/agents", &json, b"{\"pid\": \xff\xfe}").problem(400);
    assert_eq!(world.get("/api/v1/agents").json()["agents"].as_array().unwrap().len(), 2, "nothing was done");
}

#[test]
fn bodies_are_bounded_in_size_and_depth() {
    let world = World::new();
    let huge = format!(r#"{{"pid": 4711, "name": "{}"}}"#, "x".repeat(70_000));
    assert!(world.post("/api/v1/agents", &huge).problem(413).contains("65536"));
    let deep = format!(r#"{{"pid": {}"#, "[".repeat(60_000));
    world.post("/api/v1/agents", &deep).problem(400);
    // Says that it is small, and goes on and on.
    let mut chunked = b"POST /api/v1/agents HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..100 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend_from_slice(&[b' '; 0x400]);
        chunked.extend_from_slice(b"\r\n");
    }
    world.raw(&chunked).problem(413);
}

#[test]
fn bodies_must_say_that_they_are_json() {
    let world = World::new();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let detail =
            world.send("POST", "/api/v1/agents", &[("Content-Type", kind)], br#"{"pid": 4711}"#).problem(415);
        assert!(detail.contains("Content-Type: application/json"), "{detail}");
    }
    world.send("POST", "/api/v1/agents", &[], br#"{"pid": 4711}"#).problem(415);
}

#[test]
fn queries_are_checked_whole() {
    let world = World::new();
    for what in ["/processes", "/syscalls", "/off-cpu", "/profile"] {
        for query in [
            "since=yesterday",
            "since=-60s",
            "since=60",
            "since=",
            "since=60s&from=2026-01-01T00:00:00Z",
            "since=60s&since=50s",
            "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
            "from=2999-01-01T00:00:00Z",
            "to=2999-01-01T00:00:00Z",
            "from=%ff",
            "from[]=x",
            "sinze=60s",
            "limit[]=x",
            "by=thread",
            "&&&x",
        ] {
            let detail = world.get(&world.of_live(&format!("{what}?{query}"))).problem(400);
            assert!(!detail.contains("Failed to deserialize"), "{detail}");
        }
    }
    for path in ["/api/v1/status", "/api/v1/agents", &world.of_live(""), "/api/v1/openapi.json"] {
        assert!(world.get(&format!("{path}?x=1")).problem(400).contains("unknown field `x`"));
    }
    let detail = world.get(&world.of_live("/syscalls?sinze=60s")).problem(400);
    assert!(detail.contains("unknown field `sinze`") && detail.contains("`since`"), "{detail}");
}

#[test]
fn every_answer_forbids_sniffing_and_caching() {
    let world = World::new();
    for path in ["/", "/healthz", "/nope", "/api/v1/status", &world.of_live("/profile?format=svg")] {
        let answer = world.get(path);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert!(
            answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    let refused = world.send("GET", "/", &[("Host", "evil.example")], b"");
    refused.problem(403);
}
