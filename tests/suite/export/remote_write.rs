//! Remote write: in order, again where it may be, never where it may not, and nothing secret is shown.

use std::{sync::Arc, time::Duration};

use agentperf::{
    config,
    export::remote_write::RemoteWrite,
    model::{record::Record, time::Timestamp},
    store::Follower,
};
use prost::Message;

use super::{
    agent, metrics, process,
    receiver::{Got, Receiver, Script},
    until,
};

/// `prometheus.WriteRequest`, by the published protocol.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Value and time of the agent's CPU time in each request that came.
fn cpu_seconds(got: &[Got]) -> Vec<(f64, i64)> {
    let of = |got: &Got| {
        let plain = snap::raw::Decoder::new().decompress_vec(&got.body).unwrap();
        let request = WriteRequest::decode(plain.as_slice()).unwrap();
        let is_it = |series: &&TimeSeries| {
            series
                .labels
                .iter()
                .any(|l| l.name == "__name__" && l.value == "agentperf_agent_cpu_seconds_total")
        };
        let series: Vec<TimeSeries> = request.timeseries.iter().filter(is_it).cloned().collect();
        assert_eq!(series.len(), 1);
        (series[0].samples[0].value, series[0].samples[0].timestamp)
    };
    got.iter().map(of).collect()
}

struct Written {
    receiver: Receiver,
    truth: Vec<(f64, i64)>,
    status: agentperf::telemetry::ExporterStatus,
    losses: u64,
}

/// Takes three samples, and sends them to a receiver that answers so.
async fn written(scripts: Vec<Script>, requests: usize) -> Written {
    let receiver = Receiver::start(scripts).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t-of-a-test\n").unwrap();
    let begin = Timestamp::now();
    let agent = agent(begin);
    let (metrics, telemetry) = metrics(&agent);
    let mut config = config::RemoteWrite::default();
    config.receiver.url = Some(receiver.url("/api/v1/write"));
    config.receiver.bearer_token_file = Some(token);
    let opened =
        RemoteWrite::open(&config, &folder.path().join("spool"), "here", metrics.clone(), &telemetry);
    let write = opened.unwrap().unwrap();
    let mut truth = Vec::new();
    for n in 1..=3u32 {
        let mut process = process(4711, None, begin);
        process.cpu_ns = u64::from(n) * 1_000_000_000;
        metrics.follow(&Record::Process(agent.id.clone(), process));
        let at = begin + Duration::from_secs(n.into());
        write.sample(at);
        truth.push((f64::from(n), at.as_millisecond()));
    }
    let sender = tokio::spawn(Arc::clone(&write).send());
    let all = |_: &[_]| receiver.got().len() >= requests;
    until(&telemetry, all).await;
    sender.abort();
    let _ = sender.await;
    let status = telemetry.exporters().remove(0);
    Written { receiver, truth, status, losses: telemetry.losses.all()["export_dropped"] }
}

#[tokio::test]
async fn samples_come_in_order_with_what_a_receiver_wants() {
    let written = written(Vec::new(), 3).await;
    let got = written.receiver.got();
    assert_eq!(cpu_seconds(&got), written.truth);
    let header = |name: &str| got[0].headers[name].to_str().unwrap();
    assert_eq!(header("content-encoding"), "snappy");
    assert_eq!(header("content-type"), "application/x-protobuf");
    assert_eq!(header("x-prometheus-remote-write-version"), "0.1.0");
    assert_eq!(header("authorization"), "Bearer s3cr3t-of-a-test");
    assert_eq!((written.status.failed, written.losses), (0, 0));
}

#[tokio::test]
async fn what_may_be_taken_later_is_sent_again() {
    let scripts = [
        Script(503, None, "busy".to_owned()),
        Script(429, Some("1"), "slowly".to_owned()),
        Script(500, None, String::new()),
    ];
    let begin = std::time::Instant::now();
    let written = written(scripts.to_vec(), 6).await;
    let got = cpu_seconds(&written.receiver.got());
    let first = written.truth[0];
    assert_eq!(got[..4], [first; 4]);
    assert_eq!(got[4..], written.truth[1..]);
    assert!(begin.elapsed() >= Duration::from_secs(1), "Retry-After is honoured");
    assert_eq!((written.status.failed, written.losses), (3, 0));
}

#[tokio::test]
async fn what_is_refused_is_dropped_counted_and_shown_without_secrets() {
    let why = "no such token: s3cr3t-of-a-test".to_owned();
    let written = written(vec![Script(401, None, why)], 3).await;
    assert_eq!(cpu_seconds(&written.receiver.got()), written.truth);
    let (_, error) = written.status.last_error.clone().unwrap();
    assert_eq!(error, "401 Unauthorized: no such token: [redacted]");
    assert!(written.losses > 0 && written.losses == written.status.dropped);
    assert!(!format!("{:?}", written.status).contains("s3cr3t"));
}

#[tokio::test]
async fn a_receiver_that_redirects_or_hangs_up_gets_no_secret_elsewhere() {
    let written = written(vec![Script(302, None, String::new())], 3).await;
    assert!(written.status.dropped > 0, "a redirect is not followed");
}
