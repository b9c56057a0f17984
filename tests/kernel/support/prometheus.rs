//! A real Prometheus on a port of its own, which scrapes a daemon every second and runs the rules of `dashboards/`.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long it may take to start, or to have what is asked for.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running Prometheus; ended when dropped.
pub(crate) struct Prometheus {
    child: Child,
    base: String,
    http: ureq::Agent,
    _directory: TempDir,
}

/// A file of `dashboards/`.
pub(crate) fn dashboards(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards").join(name)
}

impl Prometheus {
    /// Starts one that scrapes the daemon at `http://HOST:PORT`.
    pub(crate) fn start(daemon: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let config = directory.path().join("prometheus.yml");
        let target = daemon.trim_start_matches("http://");
        let rules = ["recording.yaml", "alerts.yaml"].map(|name| dashboards("prometheus").join(name));
        let text = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: {rules:?}\n\
             scrape_configs: [{{ job_name: agentperf, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n"
        );
        std::fs::write(&config, text).expect("the configuration is written");
        let log = File::create(directory.path().join("log")).expect("a log file");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let child = child.expect("`prometheus` runs: install it, or run the tests by `cargo xtask test`");
        let http = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        let base = format!("http://127.0.0.1:{port}");
        let started = Self { child, base, http: http.build().into(), _directory: directory };
        started.until("it is ready", || {
            started.http.get(format!("{}/-/ready", started.base)).call().is_ok_and(|r| r.status() == 200)
        });
        started
    }

    /// What `GET PATH` answers under `data`.
    ///
    /// # Panics
    /// It refuses, with its reason.
    #[track_caller]
    pub(crate) fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let mut request = self.http.get(format!("{}/api/v1/{path}", self.base));
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        let mut response = request.call().expect("Prometheus answers");
        let answer: Value = response.body_mut().read_json().expect("JSON");
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        answer["data"].clone()
    }

    /// How many series an expression has now.
    #[track_caller]
    pub(crate) fn count(&self, expression: &str) -> usize {
        self.get("query", &[("query", expression)])["result"].as_array().map_or(0, Vec::len)
    }

    /// Waits until an expression has data.
    #[track_caller]
    pub(crate) fn wait_for(&self, expression: &str) {
        self.until(expression, || self.count(expression) > 0);
    }

    #[track_caller]
    fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
            thread::sleep(Duration::from_millis(250));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
