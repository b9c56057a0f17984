//! Starts the `agentperf` under test on a port of its own, and ends it. One runs at a time: tests count
//! programs and losses, and two daemons on two CPUs would measure each other.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{api::Api, binary::agentperf};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// How long a debug build may take to load its programs on a busy machine.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(20);

/// A running daemon; stopped when dropped, its log printed if the test failed.
pub(crate) struct Daemon {
    child: Child,
    arguments: &'static [&'static str],
    directory: TempDir,
    port: u16,
    api: Api,
    refused: usize,
    _turn: MutexGuard<'static, ()>,
}

impl Daemon {
    /// Starts one with windows of a second and no built-in rules; `overrides` go over that.
    pub(crate) fn start(overrides: Value) -> Self {
        Self::start_with(&[], overrides)
    }

    /// The same with more arguments.
    pub(crate) fn start_with(arguments: &'static [&'static str], overrides: Value) -> Self {
        let turn = turn();
        // Its user may be another than the tests'.
        let directory = tempfile::tempdir().expect("a temporary directory");
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path(), everybody).expect("the folder is ours");
        let port = free_port();
        configure(&directory, port, overrides);
        let child = spawn(&directory, arguments);
        let mut daemon =
            Self { child, arguments, directory, port, api: Api::new(port), refused: 0, _turn: turn };
        daemon.wait_until_ready();
        daemon
    }

    /// Its API.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// How often it said, while it started, that it was not ready.
    pub(crate) fn not_ready(&self) -> usize {
        self.refused
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder of its store, unless another was chosen.
    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// Its configuration's file.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("agentperf.yaml")
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Its resident set now, bytes.
    pub(crate) fn rss_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the daemon lives");
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
    }

    /// Kills it as a crash would, and starts it again as it was.
    pub(crate) fn crash_and_restart(&mut self) {
        self.crash_and_restart_after(|| {});
    }

    /// The same, and does something between the two.
    pub(crate) fn crash_and_restart_after(&mut self, between: impl FnOnce()) {
        self.child.kill().expect("the daemon is ours to kill");
        self.child.wait().expect("the daemon is ours to wait for");
        between();
        self.child = spawn(&self.directory, self.arguments);
        self.wait_until_ready();
    }

    /// Gives it another configuration and asks it to reload.
    pub(crate) fn reload(&self, overrides: Value) {
        configure(&self.directory, self.port, overrides);
        self.signal(libc::SIGHUP);
    }

    /// Asks it to stop, and waits.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the daemon is ours to wait for") {
                return status;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the daemon did not stop within {STOP:?} of a SIGTERM");
    }

    fn signal(&self, number: i32) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        // SAFETY: kill has no memory preconditions; the child is not reaped yet, so the pid is its own.
        unsafe { libc::kill(pid, number) };
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + START;
        while !self.api.is_ready() {
            self.refused += usize::from(self.api.says_not_ready());
            if let Some(status) = self.child.try_wait().expect("the daemon is ours to wait for") {
                panic!("the daemon ended at its start with {status}:\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "the daemon is not ready after {START:?}:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log());
        }
        if let Ok(None) = self.child.try_wait() {
            self.signal(libc::SIGTERM);
            let deadline = Instant::now() + STOP;
            while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until no other test runs a daemon, or traces by itself.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner())
}

fn configure(directory: &TempDir, port: u16, overrides: Value) {
    let mut config = json!({
        "listen": format!("127.0.0.1:{port}"),
        "window": "1s",
        "agents": { "builtin_rules": false },
        // Nothing beyond this host is asked for anything.
        "ledger": { "model_hosts": "none" },
        "history": { "directory": directory.path().join("store") },
    });
    merge(&mut config, overrides);
    // JSON is YAML, too.
    fs::write(directory.path().join("agentperf.yaml"), config.to_string())
        .expect("the configuration is written");
}

fn spawn(directory: &TempDir, arguments: &[&str]) -> Child {
    let log =
        File::options().create(true).append(true).open(directory.path().join("log")).expect("a log file");
    let mut command = Command::new(agentperf());
    command.args(["serve", "--config"]).arg(directory.path().join("agentperf.yaml")).args(arguments);
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    // SAFETY: prctl is async-signal-safe. A test that is killed leaves no daemon behind.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
    command.spawn().expect("agentperf starts")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Puts `over` onto `base`, object into object.
fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over,
    }
}
