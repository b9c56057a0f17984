//! `agentperf gate` (hidden): what `record` starts. It gives up root, finds the command, waits until its parent
//! watches it, and becomes the command by a single exec: so the command is watched from its first instruction,
//! under its own pid.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, RawFd},
        unix::{fs::PermissionsExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use super::{caller::Caller, error::CliError, out};

/// Exit codes of shells, for commands that cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Where commands are looked for that have no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Wait on a descriptor, then execute a command.
#[derive(clap::Args, Debug)]
pub(super) struct GateArgs {
    /// Descriptor of a pipe; the command starts when a byte comes, and never if it is closed before
    #[arg(long)]
    release: RawFd,
    /// Descriptor of a pipe that is told when the command is found, and again if it cannot be run
    #[arg(long)]
    status: RawFd,
    /// User to become
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    /// Group to become
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// The command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// Waits and executes; returns only if that fails.
pub(super) fn run(args: &GateArgs) -> Result<ExitCode, CliError> {
    if let (Some(uid), Some(gid)) = (args.uid, args.gid) {
        Caller { uid, gid }.become_caller().map_err(|e| CliError::failed("cannot give up root", e))?;
    }
    if args.release < 3 || args.status < 3 || args.status == args.release {
        return Err(CliError::Usage("gate is started by `agentperf record` only".to_owned()));
    }
    // SAFETY: the parent passed these descriptors on for us to own, and nothing else here uses them.
    let (mut release, mut status) =
        unsafe { (File::from_raw_fd(args.release), File::from_raw_fd(args.status)) };
    let Some((program, rest)) = args.command.split_first() else {
        return Err(CliError::Usage("no command".to_owned()));
    };
    let mut command = match find(program) {
        Ok(path) => Command::new(path),
        Err(error) => return Ok(cannot_run(program, &error)),
    };
    command.arg0(program).args(rest);
    close_on_exec(&status).map_err(|e| CliError::failed("cannot prepare the command", e))?;
    let _ = status.write_all(&[1]);
    if !matches!(release.read(&mut [0]), Ok(1)) {
        // The parent failed and has said why.
        return Ok(ExitCode::FAILURE);
    }
    drop(release);
    let error = command.exec();
    let _ = status.write_all(&[1]);
    Ok(cannot_run(program, &error))
}

fn cannot_run(program: &OsStr, error: &io::Error) -> ExitCode {
    out::tell(&format!("agentperf: cannot run {}: {error}\n", out::plain(&program.to_string_lossy())));
    ExitCode::from(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE })
}

/// The file that a shell would run for `program`: looked for before the watch begins, so that the failed tries
/// are nobody's.
fn find(program: &OsStr) -> io::Result<PathBuf> {
    if program.as_encoded_bytes().contains(&b'/') {
        return is_executable(Path::new(program)).map(|()| PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut denied = None;
    for directory in std::env::split_paths(&path) {
        let file = if directory.as_os_str().is_empty() { Path::new(".") } else { &directory }.join(program);
        match is_executable(&file) {
            Ok(()) => return Ok(file),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => denied = Some(error),
            Err(_) => {}
        }
    }
    Err(denied.unwrap_or_else(|| io::Error::from_raw_os_error(libc::ENOENT)))
}

/// Whether a file is there, and may be executed by somebody; whether by us, exec knows.
fn is_executable(path: &Path) -> io::Result<()> {
    let file = path.metadata()?;
    let fine = file.is_file() && file.permissions().mode() & 0o111 != 0;
    if fine { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EACCES)) }
}

fn close_on_exec(pipe: &File) -> io::Result<()> {
    // SAFETY: fcntl on a descriptor that is open as long as `pipe` lives; no memory is involved.
    match unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
