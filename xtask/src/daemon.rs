//! agentperf as a user runs it, for verbs that look at what it sees: `agentperf serve`, and agents attached by HTTP.

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

/// How long it may take to load its programs on a busy machine.
const START: Duration = Duration::from_secs(60);
/// Bytes; a long profile has some megabytes.
const MAX_ANSWER: u64 = 256 << 20;
const STOP: Duration = Duration::from_secs(20);

/// A running daemon without agents of its own finding. Stopped when dropped.
pub(crate) struct Daemon {
    child: Child,
    base: String,
    http: ureq::Agent,
    log: PathBuf,
}

impl Daemon {
    /// Starts it with its default configuration but for this text and the store's folder, which is fresh and in `folder`;
    /// returns once it is ready.
    pub(crate) fn start(agentperf: &Path, folder: &Path, config: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (file, log) = (folder.join("agentperf.yaml"), folder.join("agentperf.log"));
        let store = folder.join("store");
        let _ = fs::remove_dir_all(&store);
        fs::write(&file, format!("{config}history:\n  directory: {}\n", store.display()))?;
        let listen = format!("127.0.0.1:{}", free_port()?);
        let output = File::create(&log)?;
        let child = Command::new(agentperf)
            .args(["serve", "--listen", &listen, "--config"])
            .arg(file)
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

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Attaches to a process with these probes, or with all that an attach turns on by default; returns the
    /// agent's id.
    ///
    /// # Errors
    /// What the daemon answers, if it refuses.
    pub(crate) fn attach(&self, pid: u32, probes: Option<&[&str]>) -> Result<String> {
        let mut request = json!({ "pid": pid });
        if let (Some(probes), Some(fields)) = (probes, request.as_object_mut()) {
            fields.insert("probes".to_owned(), json!(probes));
        }
        let url = format!("{}/api/v1/agents", self.base);
        let mut response = self.http.post(&url).send_json(&request)?;
        let answer: Value = response.body_mut().read_json().unwrap_or_default();
        match answer.get("id").and_then(Value::as_str) {
            Some(id) if response.status() == 201 => Ok(id.to_owned()),
            _ => bail!("POST {url} {request}: {}: {answer}", response.status()),
        }
    }

    /// Stops watching an agent. What was seen of it can still be asked for.
    pub(crate) fn detach(&self, agent: &str) -> Result<()> {
        let url = format!("{}/api/v1/agents/{agent}", self.base);
        let response = self.http.delete(&url).call()?;
        if !response.status().is_success() {
            bail!("DELETE {url}: {}", response.status());
        }
        Ok(())
    }

    /// What `GET /api/v1/PATH` answers.
    ///
    /// # Errors
    /// It is a refusal, or longer than [`MAX_ANSWER`].
    pub(crate) fn get(&self, path: &str) -> Result<String> {
        let url = format!("{}/api/v1/{path}", self.base);
        let mut response = self.http.get(&url).call()?;
        let text = response.body_mut().with_config().limit(MAX_ANSWER).read_to_string()?;
        if !response.status().is_success() {
            bail!("GET {url}: {}: {text}", response.status());
        }
        Ok(text)
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
