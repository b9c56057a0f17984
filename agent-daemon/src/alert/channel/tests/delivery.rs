//! Nothing lost and nothing doubled, whatever a receiver does.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{
    Report, firing,
    http::{Does, Server, free_port},
    open, open_again, report, resolved, submit, until,
};
use crate::alert::{channel::Outcome, route::Delivery};

fn webhook(name: &str, url: &str, more: &str) -> String {
    format!("receivers: [{}]", receiver(name, url, more))
}

fn receiver(name: &str, url: &str, more: &str) -> String {
    format!("{{ name: {name}, timeout: 1s, via: {{ webhook: {{ url: '{url}' }} }}{more} }}")
}

#[tokio::test]
async fn a_receiver_that_fails_hangs_and_comes_back_is_told_once() {
    let server =
        Server::start([Does::Answers("500 Oops"), Does::Closes, Does::Hangs, Does::Answers("200 OK")]).await;
    let mut channels = open(&webhook("a", &server.url("/"), ""));
    let told = firing("a", 1);
    assert_eq!(submit(&channels, told.clone()), None);
    assert_eq!(submit(&channels, told.clone()), None, "the same message again is the same");
    assert_eq!(report(&mut channels).await, Report { id: told.id, delivery: Delivery::Delivered });
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for (index, request) in requests.iter().enumerate() {
        assert_eq!(request.header("idempotency-key"), told.id.to_string());
        assert_eq!(request.header("x-agentperf-attempt"), (index + 1).to_string());
        assert_eq!(request.body, requests[0].body, "the same message is the same bytes");
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(server.requests().len(), 4);
    let health = &channels.health()[0];
    assert_eq!((health.counts.delivered, health.counts.failed, health.waiting), (1, 3, 0));
    assert_eq!(channels.reported(), None, "one report for one message");
}

#[tokio::test]
async fn a_pause_that_is_asked_for_is_kept_for_all_messages() {
    let server =
        Server::start([Does::Answers("429 Slow Down\r\nretry-after: 2"), Does::Answers("200 OK")]).await;
    let mut channels = open(&webhook("a", &server.url("/"), ""));
    submit(&channels, firing("a", 1));
    until("the first try", || server.requests().len() == 1).await;
    submit(&channels, firing("a", 2));
    for _ in 0..2 {
        assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    let pause = requests[1].at - requests[0].at;
    assert!(pause >= Duration::from_millis(1950), "{pause:?}");
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_nobody_else() {
    let (hangs, works) = (Server::start([Does::Hangs]).await, Server::start([Does::Answers("200 OK")]).await);
    let yaml = format!(
        "receivers: [{}, {}]",
        receiver("hangs", &hangs.url("/"), ""),
        receiver("works", &works.url("/"), "")
    );
    let mut channels = open(&yaml);
    submit(&channels, firing("hangs", 1));
    until("somebody hangs", || !hangs.requests().is_empty()).await;
    let start = Instant::now();
    submit(&channels, firing("works", 1));
    assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn what_a_receiver_refuses_is_refused_once() {
    for status in ["400 Bad Request", "404 Not Found", "410 Gone"] {
        let server = Server::start([Does::Answers(status)]).await;
        let mut channels = open(&webhook("a", &server.url("/"), ""));
        submit(&channels, firing("a", 1));
        assert_eq!(report(&mut channels).await.delivery, Delivery::Refused);
        let health = &channels.health()[0];
        assert_eq!((health.counts.refused, health.waiting, server.requests().len()), (1, 0, 1));
        assert!(matches!(&health.last, Some((_, Outcome::Refused(said))) if said.starts_with(status)));
    }
}

#[tokio::test]
async fn nobody_is_followed_anywhere() {
    let elsewhere = Server::start([Does::Answers("200 OK")]).await;
    let status: &'static str = format!("307 Temporary Redirect\r\nlocation: {}", elsewhere.url("/")).leak();
    let server = Server::start([Does::Answers(status)]).await;
    let mut channels = open(&webhook("a", &server.url("/"), ""));
    submit(&channels, firing("a", 1));
    assert_eq!(report(&mut channels).await.delivery, Delivery::Refused);
    assert_eq!((server.requests().len(), elsewhere.requests().len()), (1, 0));
}

#[tokio::test]
async fn what_was_taken_is_taken_whatever_follows() {
    for does in [Does::TakesAndDrips, Does::TakesAndTalks(64 << 20)] {
        let server = Server::start([does.clone()]).await;
        let mut channels = open(&webhook("a", &server.url("/"), ""));
        submit(&channels, firing("a", 1));
        assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered, "{does:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn headers_without_end_are_a_failure() {
    let server = Server::start([Does::TalksInHeaders, Does::Answers("200 OK")]).await;
    let mut channels = open(&webhook("a", &server.url("/"), ""));
    submit(&channels, firing("a", 1));
    assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    assert_eq!(channels.health()[0].counts.failed, 1);
}

#[tokio::test]
async fn messages_that_waited_for_a_receiver_all_come_when_it_is_there() {
    let port = free_port().await;
    let mut channels = open(&webhook("a", &format!("http://127.0.0.1:{port}/"), ""));
    for number in 0..20 {
        submit(&channels, firing("a", number));
    }
    until("all were tried", || channels.health()[0].counts.failed >= 20).await;
    let server = Server::start_at(port, [Does::Answers("200 OK")]).await;
    for _ in 0..20 {
        assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    }
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for request in server.requests() {
        *seen.entry(request.header("idempotency-key").to_owned()).or_default() += 1;
    }
    assert_eq!(seen.len(), 20);
    assert!(seen.values().all(|times| *times == 1), "{seen:?}");
}

#[tokio::test]
async fn of_many_messages_each_is_taken_once_by_a_receiver_that_often_fails() {
    let taken = Does::Answers("200 OK");
    let pattern =
        [taken.clone(), Does::Answers("500 Oops"), taken.clone(), taken.clone(), Does::Closes, taken];
    let does: Vec<Does> =
        pattern.iter().cycle().take(300).cloned().chain([Does::Answers("200 OK")]).collect();
    let server = Server::start(does).await;
    let mut channels = open(&webhook("a", &server.url("/"), ", rate: { messages: 1000, per: 1s }"));
    for number in 0..60 {
        submit(&channels, firing("a", number));
    }
    let mut reports = BTreeMap::new();
    for _ in 0..60 {
        let Report { id, delivery } = report(&mut channels).await;
        assert_eq!((delivery, reports.insert(id, ())), (Delivery::Delivered, None));
    }
    let health = &channels.health()[0];
    let tries = server.requests().len() as u64;
    assert_eq!((health.counts.delivered, health.counts.delivered + health.counts.failed), (60, tries));
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let server = Server::start([Does::Answers("500 Oops"), Does::Answers("200 OK")]).await;
    let yaml = webhook("a", &server.url("/"), "");
    let mut channels = open(&yaml);
    let told = firing("a", 1);
    submit(&channels, told.clone());
    until("it failed", || channels.health()[0].counts.failed == 1).await;
    channels.stop(Duration::from_secs(5)).await;
    let saved = serde_json::to_string(&channels.save()).unwrap();
    drop(channels);
    let mut channels = open_again(&yaml, serde_json::from_str(&saved).unwrap());
    // The router hands it out again.
    submit(&channels, told);
    assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    let requests = server.requests();
    assert_eq!(requests.iter().map(|r| r.header("x-agentperf-attempt")).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(requests[0].body, requests[1].body);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(450));
}

#[tokio::test]
async fn a_new_configuration_redirects_what_waits() {
    let old = Server::start([Does::Answers("500 Oops")]).await;
    let new = Server::start([Does::Answers("200 OK")]).await;
    let mut channels = open(&webhook("a", &old.url("/"), ""));
    submit(&channels, firing("a", 1));
    until("it failed", || channels.health()[0].counts.failed == 1).await;
    let config = |yaml: &str| crate::alert::channel::Config::parse(yaml).unwrap();
    assert_eq!(channels.reload(config(&webhook("a", &new.url("/"), ""))), []);
    assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    assert_eq!(new.requests().len(), 1);
    assert_eq!(channels.reload(config("receivers: []")), []);
    assert_eq!(submit(&channels, firing("a", 2)).unwrap().delivery, Delivery::Retry);
}

#[tokio::test]
async fn what_waits_for_a_receiver_that_is_gone_is_given_back() {
    let server = Server::start([Does::Answers("500 Oops"), Does::Hangs]).await;
    let mut channels = open(&webhook("a", &server.url("/"), ""));
    let (failed, hangs) = (firing("a", 1), firing("a", 2));
    let (failed_id, hangs_id) = (failed.id, hangs.id);
    submit(&channels, failed);
    until("it failed", || channels.health()[0].counts.failed == 1).await;
    submit(&channels, hangs);
    until("it is being tried", || server.requests().len() >= 2).await;
    let given_back = channels.reload(crate::alert::channel::Config::parse("receivers: []").unwrap());
    let retry = |id| Report { id, delivery: Delivery::Retry };
    assert_eq!(given_back, [retry(failed_id)]);
    assert_eq!(report(&mut channels).await, retry(hangs_id), "when its try is over");
}

#[tokio::test]
async fn who_does_not_want_to_know_of_ends_is_not_told() {
    let server = Server::start([Does::Answers("200 OK")]).await;
    let mut channels = open(&webhook("a", &server.url("/"), ", send_resolved: false"));
    assert_eq!(submit(&channels, resolved("a", 1)).unwrap().delivery, Delivery::Delivered);
    let mut both = firing("a", 2);
    both.alerts.extend(resolved("a", 3).alerts);
    submit(&channels, both);
    report(&mut channels).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].json()["alerts"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_payload_is_alertmanagers_and_ours() {
    let server = Server::start([Does::Answers("200 OK")]).await;
    let mut channels = open(&webhook("a", &server.url("/hook"), ""));
    for notification in [firing("a", 1), resolved("a", 1)] {
        submit(&channels, notification);
        report(&mut channels).await;
    }
    let requests = server.requests();
    assert!(requests[0].head.starts_with("POST /hook HTTP/1.1"));
    let (fires, over) = (requests[0].json(), requests[1].json());
    assert_eq!(
        (&fires["version"], &fires["status"], &fires["receiver"]),
        (&"4".into(), &"firing".into(), &"a".into())
    );
    assert_eq!(fires["commonLabels"]["agent"], "claude-1");
    assert_eq!(fires["groupLabels"]["alertname"], "AgentCpuHigh");
    assert_eq!(fires["groupKey"], over["groupKey"]);
    let alert = &fires["alerts"][0];
    assert_eq!((&alert["status"], &alert["endsAt"]), (&"firing".into(), &"0001-01-01T00:00:00Z".into()));
    assert_eq!(alert["diagnosis"]["findings"][0]["lines"][0], "62.5 % main;parse;hash");
    assert_eq!(alert["generatorURL"], "http://127.0.0.1:9/alerts");
    assert_eq!((alert["value"].as_f64(), &fires["host"]), (Some(7.5), &"host-1".into()));
    assert_eq!((&over["status"], &over["alerts"][0]["status"]), (&"resolved".into(), &"resolved".into()));
    let parsed = |text: &serde_json::Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(parsed(&over["alerts"][0]["startsAt"]) < parsed(&over["alerts"][0]["endsAt"]));
}

#[tokio::test]
async fn every_kind_says_its_own_to_its_server() {
    let server = Server::start([Does::Answers("200 OK")]).await;
    let (key, slack) =
        (super::secret_file("r0uting-key"), super::secret_file(&server.url("/services/T0/B0/x")));
    let yaml = format!(
        "receivers:\n\
         - {{ name: pagerduty, via: {{ pagerduty: {{ routing_key_file: {key}, url: '{url}' }} }} }}\n\
         - {{ name: slack, via: {{ slack: {{ url_file: {slack} }} }} }}\n\
         - {{ name: alertmanager, via: {{ alertmanager: {{ url: '{base}' }} }} }}\n\
         - {{ name: form, via: {{ sms: {{ url: '{base}/f?a=1', fields: {{ To: '+49 1', Body: '{{{{ $labels.text }}}}' }} }} }} }}\n\
         - {{ name: query, via: {{ sms: {{ url: '{base}/q', as: query, fields: {{ text: '{{{{ $labels.alertname }}}} &' }} }} }} }}\n\
         - {{ name: json, via: {{ sms: {{ url: '{base}/j', as: json, fields: {{ text: '{{{{ $labels.status }}}}' }} }} }} }}\n",
        key = key.path().display(),
        slack = slack.path().display(),
        url = server.url("/v2/enqueue"),
        base = server.url(""),
    );
    let mut channels = open(&yaml);
    let mut requests = BTreeMap::new();
    for name in ["pagerduty", "slack", "alertmanager", "form", "query", "json"] {
        submit(&channels, firing(name, 1));
        assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered, "{name}");
        requests.insert(name, server.requests().last().unwrap().clone());
        let tested = channels.test(name).await.unwrap();
        assert_eq!(tested.outcome, Outcome::Taken("200 OK: ok".to_owned()), "{name}");
    }
    let event = requests["pagerduty"].json();
    assert_eq!((&event["event_action"], &event["routing_key"]), (&"trigger".into(), &"r0uting-key".into()));
    assert_eq!(event["dedup_key"], firing("", 1).group.to_string());
    assert_eq!(
        (&event["payload"]["severity"], &event["payload"]["source"]),
        (&"warning".into(), &"host-1".into())
    );
    assert!(requests["slack"].head.starts_with("POST /services/T0/B0/x "));
    let text = requests["slack"].json()["attachments"][0]["blocks"][1]["text"]["text"].to_string();
    assert!(
        text.contains("&lt;7.5&gt; CPUs &amp; more — ☃") && text.contains("62.5 % main;parse;hash"),
        "{text}"
    );
    assert!(requests["alertmanager"].head.starts_with("POST /api/v2/alerts "));
    let alert = &requests["alertmanager"].json()[0];
    assert_eq!(alert["labels"]["agent"], "claude-1");
    assert!(alert["annotations"]["diagnosis"].as_str().unwrap().contains("main;parse;hash"));
    assert!(requests["form"].head.starts_with("POST /f?a=1 "));
    assert!(requests["form"].body.contains("To=%2B49%201") && requests["form"].body.contains("%E2%98%83"));
    assert!(
        requests["query"].head.starts_with("GET /q?text=AgentCpuHigh%20%26 "),
        "{}",
        requests["query"].head
    );
    assert_eq!(requests["json"].json()["text"], "FIRING");
    assert!(channels.test("nobody").await.is_none());
}

#[tokio::test]
async fn tests_say_what_came_back() {
    let server = Server::start([Does::Answers("403 Forbidden")]).await;
    let port = free_port().await;
    let yaml = format!(
        "receivers: [{}, {}]",
        receiver("refuses", &server.url("/"), ""),
        receiver("away", &format!("http://127.0.0.1:{port}/"), "")
    );
    let channels = open(&yaml);
    let refused = channels.test("refuses").await.unwrap().outcome;
    assert_eq!(refused, Outcome::Refused("403 Forbidden: ok".to_owned()));
    assert_eq!(server.requests()[0].json()["status"], "resolved", "a test is no alarm");
    let away = channels.test("away").await.unwrap().outcome;
    assert!(
        matches!(&away, Outcome::Later(later) if later.unreached && later.why.contains("refused")),
        "{away:?}"
    );
    assert_eq!(channels.health()[0].counts, crate::alert::channel::Counts::default());
}

#[tokio::test]
async fn who_has_the_secret_knows_that_it_was_us() {
    let server = Server::start([Does::Answers("200 OK")]).await;
    let secret = super::secret_file("s3cr3t");
    let yaml = format!(
        "receivers: [{{ name: a, via: {{ webhook: {{ url: '{}', secret_file: {} }} }} }}]",
        server.url("/"),
        secret.path().display()
    );
    assert!(matches!(open(&yaml).test("a").await.unwrap().outcome, Outcome::Taken(_)));
    let request = &server.requests()[0];
    let signature = request.header("x-agentperf-signature").strip_prefix("sha256=").unwrap().to_owned();
    let tag: Vec<u8> =
        (0..32).map(|index| u8::from_str_radix(&signature[2 * index..2 * index + 2], 16).unwrap()).collect();
    let signed = format!("{}.{}", request.header("x-agentperf-timestamp"), request.body);
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s3cr3t");
    ring::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
    assert!(ring::hmac::verify(&key, format!("{signed} ").as_bytes(), &tag).is_err());
}

#[tokio::test]
async fn a_journald_that_is_started_late_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let mut channels =
        open(&format!("receivers: [{{ name: a, via: {{ journald: {{ socket: {} }} }} }}]", path.display()));
    let told = firing("a", 1);
    submit(&channels, told.clone());
    until("it failed", || channels.health()[0].counts.failed == 1).await;
    let listener = tokio::net::UnixDatagram::bind(&path).unwrap();
    assert_eq!(report(&mut channels).await.delivery, Delivery::Delivered);
    let mut buffer = vec![0; 65536];
    let length = listener.recv(&mut buffer).await.unwrap();
    let entry = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let id = format!("AGENTPERF_ALERTS_ID={}\n", told.id);
    for part in
        ["MESSAGE\n", "[FIRING:1] AgentCpuHigh (warning) on host-1\n", "PRIORITY=4\n", "main;parse;hash", &id]
    {
        assert!(entry.contains(part), "{part} in {entry}");
    }
    assert!(listener.try_recv(&mut buffer).is_err());
}

#[tokio::test]
async fn over_tls_only_who_is_vouched_for_is_told() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = super::email::acceptor().accept(stream).await {
                super::http::serve(stream, Does::Answers("200 OK"), Default::default()).await;
            }
        }
    });
    let url = format!("https://localhost:{port}/");
    let ca = format!(", ca_file: {}", super::data("ca.pem").display());
    let known = open(&webhook("a", &url, &ca)).test("a").await.unwrap().outcome;
    assert!(matches!(known, Outcome::Taken(_)), "{known:?}");
    let unknown = open(&webhook("a", &url, "")).test("a").await.unwrap().outcome;
    assert!(matches!(&unknown, Outcome::Later(later) if later.why.contains("certificate")), "{unknown:?}");
}
