//! Channels against real sockets: receivers that fail, hang, answer nonsense and come back. `data` holds a CA whose
//! key is gone, and what it signed for `localhost`.

mod command;
mod config;
mod delivery;
mod email;
mod http;
mod queue;
mod real;
mod router;
mod secrets;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokio::time::timeout;

use super::{About, Channels, Config, Diagnosis, Finding, Report, Saved, lane::now};
use crate::alert::{
    labels::{Fingerprint, Labels},
    route::Notification,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A message that something is wrong, the `number`th for this receiver.
fn firing(receiver: &str, number: usize) -> Notification {
    notification(receiver, number, "firing", "warning")
}

/// The message that all is well again.
fn resolved(receiver: &str, number: usize) -> Notification {
    notification(receiver, number, "resolved", "warning")
}

fn notification(receiver: &str, number: usize, status: &str, severity: &str) -> Notification {
    let labels = Labels::new([
        ("alertname", "AgentCpuHigh"),
        ("severity", severity),
        ("agent", &format!("claude-{number}")),
    ]);
    let group = Labels::new([("alertname", "AgentCpuHigh"), ("agent", &format!("claude-{number}"))]);
    let fired_at = now() - 60_000;
    serde_json::from_value(json!({
        "id": group.with("receiver", receiver).with("status", status).fingerprint(),
        "group": group.fingerprint(),
        "receiver": receiver,
        "labels": group,
        "status": status,
        "severity": severity,
        "made_at": now(),
        "attempt": 1,
        "alerts": [{
            "id": labels.fingerprint(),
            "rule": labels.fingerprint(),
            "labels": labels,
            "annotations": { "summary": format!("claude-{number} uses <7.5> CPUs & more — ☃") },
            "severity": severity,
            "value": "7.5",
            "phase": status,
            "active_at": fired_at - 5000,
            "fired_at": fired_at,
            "resolved_at": (status == "resolved").then(|| now() - 1000),
            "flapping": false,
            "dedup": null,
            "action": null,
        }],
    }))
    .unwrap()
}

/// What was found about the alert of a notification.
fn diagnosis(of: &Notification) -> BTreeMap<Fingerprint, Diagnosis> {
    let findings =
        vec![Finding { title: "on CPU".to_owned(), lines: vec!["62.5 % main;parse;hash".to_owned()] }];
    let link = Some("http://127.0.0.1:9/alerts".to_owned());
    of.alerts
        .iter()
        .map(|alert| (alert.id, Diagnosis { findings: findings.clone(), link: link.clone() }))
        .collect()
}

fn open(yaml: &str) -> Channels {
    open_again(yaml, Saved::default())
}

fn open_again(yaml: &str, saved: Saved) -> Channels {
    let config = Config::parse(yaml).unwrap_or_else(|errors| panic!("{errors:?}\n{yaml}"));
    Channels::open(config, About { host: "host-1".to_owned(), link: None }, saved, Arc::new(|_| ()))
}

fn submit(channels: &Channels, notification: Notification) -> Option<Report> {
    let diagnoses = diagnosis(&notification);
    channels.submit(notification, diagnoses)
}

/// The next report, which must come.
async fn report(channels: &mut Channels) -> Report {
    timeout(PATIENCE, channels.report()).await.expect("a report")
}

/// Lets other tasks run until it holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A file with a secret in it.
fn secret_file(secret: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{secret}").unwrap();
    file
}

/// A file of `data`.
fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/alert/channel/tests/data").join(name)
}
