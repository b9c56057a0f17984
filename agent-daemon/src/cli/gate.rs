//! `agentperf gate` (hidden): what `record` starts. It gives up root, waits until its parent watches it,
//! and becomes the command: so the command is watched from its first instruction, under its own pid.

use std::{
    ffi::OsString,
    fs::File,
    io::{ErrorKind, Read},
    os::{
        fd::{FromRawFd, RawFd},
        unix::process::CommandExt,
    },
    process::{Command, ExitCode},
};

use super::{caller::Caller, error::CliError, out};

/// Exit codes of shells, for commands that cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Wait on a descriptor, then execute a command.
#[derive(clap::Args, Debug)]
pub(super) struct GateArgs {
    /// Descriptor of a pipe; the command starts when a byte comes, and never if it is closed before
    #[arg(long)]
    release: RawFd,
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
    if args.release < 3 {
        return Err(CliError::Usage("gate is started by `agentperf record` only".to_owned()));
    }
    // SAFETY: the parent passed this descriptor on for us to own, and nothing else here uses it.
    let mut release = unsafe { File::from_raw_fd(args.release) };
    if !matches!(release.read(&mut [0]), Ok(1)) {
        // The parent failed and has said why.
        return Ok(ExitCode::FAILURE);
    }
    drop(release);
    let Some((program, rest)) = args.command.split_first() else {
        return Err(CliError::Usage("no command".to_owned()));
    };
    let error = Command::new(program).args(rest).exec();
    out::tell(&format!("agentperf: cannot run {}: {error}\n", out::plain(&program.to_string_lossy())));
    Ok(ExitCode::from(if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE }))
}
