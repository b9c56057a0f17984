//! `agentperf store export`: the store as lines of JSON or as Parquet tables.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::progress;
use crate::{
    cli::{error::CliError, out},
    config::parse_duration,
    export::{
        journal::{self, ExportError, Line},
        parquet,
        select::{Exported, Selection},
    },
    model::{
        id::AgentId,
        time::{TimeRange, Timestamp},
    },
    store::Disk,
};

/// What is exported, where to, and as what.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// Where to: a file that is not there yet, or - for standard output; for parquet, a folder
    #[arg(value_name = "TO", default_value = "-")]
    to: PathBuf,
    /// Lines of JSON as the journal has them (docs/journal.md), or tables (docs/parquet.md)
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Only this agent; may be given several times
    #[arg(long = "agent", value_name = "ID")]
    agents: Vec<AgentId>,
    /// Only the last of it, as in 90m or 2d
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with_all = ["from", "until"])]
    since: Option<Duration>,
    /// Only windows that end after this time, as in 2026-01-31T15:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only windows that begin before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Jsonl,
    Parquet,
}

#[derive(Serialize)]
struct ExportedDto {
    agents: u64,
    processes: u64,
    windows: u64,
    operations: u64,
    operation_sums: u64,
    host_windows: u64,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a duration, as in 90m or 2d".to_owned())
}

/// Exports.
pub(super) fn run(args: &ExportArgs, store: &Disk, json: bool) -> Result<(), CliError> {
    let selection = Selection { agents: args.agents.clone(), range: range(args)? };
    let bar = progress::bar(None);
    let mut told = |done: &Exported| {
        bar.set_message(format!("{} agents, {} windows", done.agents, done.windows));
    };
    let to_stdout = args.to == Path::new("-");
    let done = match (args.format, to_stdout) {
        (Format::Parquet, true) => {
            return Err(CliError::Usage("name a folder for the tables".to_owned()));
        }
        (Format::Parquet, false) => {
            let part = Part::begin(&args.to)?;
            let done = parquet::export(store, &selection, &part.path, &mut told)
                .map_err(|error| CliError::Failed(error.to_string()))?;
            part.finish()?;
            done
        }
        (Format::Jsonl, true) => lines(store, &selection, &mut io::stdout().lock(), &mut told)?,
        (Format::Jsonl, false) => {
            let part = Part::begin(&args.to)?;
            let made = File::options().write(true).create_new(true).mode(0o600).open(&part.path);
            let written = |source| CliError::Write { path: part.path.clone(), source };
            let mut file = BufWriter::new(made.map_err(written)?);
            let done = lines(store, &selection, &mut file, &mut told)?;
            file.into_inner().map_err(|e| written(e.into_error())).map(drop)?;
            part.finish()?;
            done
        }
    };
    bar.finish_and_clear();
    tell(&done, json, to_stdout)
}

/// What is written under another name until it is whole.
struct Part<'a> {
    path: PathBuf,
    to: &'a Path,
}

impl<'a> Part<'a> {
    fn begin(to: &'a Path) -> Result<Self, CliError> {
        if to.symlink_metadata().is_ok() {
            let name = to.display();
            return Err(CliError::Usage(format!(
                "{name} is there already: remove it, or choose another name"
            )));
        }
        let mut path = to.as_os_str().to_owned();
        path.push(".part");
        let path = PathBuf::from(path);
        // What an earlier export left that was interrupted.
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(CliError::Write { path, source }),
            _ => Ok(Self { path, to }),
        }
    }

    fn finish(self) -> Result<(), CliError> {
        fs::rename(&self.path, self.to).map_err(|source| CliError::Write { path: self.to.to_owned(), source })
    }
}

/// Says what was done, beside what was written.
fn tell(done: &Exported, json: bool, to_stdout: bool) -> Result<(), CliError> {
    let Exported { agents, processes, windows, operations, operation_sums, host_windows } = *done;
    let text = if json {
        out::json(&ExportedDto { agents, processes, windows, operations, operation_sums, host_windows })?
    } else {
        let more = format!("{operation_sums} sums of operations, {host_windows} windows of the host");
        format!(
            "{agents} agents, {processes} processes, {windows} windows, {operations} operations, {more}\n"
        )
    };
    if to_stdout {
        out::tell(&text);
        return Ok(());
    }
    out::print(&text)
}

fn range(args: &ExportArgs) -> Result<TimeRange, CliError> {
    let now = Timestamp::now();
    let from = match args.since {
        Some(since) => now.checked_sub(since).map_err(|e| CliError::failed("--since", e))?,
        None => args.from.unwrap_or(TimeRange::ALL.from),
    };
    let range = TimeRange { from, to: args.until.unwrap_or(TimeRange::ALL.to) };
    if range.from >= range.to {
        return Err(CliError::Usage("--from must be before --until".to_owned()));
    }
    Ok(range)
}

fn lines(
    store: &Disk,
    selection: &Selection,
    to: &mut dyn Write,
    told: &mut dyn FnMut(&Exported),
) -> Result<Exported, CliError> {
    let section = journal::section_of_export(Timestamp::now());
    let mut so_far = Exported::default();
    let mut take = |lines: &[Line], done: &Exported| {
        so_far = *done;
        told(done);
        lines.iter().try_for_each(|line| {
            to.write_all(line.json().as_bytes())?;
            to.write_all(b"\n")
        })
    };
    match journal::export(store, selection, section, &mut take) {
        Ok(done) => to.flush().map(|()| done).map_err(|e| CliError::failed("cannot write the lines", e)),
        // A reader that has enough, as `head`.
        Err(ExportError::Taker(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(so_far),
        Err(error) => Err(CliError::Failed(error.to_string())),
    }
}
