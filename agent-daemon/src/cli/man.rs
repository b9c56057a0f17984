//! `agentperf man`: manual pages, made from the same definitions as `--help`.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{error::CliError, out};

/// Print the manual page, or write one for every command.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf man | man -l -
  agentperf man /usr/local/share/man/man1

Exit codes: 0 printed or written; 1 a page could not be written; 2 bad usage.")]
pub(super) struct ManArgs {
    /// Directory for the pages; without it the main page goes to standard output
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints or writes.
pub(super) fn run(args: &ManArgs) -> Result<(), CliError> {
    let command = super::command();
    match &args.directory {
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map_err(|e| CliError::failed("cannot make the manual page", e))?;
            out::write(&page)
        }
        // A parent that does not exist is a slip of the pen: that directory is not read by man.
        Some(directory) => create(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(|source| CliError::Write { path: directory.clone(), source }),
    }
}

fn create(directory: &Path) -> io::Result<()> {
    match std::fs::create_dir(directory) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        created => created,
    }
}
