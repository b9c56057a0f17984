//! The router and the channels together, as the daemon has them, with a daemon that dies at the worst time.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    firing,
    http::{Does, Server},
    open_again, resolved, until,
};
use crate::alert::{
    Router,
    channel::{Channels, Saved},
    eval::Millis,
    route::{self, Config},
    state::Alert,
};

/// A router and its channels, and what they would find after a crash.
struct Daemon {
    router: Router,
    channels: Channels,
    disk: (String, String),
}

impl Daemon {
    fn start(routes: &str, receivers: &str, disk: (String, String)) -> Self {
        let mut router = Router::new(Config::parse(routes).unwrap());
        let (saved, lanes): (route::Saved, Saved) = match disk.0.as_str() {
            "" => Default::default(),
            _ => (serde_json::from_str(&disk.0).unwrap(), serde_json::from_str(&disk.1).unwrap()),
        };
        router.restore(saved);
        Self { router, channels: open_again(receivers, lanes), disk }
    }

    /// One round: what is due is written down, and then sent.
    fn round(&mut self, alerts: &[Alert], now: Millis) {
        self.router.update(alerts.iter(), now);
        while let Some(report) = self.channels.reported() {
            self.router.report(report.id, report.delivery, now);
        }
        let due = self.router.due(now);
        self.save();
        for notification in due {
            if let Some(report) = self.channels.submit(notification, BTreeMap::new()) {
                self.router.report(report.id, report.delivery, now);
            }
        }
    }

    fn save(&mut self) {
        let saved = (self.router.save(), self.channels.save());
        self.disk = (serde_json::to_string(&saved.0).unwrap(), serde_json::to_string(&saved.1).unwrap());
    }
}

/// What was told by messages of different ids: each alert, its status, and how often.
fn told(server: &Server) -> BTreeMap<(String, String), usize> {
    let messages: BTreeMap<String, Value> =
        server.requests().iter().map(|r| (r.header("idempotency-key").to_owned(), r.json())).collect();
    let mut told = BTreeMap::new();
    for alert in messages.values().flat_map(|message| message["alerts"].as_array().unwrap()) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        *told.entry((text(&alert["labels"]["agent"]), text(&alert["status"]))).or_default() += 1;
    }
    told
}

#[tokio::test]
async fn each_firing_and_each_end_is_told_once_over_crashes_and_failures() {
    let does = [
        Does::Answers("503 Away"),
        Does::Closes,
        // It had it, but did not say so.
        Does::Closes,
        Does::Answers("200 OK"),
    ];
    let bad = Server::start(does).await;
    let good = Server::start([Does::Answers("200 OK")]).await;
    let routes = "route: { receiver: good, group_by: [agent], group_wait: 0s, group_interval: 0s, \
                  routes: [{ receiver: bad, matchers: ['agent=~\"claude-[12]\"'], continue: true }, { receiver: good }] }";
    let receivers = format!(
        "receivers: [{{ name: good, via: {{ webhook: {{ url: '{}' }} }} }}, \
         {{ name: bad, timeout: 1s, via: {{ webhook: {{ url: '{}' }} }} }}]",
        good.url("/"),
        bad.url("/")
    );
    let alerts: Vec<Alert> = (1..4).flat_map(|number| firing("", number).alerts).collect();
    let ended: Vec<Alert> = (1..4).flat_map(|number| resolved("", number).alerts).collect();
    let expected = |agents: &[usize], words: &[&str]| -> BTreeMap<(String, String), usize> {
        let of =
            |n: &usize| words.iter().map(|word| ((format!("claude-{n}"), (*word).to_owned()), 1)).collect();
        agents.iter().flat_map(|n| -> Vec<((String, String), usize)> { of(n) }).collect()
    };
    let mut now = super::now();
    let mut daemon = Daemon::start(routes, &receivers, Default::default());
    daemon.round(&alerts, now);
    until("two tries failed", || bad.requests().len() >= 2).await;
    // It dies before it knows of any report; what it wrote down last is of before it sent anything.
    let disk = daemon.disk.clone();
    drop(daemon);
    let mut daemon = Daemon::start(routes, &receivers, disk);
    let mut rounds = 0;
    while told(&bad) != expected(&[1, 2], &["firing"]) || bad.requests().len() < 5 || rounds < 20 {
        now += 500;
        rounds += 1;
        daemon.round(&alerts, now);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(rounds < 400, "{:?}", told(&bad));
    }
    assert_eq!(told(&good), expected(&[1, 2, 3], &["firing"]));
    daemon.save();
    let disk = daemon.disk.clone();
    daemon.channels.stop(std::time::Duration::from_secs(3)).await;
    drop(daemon);
    let mut daemon = Daemon::start(routes, &receivers, disk);
    let all = ["firing", "resolved"];
    for _ in 0..60 {
        now += 500;
        daemon.round(&ended, now);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(told(&good), expected(&[1, 2, 3], &all));
    assert_eq!(told(&bad), expected(&[1, 2], &all));
    assert!(daemon.channels.health().iter().all(|health| health.waiting == 0));
}
