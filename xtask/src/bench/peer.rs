//! The tools that agentperf is measured against: they are started, waited for until their programs are
//! attached, and ended as Ctrl-C would.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    command::{find, line, read, run},
    setup::libbpf_tool,
    workspace,
};

/// bpftrace compiles its script first.
const ATTACH: Duration = Duration::from_secs(30);
/// No new program for so long means that all are attached.
const QUIET: Duration = Duration::from_millis(500);
/// What was recorded is written out first.
const STOP: Duration = Duration::from_secs(30);

/// `syscount -L`: latency by syscall, of one process.
pub(super) fn syscount(pid: u32) -> Command {
    with_pid("syscount", &["-L", "-p"], pid)
}

/// `offcputime`: off-CPU time by user and kernel stack, of one process.
pub(super) fn offcputime(pid: u32) -> Command {
    with_pid("offcputime", &["-p"], pid)
}

/// agentsight's capture of TLS: what one process says by OpenSSL, parsed as HTTP.
pub(super) fn agentsight(pid: u32) -> Command {
    let mut command = Command::new(find("agentsight").unwrap_or_else(|| PathBuf::from("agentsight")));
    command.args(["debug", "ssl", "--http-parser", "--quiet", "--", "-p"]).arg(pid.to_string());
    command
}

/// bpftrace, with a latency histogram by syscall, of one process.
pub(super) fn bpftrace_syscalls(pid: u32) -> Command {
    bpftrace(&format!(
        "tracepoint:raw_syscalls:sys_enter /pid == {pid}/ {{ @start[tid] = nsecs; }} \
         tracepoint:raw_syscalls:sys_exit /@start[tid]/ {{ \
           @latency[args->id] = hist(nsecs - @start[tid]); delete(@start[tid]); }}"
    ))
}

/// bpftrace, with off-CPU time by user and kernel stack, of one process.
pub(super) fn bpftrace_off_cpu(pid: u32) -> Command {
    bpftrace(&format!(
        "tracepoint:sched:sched_switch {{ \
           if (pid == {pid}) {{ @start[tid] = nsecs; @kernel[tid] = kstack; @user[tid] = ustack; }} \
           $next = args->next_pid; \
           if (@start[$next]) {{ \
             @off[@kernel[$next], @user[$next]] = sum(nsecs - @start[$next]); delete(@start[$next]); }} }}"
    ))
}

fn with_pid(program: &str, flags: &[&str], pid: u32) -> Command {
    let mut command = Command::new(libbpf_tool(program).unwrap_or_else(|| PathBuf::from(program)));
    command.args(flags).arg(pid.to_string());
    command
}

fn bpftrace(script: &str) -> Command {
    let mut command = Command::new(find("bpftrace").unwrap_or_else(|| PathBuf::from("bpftrace")));
    command.args(["-e", script]);
    command
}

/// How a peer shows that it is at work.
#[derive(Clone, Copy)]
pub(super) enum Sign {
    /// It holds links or perf events, and no new ones.
    Attached,
    /// It says so.
    Says(&'static str),
}

/// A tracing peer. Ended when dropped.
pub(super) struct Peer {
    child: Child,
    log: PathBuf,
}

impl Peer {
    /// Starts a tool and returns once its programs are attached.
    ///
    /// # Errors
    /// It is not installed, or ended, with its last words; or it attached nothing in time.
    pub(super) fn start(command: Command) -> Result<Self> {
        Self::start_until(command, Sign::Attached)
    }

    /// Starts a tool and returns once it gives its sign.
    ///
    /// # Errors
    /// As [`Peer::start`].
    pub(super) fn start_until(mut command: Command, sign: Sign) -> Result<Self> {
        mount_tracefs()?;
        let folder = workspace::scratch().join("bench");
        fs::create_dir_all(&folder)?;
        let log = folder.join("peer.log");
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot run `{}`", line(&command)))?;
        let mut peer = Self { child, log };
        peer.wait_until(sign)?;
        Ok(peer)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as Ctrl-C would, waits for it, and returns what it has written.
    pub(super) fn end(mut self) -> Result<String> {
        self.stop();
        Ok(String::from_utf8_lossy(&fs::read(&self.log)?).into_owned())
    }

    fn wait_until(&mut self, sign: Sign) -> Result<()> {
        let start = Instant::now();
        let (mut attached, mut since) = (0, Instant::now());
        loop {
            match sign {
                Sign::Says(words) if self.said().contains(words) => return Ok(()),
                Sign::Attached if attached > 0 && since.elapsed() >= QUIET => return Ok(()),
                Sign::Says(_) | Sign::Attached => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status}: {}", self.said().trim());
            }
            if start.elapsed() > ATTACH {
                bail!("has attached nothing after {ATTACH:?}");
            }
            let now = attachments(self.child.id());
            if now != attached {
                (attached, since) = (now, Instant::now());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn stop(&mut self) {
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            // SAFETY: kill has no memory preconditions; the child is not reaped, so the pid is its own.
            unsafe { libc::kill(pid, libc::SIGINT) };
            let start = Instant::now();
            while start.elapsed() < STOP && matches!(self.child.try_wait(), Ok(None)) {
                thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many links and perf events a process and its children hold.
fn attachments(pid: u32) -> usize {
    let is_attachment = |target: &PathBuf| {
        let target = target.to_string_lossy();
        target.contains("bpf_link") || target.contains("perf_event")
    };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    let of_children: usize = children(pid).into_iter().map(attachments).sum();
    targets.filter(is_attachment).count() + of_children
}

fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    children
        .flat_map(|pids| pids.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// The peers use perf tracepoints, which have their numbers from tracefs.
fn mount_tracefs() -> Result<()> {
    let tracing = "/sys/kernel/tracing";
    if Path::new(tracing).join("events").exists() || read(Command::new("mountpoint").arg(tracing)).is_ok() {
        return Ok(());
    }
    run(Command::new("mount").args(["-t", "tracefs", "tracefs", tracing]))
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_ends_is_quoted() {
        // Not as root: mounting is the machine's business, and a test leaves it alone.
        let child = Command::new("sh").args(["-c", "exit 4"]).spawn().unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        fs::write(log.path(), "no such pid\n").unwrap();
        let mut peer = Peer { child, log: log.path().to_owned() };
        let error = peer.wait_until(Sign::Attached).unwrap_err().to_string();
        assert!(error.contains("4") && error.contains("no such pid"), "{error}");
    }
}
