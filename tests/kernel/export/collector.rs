//! OTLP into Rotel, a collector that others wrote, over gRPC and over HTTP: it prints what it understood.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{binary::target_directory, daemon::Daemon, puppet::Puppet};

/// The collector, from PyPI.
const ROTEL: &str = "rotel==0.0.1a15";

const PATIENCE: Duration = Duration::from_secs(120);

/// The collector's program, in a virtual environment.
fn program() -> PathBuf {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    let find = |folder: &PathBuf| {
        let pythons = fs::read_dir(folder.join("lib")).into_iter().flatten().flatten();
        let programs = pythons.map(|python| python.path().join("site-packages/rotel/rotel-agent"));
        programs.into_iter().find(|program| program.exists())
    };
    let make = || {
        let folder = target_directory().join("venv/rotel");
        if find(&folder).is_none() {
            let run =
                |command: &mut Command| assert!(command.status().expect("it runs").success(), "{command:?}");
            run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(&folder));
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ROTEL];
            run(Command::new(folder.join("bin/python")).args(pip));
        }
        find(&folder).expect("the package has the program")
    };
    MADE.get_or_init(make).clone()
}

/// A running collector; ends when dropped.
struct Collector {
    child: Child,
    folder: TempDir,
    grpc: u16,
    http: u16,
}

impl Collector {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let (grpc, http) = (free_port(), free_port());
        let out = File::create(folder.path().join("out")).expect("a file");
        let mut command = Command::new(program());
        command.args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed"]);
        command.args(["--debug-log", "metrics", "--debug-log", "traces", "--debug-log", "logs"]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
        command.current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(out.try_clone().expect("a second handle")).stderr(out);
        let child = command.spawn().expect("the collector starts");
        Self { child, folder, grpc, http }
    }

    /// Waits until it has printed all of these.
    fn until(&self, texts: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let out = fs::read(self.folder.path().join("out")).unwrap_or_default();
            let out = String::from_utf8_lossy(&out);
            let missing: Vec<_> = texts.iter().filter(|text| !out.contains(**text)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{missing:?} is not in:\n{out}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

#[test]
fn a_collector_understands_metrics_spans_and_events() {
    let collector = Collector::start();
    for (endpoint, protocol, compression) in
        [(collector.grpc, "grpc", "none"), (collector.http, "http/protobuf", "gzip")]
    {
        let daemon = Daemon::start(json!({ "export": { "otlp": {
            "endpoint": format!("http://127.0.0.1:{endpoint}"),
            "protocol": protocol,
            "compression": compression,
            "interval": "500ms",
        } } }));
        let mut puppet = Puppet::start();
        let agent = daemon.api().attach(puppet.pid());
        let ran = puppet.run("cpu7030", &["1"]);
        daemon.api().detach(&agent);
        collector.until(&[
            &format!("agent_id: Str({agent})"),
            "Name: agentperf_agent_up",
            &format!("gen_ai.agent.id: Str({agent})"),
            &format!("process.pid: Int({})", ran.pid),
            "EventName: agentperf.agent.started",
            "EventName: agentperf.agent.ended",
        ]);
    }
}
