//! One agent's one task: from its first instruction on it is watched, as one that somebody attached.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{catalogue::Agent, package::Packages, provider::Provider, verdict::Evidence};
use crate::daemon::Daemon;

/// How long a task may take; agents that find no way out try again and again.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often coverage is looked at while it goes on: what it says of a process ends with that.
const EVERY: Duration = Duration::from_millis(300);
/// How long calls may take to be told: those of a window when it closes.
const TOLD: Duration = Duration::from_secs(6);
/// How long the provider may take to see that a connection is gone.
const SETTLE: Duration = Duration::from_secs(1);
/// Calls of one task at most.
const CALLS: usize = 1000;

/// What agents run beside.
pub(super) struct Lab {
    pub(super) packages: Packages,
    pub(super) provider: Provider,
    pub(super) daemon: Daemon,
    /// Where their homes are.
    pub(super) folder: PathBuf,
}

impl Lab {
    /// Has an agent do its task, and tells what was seen of it.
    ///
    /// # Errors
    /// It does not start, or the daemon does not answer.
    pub(super) fn run(&self, agent: &Agent) -> Result<Evidence> {
        let before = self.provider.truths().len();
        let mut process = self.start(agent)?;
        let id = self.daemon.attach(process.id(), None)?;
        // It waits for this.
        process.stdin.take().context("it has an input")?.write_all(b"\n")?;
        let mut processes = BTreeMap::new();
        let start = Instant::now();
        while process.try_wait()?.is_none() && start.elapsed() < PATIENCE {
            self.look(&id, &mut processes);
            thread::sleep(EVERY);
        }
        end(&mut process);
        thread::sleep(SETTLE);
        let truths: Vec<Value> = self.provider.truths().split_off(before);
        let ended = self.rows(&format!("agents/{id}/coverage"), "ended").unwrap_or_default();
        // It may have gone with its last process.
        let _ = self.daemon.detach(&id);
        let calls = self.calls(&id, truths.len())?;
        let evidence = Evidence { truths, calls, processes: processes.into_values().collect(), ended };
        fs::write(self.folder.join(agent.name).join("evidence.json"), format!("{:#}", evidence.json()))?;
        Ok(evidence)
    }

    /// What the daemon has lost so far, by name.
    pub(super) fn losses(&self) -> Result<String> {
        let status: Value = serde_json::from_str(&self.daemon.get("status")?)?;
        let losses = status.get("losses").and_then(Value::as_object).into_iter().flatten();
        let lost = losses.filter(|(_, count)| count.as_u64() != Some(0));
        Ok(lost.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", "))
    }

    /// Where what it said is.
    pub(super) fn output(&self, agent: &Agent) -> PathBuf {
        self.folder.join(agent.name).join("output")
    }

    fn start(&self, agent: &Agent) -> Result<Child> {
        let home = self.folder.join(agent.name).join("home");
        let _ = fs::remove_dir_all(&home);
        let work = home.join("work");
        fs::create_dir_all(&work)?;
        for (path, text) in agent.files {
            let path = home.join(path);
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            fs::write(path, self.filled(text))?;
        }
        let output = File::create(self.output(agent))?;
        // A shell that becomes the agent once it is watched.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"read -r go; exec "$@" </dev/null"#, "sh"]).args(self.packages.words(agent));
        command.args(agent.arguments.iter().map(|word| self.filled(word)));
        command.env_clear().current_dir(work).env("HOME", &home);
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.packages.node().display()));
        command
            .env("NODE_EXTRA_CA_CERTS", self.provider.authority())
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb");
        command.envs(agent.variables.iter().map(|(name, value)| (*name, self.filled(value))));
        command.process_group(0).stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        command.spawn().with_context(|| format!("cannot run {}", agent.name))
    }

    fn filled(&self, text: &str) -> String {
        let base = format!("https://127.0.0.1:{}", self.provider.port);
        text.replace("{base}", &base).replace("{ca}", &self.provider.authority().display().to_string())
    }

    /// Keeps what coverage says of each process now.
    fn look(&self, id: &str, processes: &mut BTreeMap<u64, Value>) {
        for process in self.rows(&format!("agents/{id}/coverage"), "processes").unwrap_or_default() {
            processes.insert(process.get("pid").and_then(Value::as_u64).unwrap_or(0), process);
        }
    }

    /// Its calls, once so many are told, or no more will be.
    fn calls(&self, id: &str, count: usize) -> Result<Vec<Value>> {
        let start = Instant::now();
        loop {
            let mut calls = self.rows(&format!("llm-calls?agent={id}&limit={CALLS}"), "calls")?;
            if calls.len() >= count || start.elapsed() > TOLD {
                calls.reverse();
                return Ok(calls);
            }
            thread::sleep(EVERY);
        }
    }

    fn rows(&self, path: &str, field: &str) -> Result<Vec<Value>> {
        let answer: Value = serde_json::from_str(&self.daemon.get(path)?)?;
        Ok(answer.get(field).and_then(Value::as_array).cloned().unwrap_or_default())
    }
}

/// Ends an agent, and what it has started and left in its process group.
fn end(process: &mut Child) {
    if let Ok(group) = i32::try_from(process.id()) {
        // SAFETY: kill has no memory preconditions. The group has the pid of its leader as number, which nobody else has
        // while a process of it lives; where none does, there is nobody to signal.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    let _ = process.wait();
}
