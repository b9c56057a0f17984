//! Prometheus and VictoriaMetrics, as the distribution has them, each in a folder and on a port of its own.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long a server may take to start, or to show what it was given, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A server; ends when dropped.
pub(super) struct Server {
    kind: Kind,
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Server {
    pub(super) fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        drop(listener);
        std::fs::write(folder.path().join("prom.yml"), "global: {}\n").expect("a file");
        let child = spawn(kind, &folder, port);
        let server = Self { kind, folder, port, child };
        server.wait_until_ready();
        server
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Ends it. Prometheus is killed: it keeps what it has taken. VictoriaMetrics writes to its disk once a second only,
    /// and is asked.
    pub(super) fn stop(&mut self) {
        let signal = if self.kind == Kind::Prometheus { libc::SIGKILL } else { libc::SIGTERM };
        let pid = i32::try_from(self.child.id()).expect("a pid");
        // SAFETY: kill has no memory preconditions; the child is not reaped yet, so the pid is its own.
        unsafe { libc::kill(pid, signal) };
        self.child.wait().expect("the server is ours to wait for");
    }

    pub(super) fn start_again(&mut self) {
        self.child = spawn(self.kind, &self.folder, self.port);
        self.wait_until_ready();
    }

    /// Waits until the one series of this name has exactly these samples.
    pub(super) fn until(&self, series: &str, truth: &[(f64, i64)]) {
        self.wait_for(series, |samples| samples == truth);
    }

    /// Waits until the samples of the last hour are as they should be.
    pub(super) fn wait_for(&self, series: &str, is_so: impl Fn(&[(f64, i64)]) -> bool) -> Vec<(f64, i64)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let samples = self.samples(series);
            if is_so(&samples) {
                return samples;
            }
            assert!(Instant::now() < deadline, "{:?} has of {series} only {samples:?}", self.kind);
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Value and time, ms, of every sample of a series in the last hour.
    fn samples(&self, series: &str) -> Vec<(f64, i64)> {
        if self.kind == Kind::VictoriaMetrics {
            return self.exported(series);
        }
        let answer = ureq::get(self.url("/api/v1/query")).query("query", format!("{series}[1h]")).call();
        let answer: Value = answer.expect("an answer").body_mut().read_json().expect("JSON");
        let result = answer["data"]["result"].as_array().expect("a matrix");
        assert!(result.len() <= 1, "{result:?}");
        let values = result.first().and_then(|one| one["values"].as_array()).cloned().unwrap_or_default();
        let sample = |value: &Value| {
            let seconds = value[0].as_f64().expect("a time");
            (
                value[1].as_str().expect("a value").parse().expect("a number"),
                (seconds * 1000.0).round() as i64,
            )
        };
        values.iter().map(sample).collect()
    }

    /// What VictoriaMetrics holds, raw: a line for each block of a series.
    fn exported(&self, series: &str) -> Vec<(f64, i64)> {
        let answer = ureq::get(self.url("/api/v1/export")).query("match[]", series).call();
        let text = answer.expect("an answer").body_mut().read_to_string().expect("text");
        let mut samples = Vec::new();
        for line in text.lines() {
            let block: Value = serde_json::from_str(line).expect("JSON");
            let (values, times) = (&block["values"], &block["timestamps"]);
            let pairs = values.as_array().expect("values").iter().zip(times.as_array().expect("timestamps"));
            samples.extend(pairs.map(|(v, t)| (v.as_f64().expect("a value"), t.as_i64().expect("a time"))));
        }
        samples.sort_by_key(|(_, at)| *at);
        samples
    }

    fn wait_until_ready(&self) {
        let path = if self.kind == Kind::Prometheus { "/-/ready" } else { "/health" };
        let deadline = Instant::now() + PATIENCE;
        while !ureq::get(self.url(path)).call().is_ok_and(|answer| answer.status() == 200) {
            assert!(Instant::now() < deadline, "{:?} is not ready", self.kind);
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(kind: Kind, folder: &TempDir, port: u16) -> Child {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (program, arguments) = match kind {
        Kind::Prometheus => (
            "prometheus",
            vec![
                format!("--config.file={}", path("prom.yml")),
                format!("--storage.tsdb.path={}", path("data")),
                format!("--web.listen-address=127.0.0.1:{port}"),
                "--web.enable-remote-write-receiver".to_owned(),
            ],
        ),
        Kind::VictoriaMetrics => (
            "victoria-metrics",
            vec![
                format!("-httpListenAddr=127.0.0.1:{port}"),
                format!("-storageDataPath={}", path("data")),
                "-search.latencyOffset=0s".to_owned(),
            ],
        ),
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("{program} is missing, install it: {error}"))
}
