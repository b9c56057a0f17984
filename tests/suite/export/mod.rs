//! The doors out, against receivers that a test holds: what is sent, how often it is tried again, and what is never
//! shown. Real servers are asked in the kernel's tests.

mod otlp;
mod pyroscope;
mod receiver;
mod remote_write;

use std::{sync::Arc, time::Duration};

use agentperf::{
    config::Budget,
    export::prometheus::Metrics,
    model::{
        agent::{Agent, AgentSource},
        id::{AgentId, ProcessId},
        probe::ProbeSet,
        process::Process,
        record::Record,
        time::Timestamp,
    },
    store::Follower,
    telemetry::{ExporterStatus, HostInfo, Telemetry},
};

/// An agent that is watched since then.
fn agent(since: Timestamp) -> Agent {
    Agent {
        id: AgentId::new(4711, since.as_millisecond()),
        name: "worker".to_owned(),
        root: ProcessId::new(4711, 1 << 30),
        created: since,
        attached: since,
        expires: None,
        ended: None,
        source: AgentSource::Attach,
        probes: ProbeSet::ALL,
        boot_id: "0".repeat(36),
    }
}

/// A process of it that lives.
fn process(pid: u32, parent: Option<u32>, started: Timestamp) -> Process {
    Process {
        id: ProcessId::new(pid, 1 << 30),
        parent: parent.map(|pid| ProcessId::new(pid, 1 << 30)),
        parent_pid: parent.unwrap_or(1),
        executable: Some("/usr/bin/python3".to_owned()),
        comm: "python3".to_owned(),
        args: vec!["python3".to_owned(), "--api-key=[redacted]".to_owned()],
        started,
        ended: None,
        exit: None,
        killer: None,
        cpu_ns: 0,
        cpu_before_ns: 0,
        peak_rss_bytes: 1 << 20,
        resources: None,
    }
}

/// Metrics that count one agent, and what they tell losses to.
fn metrics(agent: &Agent) -> (Arc<Metrics>, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::default());
    let metrics = Arc::new(Metrics::new(100, Arc::clone(&telemetry), HostInfo::read(), Budget::default()));
    metrics.follow(&Record::Agent(agent.clone()));
    (metrics, telemetry)
}

/// Waits until a door stands as it should.
async fn until(telemetry: &Telemetry, is_so: impl Fn(&[ExporterStatus]) -> bool) {
    let so = async {
        while !is_so(&telemetry.exporters()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), so).await;
    assert!(waited.is_ok(), "{:#?}", telemetry.exporters());
}
