//! agentperf as a user runs it: `agentperf serve`, and agents attached by HTTP.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::workspace;

/// How long it may take to load its programs on a busy machine.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);

/// A running daemon without agents of its own finding. Stopped when dropped.
pub(super) struct Daemon {
    child: Child,
    base: String,
    http: ureq::Agent,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with its default configuration but for the built-in rules, which would find agents, and
    /// returns once it is ready.
    pub(super) fn start(agentperf: &Path) -> Result<Self> {
        let folder = workspace::scratch().join("bench");
        fs::create_dir_all(&folder)?;
        let (config, log) = (folder.join("agentperf.yaml"), folder.join("agentperf.log"));
        fs::write(&config, "agents:\n  builtin_rules: false\n")?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let output = File::create(&log)?;
        let child = Command::new(agentperf)
            .args(["serve", "--listen", &listen, "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot run {}", agentperf.display()))?;
        let http = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(START));
        let mut daemon = Self { child, base: format!("http://{listen}"), http: http.build().into(), log };
        daemon.wait_until_ready()?;
        Ok(daemon)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Attaches to a process with these probes, or with all that an attach turns on by default.
    ///
    /// # Errors
    /// What the daemon answers, if it refuses.
    pub(super) fn attach(&self, pid: u32, probes: Option<&[&str]>) -> Result<()> {
        let mut request = json!({ "pid": pid });
        if let (Some(probes), Some(fields)) = (probes, request.as_object_mut()) {
            fields.insert("probes".to_owned(), json!(probes));
        }
        let url = format!("{}/api/v1/agents", self.base);
        let mut response = self.http.post(&url).send_json(&request)?;
        if response.status() != 201 {
            let problem: Value = response.body_mut().read_json().unwrap_or_default();
            bail!("POST {url} {request}: {}: {problem}", response.status());
        }
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        let url = format!("{}/readyz", self.base);
        while !self.http.get(&url).call().is_ok_and(|response| response.status() == 200) {
            if let Some(status) = self.child.try_wait()? {
                bail!("agentperf ended with {status}:\n{}", self.log_text());
            }
            if start.elapsed() > START {
                bail!("agentperf is not ready after {START:?}:\n{}", self.log_text());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn log_text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            // SAFETY: kill has no memory preconditions; the child is not reaped, so the pid is its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
            let start = Instant::now();
            while start.elapsed() < STOP && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
