//! Remote write into real servers, through an outage of theirs and a crash of ours: every sample's value and time is
//! asked for afterwards.

mod collector;
mod servers;

use std::{path::Path, sync::Arc, time::Duration};

use agentperf::{
    config,
    export::{prometheus::Metrics, remote_write::RemoteWrite},
    model::{
        agent::{Agent, AgentSource},
        id::{AgentId, ProcessId},
        probe::ProbeSet,
        process::Process,
        record::Record,
        time::Timestamp,
    },
    store::Follower,
    telemetry::{HostInfo, Telemetry},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use self::servers::{Kind, Server};
use crate::support::{daemon::Daemon, puppet::Puppet};

/// What is counted, and how much of it there is.
struct Counted {
    metrics: Arc<Metrics>,
    telemetry: Arc<Telemetry>,
    agent: Agent,
    begin: Timestamp,
}

impl Counted {
    fn new() -> Self {
        let begin = Timestamp::from_second(Timestamp::now().as_second() - 120).unwrap();
        let root = ProcessId::new(4711, 1 << 30);
        let agent = Agent {
            id: AgentId::new(4711, begin.as_millisecond()),
            name: "worker".to_owned(),
            root,
            created: begin,
            attached: begin,
            expires: None,
            ended: None,
            source: AgentSource::Attach,
            probes: ProbeSet::ALL,
            boot_id: "0".repeat(36),
        };
        let telemetry = Arc::new(Telemetry::default());
        let metrics =
            Arc::new(Metrics::new(100, Arc::clone(&telemetry), HostInfo::read(), config::Budget::default()));
        metrics.follow(&Record::Agent(agent.clone()));
        Self { metrics, telemetry, agent, begin }
    }

    /// Opens the door as a daemon that starts does.
    fn open(&self, server: &Server, spool: &Path) -> Arc<RemoteWrite> {
        let mut config = config::RemoteWrite::default();
        config.receiver.url = Some(server.url("/api/v1/write"));
        RemoteWrite::open(&config, spool, "here", Arc::clone(&self.metrics), &self.telemetry)
            .unwrap()
            .unwrap()
    }

    /// Second `n`: the agent has used `n` seconds.
    fn sample(&self, door: &RemoteWrite, n: u32) {
        let process = Process {
            id: self.agent.root,
            parent: None,
            parent_pid: 1,
            executable: None,
            comm: "python3".to_owned(),
            args: Vec::new(),
            started: self.begin,
            ended: None,
            exit: None,
            killer: None,
            cpu_ns: u64::from(n) * 1_000_000_000,
            cpu_before_ns: 0,
            peak_rss_bytes: 0,
            resources: None,
        };
        self.metrics.follow(&Record::Process(self.agent.id.clone(), process));
        door.sample(self.begin + Duration::from_secs(n.into()));
    }

    /// Value and time, ms, of every sample there should be.
    fn truth(&self, samples: u32) -> Vec<(f64, i64)> {
        let begin = self.begin.as_millisecond();
        (1..=samples).map(|n| (f64::from(n), begin + 1000 * i64::from(n))).collect()
    }
}

fn nothing_is_lost(kind: Kind) {
    let runtime = Runtime::new().unwrap();
    let _inside = runtime.enter();
    let spool = tempfile::tempdir().unwrap();
    let mut server = Server::start(kind);
    let counted = Counted::new();

    let door = counted.open(&server, spool.path());
    let sending = runtime.spawn(Arc::clone(&door).send());
    (1..=10).for_each(|n| counted.sample(&door, n));
    server.until("agentperf_agent_cpu_seconds_total", &counted.truth(10));

    server.stop();
    (11..=20).for_each(|n| counted.sample(&door, n));
    // It tries, and then is no more, as after a crash.
    let failed = || counted.telemetry.exporters()[0].failed > 0;
    while !failed() {
        std::thread::sleep(Duration::from_millis(5));
    }
    sending.abort();
    let _ = runtime.block_on(sending);
    let open = Arc::downgrade(&door);
    drop(door);
    while open.strong_count() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }

    let door = counted.open(&server, spool.path());
    let sending = runtime.spawn(Arc::clone(&door).send());
    (21..=30).for_each(|n| counted.sample(&door, n));
    server.start_again();
    server.until("agentperf_agent_cpu_seconds_total", &counted.truth(30));
    sending.abort();
    let losses = counted.telemetry.losses.all();
    assert_eq!((losses["export_dropped"], losses["spool_tail_cut"]), (0, 0));
}

#[test]
fn prometheus_has_every_sample_after_an_outage() {
    nothing_is_lost(Kind::Prometheus);
}

#[test]
fn victoria_metrics_has_every_sample_after_an_outage() {
    nothing_is_lost(Kind::VictoriaMetrics);
}

/// The whole daemon: killed in the middle of an outage, it sends what it had taken before.
#[test]
fn a_daemon_that_is_killed_sends_what_it_had_taken() {
    let spool = tempfile::tempdir().unwrap();
    let mut server = Server::start(Kind::Prometheus);
    let mut daemon = Daemon::start(json!({ "export": {
        "spool_directory": spool.path(),
        "remote_write": { "url": server.url("/api/v1/write"), "interval": "200ms" },
    } }));
    let mut puppet = Puppet::start();
    let agent = daemon.api().attach(puppet.pid());
    let door = |daemon: &Daemon| -> Value {
        daemon.api().get("/api/v1/status").expect(200).json()["exporters"][0].clone()
    };
    let until = |daemon: &Daemon, is_so: &dyn Fn(&Value) -> bool| {
        while !is_so(&door(daemon)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(&daemon, &|door| door["sent"].as_u64() > Some(0));
    server.stop();
    puppet.tell("getppid 1234");
    daemon.api().detach(&agent);
    until(&daemon, &|door| door["failures"].as_u64() > Some(0) && door["spool_bytes"].as_u64() > Some(0));
    let killed_at = Timestamp::now();
    // One more sample, which has the last counts, is in the spool.
    let before = door(&daemon)["spool_bytes"].as_u64();
    until(&daemon, &|door| door["spool_bytes"].as_u64() > before);
    daemon.crash_and_restart();
    server.start_again();
    let series = format!("agentperf_agent_syscalls_total{{agent_id=\"{agent}\",syscall=\"getppid\"}}");
    let samples = server.wait_for(&series, |samples| {
        samples.last().is_some_and(|(value, at)| *value == 1234.0 && *at >= killed_at.as_millisecond() - 200)
    });
    assert!(samples.iter().all(|(value, _)| *value == 1234.0), "{samples:?}");
    assert_eq!(door(&daemon)["dropped"], 0);
}
