//! Who has a key and means no good, and who has none: each is told, and the daemon's memory stays as it is.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{KEY, daemon, nothing_planted, operations};
use crate::support::daemon::Daemon;

/// What the daemon's memory may grow by, whatever is sent, bytes.
const GROWTH: u64 = 128 << 20;

const DOORS: [&str; 5] = [
    "/v1/traces",
    "/v1/metrics",
    "/api/v1/performance/collect",
    "/api/v1/performance/batch",
    "/api/v1/frontend-metrics",
];

/// Sends a request whose body is `chunk`, `times` times, and reads the answer's status. The daemon may hang up before
/// all is sent.
fn flood(daemon: &Daemon, door: &str, headers: &str, chunk: &[u8], times: usize) -> u16 {
    let mut stream = TcpStream::connect(daemon.api().base().trim_start_matches("http://")).unwrap();
    let head = format!("POST {door} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let _ = reader.read_to_end(&mut answer);
        answer
    });
    for _ in 0..times {
        let sent = stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes());
        if sent.and_then(|()| stream.write_all(chunk)).and_then(|()| stream.write_all(b"\r\n")).is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"0\r\n\r\n");
    let answer = reading.join().unwrap();
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn headers(kind: &str) -> String {
    format!("Authorization: Bearer {KEY}\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n")
}

/// Posts a body, and returns the status and the body of the answer.
fn post(daemon: &Daemon, door: &str, (kind, encoding): (&str, &str), body: &[u8]) -> (u16, String) {
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let request = ureq::Agent::from(config).post(format!("{}{door}", daemon.api().base()));
    let request = request.header("Authorization", format!("Bearer {KEY}")).content_type(kind);
    let request = if encoding.is_empty() { request } else { request.header("Content-Encoding", encoding) };
    let mut answer = request.send(body).unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
}

#[test]
fn memory_stays_flat_whatever_is_sent() {
    let daemon = daemon(&[], 100_000);
    let before = daemon.rss_bytes();
    for door in DOORS {
        // 100 MB of one body; without a key, too.
        let megabyte = vec![b'['; 1 << 20];
        let status = flood(&daemon, door, &headers("application/json"), &megabyte, 100);
        assert!(matches!(status, 413 | 0), "{door}: {status}");
        let without = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
        let status = flood(&daemon, door, without, &megabyte, 100);
        assert!(matches!(status, 401 | 0), "{door}: {status}");
        bombs(&daemon, door);
    }
    for _ in 0..50 {
        // As many empty messages as fit into a body, each of which would be some hundred bytes.
        let (status, _) = post(&daemon, "/v1/traces", ("application/x-protobuf", ""), &empty_spans());
        assert_eq!(status, 413);
    }
    let grown = daemon.rss_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "grew by {grown} bytes");
    eprintln!("grew by {} MB", grown >> 20);
    assert_eq!(operations(daemon.api(), "").len(), 0);
}

/// A body that grows a thousandfold.
fn bombs(daemon: &Daemon, door: &str) {
    let mut to = GzEncoder::new(Vec::new(), Compression::best());
    to.write_all(&vec![b' '; 100 << 20]).unwrap();
    let (status, text) = post(daemon, door, ("application/json", "gzip"), &to.finish().unwrap());
    assert_eq!(status, 413, "{door}: {text}");
}

/// A request with one resource and one scope, and half a million spans of no bytes in it.
fn empty_spans() -> Vec<u8> {
    let within = |mut body: Vec<u8>, tag: u8| {
        let mut length = body.len();
        let mut out = vec![tag << 3 | 2];
        while length >= 128 {
            out.push((length & 127) as u8 | 128);
            length >>= 7;
        }
        out.push(length as u8);
        out.append(&mut body);
        out
    };
    let spans = [2 << 3 | 2, 0].repeat(500_000);
    within(within(spans, 2), 1)
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    let daemon = daemon(&[], 100_000);
    for door in DOORS {
        let deep = "[".repeat(500_000);
        for body in ["", "{", "null", "7", "\u{0}", deep.as_str(), "{\"a\":", "\"x\""] {
            let (status, text) = post(&daemon, door, ("application/json", ""), body.as_bytes());
            let refused = status == 400 || status == 422 || status == 200 && text.contains("\"refused\":1");
            assert!(refused, "{door} {:.20}: {status} {text}", body);
        }
        let (status, _) = post(&daemon, door, ("application/x-www-form-urlencoded", ""), b"a=b");
        assert_eq!(status, 415, "{door}");
        let (status, _) = post(&daemon, door, ("application/json", "br"), b"{}");
        assert_eq!(status, 415, "{door}");
        let (status, _) = post(&daemon, door, ("application/json", "gzip"), b"no gzip");
        assert_eq!(status, 400, "{door}");
    }
    let record = |over: Value| {
        let mut record = json!({ "kind": "job", "name": "x", "duration_seconds": 1.0 });
        over.as_object().unwrap().iter().for_each(|(key, value)| record[key] = value.clone());
        record
    };
    let wrong = [
        (json!({ "duration_seconds": -1 }), "negative"),
        (json!({ "duration_seconds": 1e300 }), "24 h"),
        (json!({ "start": "2999-01-01T00:00:00Z" }), "future"),
        (json!({ "start": "1999-01-01T00:00:00Z" }), "24 h ago"),
        (json!({ "kind": "a b/c" }), "kind"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a name ".repeat(100) }), "name"),
        (json!({ "status": 99999 }), "status"),
        (json!({ "success": "PLANTED0SECRET" }), "wrong type"),
        (json!({ "PLANTED0SECRET": 1 }), "not known"),
    ];
    let batch =
        json!({ "operations": wrong.iter().map(|(over, _)| record(over.clone())).collect::<Vec<_>>() });
    let (status, text) =
        post(&daemon, "/api/v1/performance/batch", ("application/json", ""), batch.to_string().as_bytes());
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &answer["accepted"], &answer["refused"]), (200, &0.into(), &wrong.len().into()));
    for (index, (_, says)) in wrong.iter().enumerate() {
        let refusal = &answer["refusals"][index];
        assert_eq!(refusal["index"], index);
        assert!(refusal["reason"].as_str().unwrap().contains(says), "{refusal}");
    }
    assert!(!text.contains("PLANTED0SECRET"), "{text}");
    nothing_planted(&daemon, &[]);
}

#[test]
fn a_million_values_are_other() {
    let daemon = daemon(&[], 100_000);
    let before = daemon.rss_bytes();
    let mut sent = 0;
    let mut last = 0;
    while last != 429 && sent < 1_000_000 {
        let record = |n: usize| {
            let name = format!("endpoint {}x", (sent + n) * 7919);
            json!({ "kind": "job", "name": name, "duration_seconds": 0.001,
                    "labels": { "error.type": format!("type {}", sent + n) } })
        };
        let batch = json!({ "operations": (0..1000).map(record).collect::<Vec<_>>() });
        (last, _) = post(
            &daemon,
            "/api/v1/performance/batch",
            ("application/json", ""),
            batch.to_string().as_bytes(),
        );
        assert!(matches!(last, 200 | 429 | 503), "{last}");
        sent += 1000;
        if sent >= 200_000 {
            break;
        }
    }
    let summary = daemon.api().get("/api/v1/operations/summary?limit=1000").expect(200).json();
    let names = summary["groups_total"].as_u64().unwrap();
    assert!(names <= 501, "{names} names");
    assert!(daemon.api().loss("operation_overflow") > 0);
    let grown = daemon.rss_bytes().saturating_sub(before);
    assert!(grown < GROWTH, "grew by {grown} bytes");
    eprintln!("{sent} sent, {names} names, grew by {} MB", grown >> 20);
}

#[test]
fn who_sends_too_much_is_told_when_to_try_again() {
    let daemon = daemon(&[], 10);
    let record = json!({ "kind": "job", "name": "x", "duration_seconds": 0.001 });
    let batch = json!({ "operations": vec![record; 1000] }).to_string();
    let door = "/api/v1/performance/batch";
    assert_eq!(post(&daemon, door, ("application/json", ""), batch.as_bytes()).0, 200);
    let answer = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build())
        .post(format!("{}{door}", daemon.api().base()))
        .header("X-Agentperf-Key", KEY)
        .content_type("application/json")
        .send(batch.as_bytes())
        .unwrap();
    assert_eq!(answer.status(), 429);
    let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=100).contains(&after), "{after}");
    assert_eq!(daemon.api().loss("operation_throttled"), 1000);
}

#[test]
fn what_was_told_is_there_after_a_crash() {
    let mut daemon = daemon(&[], 1000);
    let record =
        json!({ "kind": "job", "name": "nightly", "duration_seconds": 0.25, "user": "PLANTED0SECRET" });
    let (status, _) =
        post(&daemon, "/api/v1/performance/collect", ("application/json", ""), record.to_string().as_bytes());
    assert_eq!(status, 200);
    let user = operations(daemon.api(), "")[0]["user"].clone();
    daemon.crash_and_restart();
    post(&daemon, "/api/v1/performance/collect", ("application/json", ""), record.to_string().as_bytes());
    let found = operations(daemon.api(), "name=nightly");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().all(|o| o["user"] == user && o["user"].as_str().unwrap().len() == 16), "{found:?}");
    nothing_planted(&daemon, &[]);
}

#[test]
fn without_a_project_the_doors_say_what_to_configure() {
    let daemon = Daemon::start(json!({}));
    for door in DOORS {
        let (status, text) = post(&daemon, door, ("application/json", ""), b"{}");
        assert!(status == 403 && text.contains("`projects`"), "{door}: {status} {text}");
    }
}
