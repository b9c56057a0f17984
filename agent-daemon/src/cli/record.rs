//! `agentperf record -- CMD`: runs a command as an agent and reports what it did. The command keeps its
//! terminal, its signals and its exit code, as if it had been started alone.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::process::ExitStatusExt,
    },
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus},
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
};

use super::{
    attach::request,
    backend::{Backend, DaemonArgs},
    caller::Caller,
    client::Range,
    error::CliError,
    interrupt, out,
    profile::ProfileArgs,
    report::{self, Report},
};
use crate::api::dto::agent::AttachRequestDto;

/// Run a command as an agent, and report what it did.
///
/// The command is watched from its first instruction to the end of its last process, or until the command
/// itself ends and leaves others behind. Run through sudo, it gets back the privileges, groups and home of
/// who called sudo. The report goes to standard error.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  sudo agentperf record -- python agent.py
  sudo agentperf record --output flame.svg -- claude -p 'run the tests'
  agentperf record --json -- make 2> report.json

Exit codes: those of the command, 128 + N if signal N ended it; 126 or 127 if it cannot be run; 1 or 2 if the \
watch failed before the command was started.")]
pub(super) struct RecordArgs {
    /// What to call it [default: the command's file name]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    profile: ProfileArgs,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command and reports; the exit code is the command's.
pub(super) fn run(args: &RecordArgs) -> Result<ExitCode, CliError> {
    let wanted = args.profile.wanted()?;
    if wanted.as_ref().is_some_and(|w| w.to_stdout()) {
        return Err(CliError::Usage("standard output is the command's: give --output FILE".to_owned()));
    }
    wanted.as_ref().map_or(Ok(()), |w| w.prepare())?;
    let pid = Arc::new(AtomicI32::new(NOT_STARTED));
    pass_signals_on(Arc::clone(&pid)).map_err(|e| CliError::failed("cannot handle signals", e))?;
    let backend = Backend::open(&args.daemon)?;

    let caller = Caller::behind_sudo()?;
    let mut gate = Gate::start(&args.command, caller).map_err(|e| CliError::failed("cannot start", e))?;
    if !gate.is_ready() {
        return gate.wait().map_err(|e| CliError::failed("cannot wait for the command", e));
    }
    let request = AttachRequestDto {
        at_exec: true,
        ..request(gate.child.id(), Some(name(args)), args.profile.probes(), None)
    };
    let watched = backend.client.attach(&request).map_err(CliError::from).and_then(|agent| {
        wanted.as_ref().map_or(Ok(()), |wanted| wanted.require(&agent))?;
        Ok(agent)
    });
    let agent = match watched {
        Ok(agent) => agent,
        Err(error) => {
            // The command never runs, and the agent ends with the gate.
            let _ = gate.wait();
            return Err(error);
        }
    };
    let id = &agent.id;
    let run = gate.run_command(&pid).map_err(|e| CliError::failed("cannot run the command", e))?;
    let Some(status) = run else {
        // There is nothing to report: the gate has said why.
        let _ = backend.client.detach(id);
        return gate.wait().map_err(|e| CliError::failed("cannot wait for the command", e));
    };
    // What goes wrong from here on must not change the command's exit code.
    let reported = backend.client.detach(id).and_then(|()| {
        wanted.as_ref().map_or(Ok(()), |w| w.write(&backend.client, id, Range::default()))?;
        Report::gather(&backend.client, id, Range::default())
    });
    match reported
        .and_then(|r| if args.json { out::json(&r) } else { Ok(format!("\n{}", report::render(&r))) })
    {
        Ok(text) => out::tell(&text),
        Err(error) => out::tell(&format!("agentperf: no report: {error}\n")),
    }
    if let Err(error) = backend.close() {
        out::tell(&format!("agentperf: {error}\n"));
    }
    Ok(exit_code(status))
}

fn name(args: &RecordArgs) -> String {
    let command = args.command.first().map(Path::new).and_then(Path::file_name);
    if let Some(name) = &args.name {
        // As it is: the daemon refuses what it does not like.
        return name.clone();
    }
    let name = command.map(|c| c.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    if name.trim().is_empty() { "command".to_owned() } else { name }
}

/// This program as the gate of a command (`gate.rs`), and the pipes to it.
struct Gate {
    child: Child,
    /// A byte lets it go; closed without one, it never runs the command.
    release: Option<PipeWriter>,
    /// A byte says that it found the command, a second one that it could not run it.
    status: PipeReader,
}

impl Gate {
    fn start(command: &[OsString], caller: Option<Caller>) -> io::Result<Self> {
        let (reader, release) = io::pipe()?;
        let (status, writer) = io::pipe()?;
        keep_over_exec(reader.as_fd())?;
        keep_over_exec(writer.as_fd())?;
        let mut gate = Command::new("/proc/self/exe");
        gate.arg("gate").arg("--release").arg(reader.as_raw_fd().to_string());
        gate.arg("--status").arg(writer.as_raw_fd().to_string());
        if let Some(Caller { uid, gid }) = caller {
            gate.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
        }
        let child = gate.arg("--").args(command).spawn()?;
        Ok(Self { child, release: Some(release), status })
    }

    /// Waits until the gate has found its command; `false` if it has not, and has said why.
    fn is_ready(&mut self) -> bool {
        matches!(self.status.read(&mut [0]), Ok(1))
    }

    /// Lets the gate go and waits for what it becomes; `None` if the command could not be run.
    fn run_command(&mut self, pid: &AtomicI32) -> io::Result<Option<ExitStatus>> {
        pid.store(i32::try_from(self.child.id()).unwrap_or(ENDED), Ordering::Release);
        // A gate that has died already cannot be written to: its status says it all.
        match self.release.take().map(|mut release| release.write_all(&[1])) {
            Some(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
        let failed = matches!(self.status.read(&mut [0]), Ok(1));
        let status = self.child.wait()?;
        pid.store(ENDED, Ordering::Release);
        Ok((!failed).then_some(status))
    }

    /// Waits for the end of a gate that does not run its command.
    fn wait(&mut self) -> io::Result<ExitCode> {
        self.release.take();
        self.child.wait().map(exit_code)
    }
}

/// Lets a child inherit a descriptor.
fn keep_over_exec(pipe: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: fcntl on a descriptor that is open as long as it is borrowed; no memory is involved.
    match unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFD, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Where the command's pid stands before there is one, and after.
const NOT_STARTED: i32 = 0;
const ENDED: i32 = -1;

/// From now on signals end the command, not this process, which still has to report. A terminal sends
/// Ctrl-C to the command by itself.
fn pass_signals_on(pid: Arc<AtomicI32>) -> io::Result<()> {
    let terminal = io::stdin().is_terminal();
    interrupt::watch(Box::new(move |number, before| {
        match pid.load(Ordering::Acquire) {
            NOT_STARTED => std::process::exit(128 + number),
            // The signal that ended the command may be read late: the report waits for a second one.
            ENDED if before > 0 => std::process::exit(128 + number),
            target if target > 0 && !(number == libc::SIGINT && terminal) => {
                // SAFETY: a system call on integers; the pid is our child's, not yet waited for.
                unsafe { libc::kill(target, number) };
            }
            _ => {}
        }
    }))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|s| 128 + s)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
