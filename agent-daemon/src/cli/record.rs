//! `agentperf record -- CMD`: runs a command as an agent and reports what it did. The command keeps its
//! terminal, its signals and its exit code, as if it had been started alone.

use std::{
    ffi::OsString,
    io::{self, IsTerminal, PipeReader, PipeWriter, Write},
    os::{fd::AsRawFd, unix::process::ExitStatusExt},
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

Exit codes: those of the command, 128 + N if signal N ended it; 126 or 127 if it cannot be run; 1 or 2 if the
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

    let (mut child, release) = start_gate(&args.command).map_err(|e| CliError::failed("cannot start", e))?;
    let request = request(child.id(), Some(name(args)), args.profile.probes(), None);
    let watched = backend.client.attach(&request).map_err(CliError::from).and_then(|agent| {
        wanted.as_ref().map_or(Ok(()), |wanted| wanted.require(&agent))?;
        Ok(agent)
    });
    let agent = match watched {
        Ok(agent) => agent,
        Err(error) => {
            // Closed without a byte, the gate never runs the command, and the agent ends with it.
            drop(release);
            let _ = child.wait();
            return Err(error);
        }
    };
    let status =
        run_command(&mut child, release, &pid).map_err(|e| CliError::failed("cannot run the command", e))?;
    let id = &agent.id;
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
    let name = args.name.clone().or_else(|| command.map(|c| c.to_string_lossy().into_owned()));
    let name: String = name.unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
    if name.trim().is_empty() { "command".to_owned() } else { name }
}

/// Starts this program as the gate of `command`: it waits for a byte on the pipe.
fn start_gate(command: &[OsString]) -> io::Result<(Child, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    keep_over_exec(&reader)?;
    let mut gate = Command::new("/proc/self/exe");
    gate.arg("gate").arg("--release").arg(reader.as_raw_fd().to_string());
    if let Some(Caller { uid, gid }) = Caller::behind_sudo() {
        gate.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
    }
    let child = gate.arg("--").args(command).spawn()?;
    Ok((child, writer))
}

/// Lets the child inherit a descriptor.
fn keep_over_exec(pipe: &PipeReader) -> io::Result<()> {
    // SAFETY: fcntl on a descriptor that is open as long as `pipe` lives; no memory is involved.
    match unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFD, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Lets the gate go and waits for what it becomes.
fn run_command(child: &mut Child, mut release: PipeWriter, pid: &AtomicI32) -> io::Result<ExitStatus> {
    pid.store(i32::try_from(child.id()).unwrap_or(ENDED), Ordering::Release);
    let released = release.write_all(&[1]);
    drop(release);
    let status = child.wait()?;
    pid.store(ENDED, Ordering::Release);
    // A gate that had died already cannot be written to: its status says it all.
    match released {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(status),
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
