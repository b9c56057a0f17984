//! A command: started anew for each try, without a shell, with the payload of webhooks on its standard input.
//!
//! It has a process group of its own, which is killed when its time is over, and of the daemon's environment only
//! what is listed here. Its exit status says how it went: 0 is delivered, 65 (`EX_DATAERR`) refused, anything else is
//! tried again. What it writes is shown where that helps, not more than a little of it.

use std::{
    collections::BTreeMap,
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command as Process},
    time::timeout,
};

use super::{
    message::Message,
    outcome::Outcome,
    payload,
    secret::Cleaner,
    way::{Common, Sending, Way},
};

/// What a command is given of the daemon's environment.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR"];
/// Bytes that are kept of its output; the rest is read and dropped.
const MAX_OUTPUT: usize = 4 << 10;
/// How long what it wrote is waited for after its end.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// The exit status that refuses a message for good.
const REFUSED: i32 = 65;
/// The most arguments, and the bytes of all.
const MAX_ARGUMENTS: (usize, usize) = (64, 16 << 10);

/// What a command needs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Config {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
}

/// A command.
#[derive(Debug)]
pub(super) struct Command {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    timeout: Duration,
}

impl Command {
    pub(super) fn open(config: &Config, common: &Common) -> Result<Self, String> {
        common.without_auth()?;
        let program = config.argv.first().ok_or("it needs argv: a program and its arguments")?;
        if !program.starts_with('/') {
            return Err("the program is named by its whole path".to_owned());
        }
        let bytes: usize = config.argv.iter().map(String::len).sum();
        if config.argv.len() > MAX_ARGUMENTS.0 || bytes > MAX_ARGUMENTS.1 {
            return Err(format!("argv may have {} arguments and {} bytes", MAX_ARGUMENTS.0, MAX_ARGUMENTS.1));
        }
        let texts = config.argv.iter().chain(config.env.keys()).chain(config.env.values());
        if texts.into_iter().any(|text| text.contains('\0'))
            || config.env.keys().any(|name| name.contains('='))
        {
            return Err("argv and env cannot hold NUL, nor names in env =".to_owned());
        }
        let (argv, env) = (config.argv.clone(), config.env.clone());
        Ok(Self { argv, env, timeout: common.timeout })
    }

    async fn send(&self, message: &Message, attempt: u32) -> Outcome {
        let mut running = match self.spawn(message, attempt) {
            Ok(running) => running,
            Err(error) => return Outcome::later(format!("{}: {error}", self.shown())),
        };
        let mut said = Vec::new();
        match timeout(self.timeout, running.talk(payload::json(message), &mut said)).await {
            Ok(Ok(status)) => judge(status, &self.cleaned(&said)),
            Ok(Err(error)) => Outcome::later(format!("{}: {error}", self.shown())),
            Err(_) => Outcome::unreached(format!("not done within {:?}, and killed", self.timeout)),
        }
    }

    /// What it said, without the values it was given: a script may tell its environment.
    fn cleaned(&self, said: &[u8]) -> String {
        let mut cleaner = Cleaner::default();
        self.env.values().for_each(|value| cleaner.hide(value));
        cleaner.clean(&String::from_utf8_lossy(said))
    }

    fn spawn(&self, message: &Message, attempt: u32) -> io::Result<Running> {
        let (program, arguments) = self.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let told = &message.notification;
        let child = Process::new(program)
            .args(arguments)
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .env("AGENTPERF_ID", told.id.to_string())
            .env("AGENTPERF_GROUP", told.group.to_string())
            .env("AGENTPERF_ATTEMPT", attempt.to_string())
            .envs(&self.env)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| libc::pid_t::try_from(id).ok());
        Ok(Running { child, group })
    }
}

impl Way for Command {
    fn shown(&self) -> String {
        self.argv.first().cloned().unwrap_or_default()
    }

    fn deliver<'a>(&'a self, message: &'a Message, attempt: u32) -> Sending<'a> {
        Box::pin(self.send(message, attempt))
    }
}

/// A command that was started. Dropped before its end, it is killed, with all that it started in its group.
struct Running {
    child: Child,
    /// Its process group; `None` once it has ended, for then the number may be somebody else's.
    group: Option<libc::pid_t>,
}

impl Running {
    /// Tells it the payload, listens, and waits for its end. It need not read.
    async fn talk(&mut self, payload: Vec<u8>, said: &mut Vec<u8>) -> io::Result<ExitStatus> {
        let (input, output, errors) =
            (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let write = async move {
            if let Some(mut input) = input {
                // It has ended, or closed its input: its exit status says what that means.
                let _ = input.write_all(&payload).await;
            }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut status = None;
        {
            let talk = async { tokio::join!(write, listen(output, &mut out), listen(errors, &mut err)) };
            tokio::pin!(talk);
            let ended = tokio::select! {
                _ = &mut talk => false,
                ended = self.child.wait() => {
                    status = Some(ended?);
                    true
                }
            };
            if ended {
                self.group = None;
                // What it started may go on, and keep the pipes; what it wrote itself is there.
                let _ = timeout(LAST_WORDS, talk).await;
            }
        }
        let status = match status {
            Some(status) => status,
            None => self.child.wait().await?,
        };
        self.group = None;
        said.extend(out.into_iter().chain(err).take(MAX_OUTPUT));
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // SAFETY: kill touches no memory. The number is the group's: its leader was not waited for yet.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
    }
}

/// Reads to the end, and keeps the beginning.
async fn listen(from: Option<impl AsyncRead + Unpin>, said: &mut Vec<u8>) {
    let Some(mut from) = from else { return };
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let room = MAX_OUTPUT.saturating_sub(said.len());
        said.extend(buffer.iter().take(length.min(room)));
    }
}

fn judge(status: ExitStatus, said: &str) -> Outcome {
    let why = format!("{status}: {said}").trim_end_matches([':', ' ']).to_owned();
    match status.code() {
        Some(0) => Outcome::Taken(why),
        Some(REFUSED) => Outcome::Refused(why),
        _ => Outcome::later(why),
    }
}
