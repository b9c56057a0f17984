//! Builds the workloads of `tests/workloads/unwind` in the ways that programs are built, runs them, and watches
//! them.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    iter,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{
    api::Api,
    daemon::Daemon,
    stacks::Stack,
    workload::{built, source},
};

/// No frame pointers, and each call of the source is a call in the program.
pub(super) const FLAGS: [&str; 3] = ["-O2", "-fomit-frame-pointer", "-fno-optimize-sibling-calls"];

/// Samples a second where the programs under test share two CPUs.
pub(super) const FREQUENCY_HZ: u32 = 499;

/// CPU seconds that are enough to judge a program by: 300 samples.
const ENOUGH: f64 = 0.6;

/// A daemon that samples often.
pub(super) fn daemon() -> Daemon {
    Daemon::start(json!({ "sampling": { "frequency_hz": FREQUENCY_HZ } }))
}

/// The program that a compiler makes of a file of `tests/workloads/unwind`.
///
/// # Panics
/// Where it does not build.
pub(super) fn program(code: &str, compiler: &str, flags: &[&str]) -> PathBuf {
    // Where a linker lies makes no other program.
    let named = flags.iter().filter(|flag| !flag.starts_with("-B"));
    let variant =
        iter::once(&compiler).chain(named).copied().collect::<String>().replace(['/', '.', ' '], "_");
    let code = source("unwind").join(code);
    let stem = code.file_name().expect("a file").to_string_lossy().replace('.', "-");
    built(&format!("{stem}-{variant}"), std::slice::from_ref(&code), |output| {
        let status = Command::new(compiler).args(flags).arg("-o").arg(output).arg(&code).status();
        let status =
            status.unwrap_or_else(|e| panic!("{compiler}: {e}; run the tests by `cargo xtask test`"));
        assert!(status.success(), "{compiler} {flags:?} {}", code.display());
    })
}

/// `deep.c`, built by a C compiler with more flags.
pub(super) fn deep(compiler: &str, flags: &[&str]) -> PathBuf {
    program("deep.c", compiler, &[&FLAGS, flags].concat())
}

/// The flags that make gcc link by the lld that rustc brings along. Where there is no rustc, nothing is linked.
pub(super) fn lld() -> Vec<String> {
    let Ok(output) = Command::new("rustc").args(["--print", "sysroot"]).output() else {
        return vec!["-fuse-ld=lld".to_owned()];
    };
    let sysroot = String::from_utf8(output.stdout).expect("a path in UTF-8");
    let folder = Path::new(sysroot.trim()).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/gcc-ld");
    assert!(folder.join("ld.lld").exists(), "rustc brings lld along");
    vec!["-fuse-ld=lld".to_owned(), format!("-B{}", folder.display())]
}

/// Whether a program is in PATH.
pub(super) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// A running workload that has said "ready"; killed when dropped.
pub(super) struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a program.
    pub(super) fn start(program: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::spawn(command)
    }

    /// Starts what a command becomes.
    pub(super) fn spawn(mut command: Command) -> Self {
        // SAFETY: setpriority and prctl are async-signal-safe. Where many workloads compute, the daemon under test
        // shall not wait long for a CPU; and a test that is killed leaves none behind.
        unsafe {
            command.pre_exec(|| {
                libc::setpriority(libc::PRIO_PROCESS, 0, 3);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (input, output) = (input.expect("a pipe"), BufReader::new(output.expect("a pipe")));
        let mut running = Self { child, input, output };
        assert_eq!(running.hear(), "ready", "{command:?}");
        running
    }

    /// Its pid.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it prints.
    pub(super) fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it prints text");
        line.trim_end().to_owned()
    }

    /// Gives it a line, and waits for one.
    pub(super) fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }

    /// Gives it a line.
    pub(super) fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("it listens");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Watches processes by one probe for a while, and returns the stacks of each.
pub(super) fn watch(api: &Api, pids: &[u32], probe: &str, time: Duration) -> Vec<Vec<Stack>> {
    watch_until(api, pids, probe, |_| thread::sleep(time))
}

/// Watches processes on the CPU until each has used enough of it to be judged, and returns the stacks of each.
pub(super) fn watch_cpu(api: &Api, pids: &[u32]) -> Vec<Vec<Stack>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    watch_until(api, pids, "cpu", |_| {
        let begun: Vec<f64> = pids.iter().copied().map(cpu_seconds).collect();
        let has_enough = |(pid, begun): (&u32, &f64)| cpu_seconds(*pid) - begun >= ENOUGH;
        while Instant::now() < deadline && !pids.iter().zip(&begun).all(has_enough) {
            thread::sleep(Duration::from_millis(200));
        }
    })
}

/// Watches blocked processes until every stack of theirs is whole, and a little longer, and returns the stacks of each.
pub(super) fn watch_blocked(api: &Api, pids: &[u32]) -> Vec<Vec<Stack>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_whole = |agent: &String| {
        let recent = api.stacks_from(agent, "off_cpu", jiff::Timestamp::now() - Duration::from_secs(1));
        !recent.is_empty() && recent.iter().all(|s| s.end == "complete")
    };
    watch_until(api, pids, "off_cpu", |agents| {
        while Instant::now() < deadline && !agents.iter().all(is_whole) {
            thread::sleep(Duration::from_millis(300));
        }
        thread::sleep(Duration::from_millis(1500));
    })
}

fn watch_until(api: &Api, pids: &[u32], probe: &str, wait: impl FnOnce(&[String])) -> Vec<Vec<Stack>> {
    let attach = |pid: &u32| api.attach_with(&json!({ "pid": pid, "probes": [probe] }));
    let agents: Vec<String> = pids.iter().map(attach).collect();
    wait(&agents);
    for agent in &agents {
        api.detach(agent);
    }
    agents.iter().map(|agent| api.stacks(agent, probe)).collect()
}

/// CPU seconds that a process has used, its threads together.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
    // utime and stime, in ticks of which Linux shows a hundred a second.
    fields.skip(11).take(2).map(|f| f.parse::<f64>().expect("ticks")).sum::<f64>() / 100.0
}
