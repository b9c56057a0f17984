//! `agentperf store import`: lines of an export or of a journal into the store.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use indicatif::ProgressBar;
use serde::Serialize;

use super::progress;
use crate::{
    cli::{error::CliError, out},
    export::journal::{Broken, Import, Imported, Reader},
    model::time::Timestamp,
    store::{Disk, Options, StoreError},
    telemetry::Telemetry,
};

/// Lines between two moves of the bar.
const BEAT: u64 = 1024;
/// Broken lines that are told in text.
const TOLD: usize = 10;

/// What is imported.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// Lines of JSON, plain or compressed by zstd or gzip, oldest first; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Serialize)]
struct ImportedDto {
    lines: u64,
    agents: u64,
    processes: u64,
    windows: u64,
    operations: u64,
    operation_sums: u64,
    host_windows: u64,
    /// Records that were there already.
    known: u64,
    /// Records that the store had no room for, by the loss that they count as.
    dropped: u64,
    broken: u64,
    broken_lines: Vec<BrokenDto>,
}

#[derive(Serialize)]
struct BrokenDto {
    file: String,
    line: u64,
    reason: String,
}

/// Imports into the store in this folder, which is made if it is not there.
pub(super) fn run(
    args: &ImportArgs,
    (folder, options): (&Path, Options),
    json: bool,
) -> Result<(), CliError> {
    // First what can be wrong with the files: a store is made only where there is something to put in.
    let files = args.files.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    let total: u64 = files.iter().map(|file| file.bytes).sum();
    let bar = progress::bar((total > 0).then_some(total));
    let telemetry = Arc::new(Telemetry::default());
    let failed = |error: StoreError| CliError::Failed(error.to_string());
    let store = Disk::open(folder, options, Arc::clone(&telemetry)).map_err(failed)?;
    let mut import = Import::new(&store, Timestamp::now());
    for file in files {
        read(file, &mut import, &bar).map_err(failed)?;
    }
    let done = import.finish().map_err(failed)?;
    bar.finish_and_clear();
    let losses = telemetry.losses.all();
    let lost = [
        "agent_forgotten",
        "process_forgotten",
        "window_dropped",
        "operation_dropped",
        "host_window_dropped",
    ];
    let dropped = lost.iter().filter_map(|name| losses.get(name)).sum();
    let understood = done.agents + done.processes + done.windows + done.operations;
    let understood = understood + done.operation_sums + done.host_windows;
    let is_nothing = done.broken > 0 && understood + done.known == 0;
    tell(done, dropped, json)?;
    if is_nothing {
        return Err(CliError::Failed("no line of it is a record: is it a journal, or an export?".to_owned()));
    }
    Ok(())
}

/// A file that is read, and what it is called.
struct Source {
    name: String,
    bytes: u64,
    from: Box<dyn Read>,
}

fn open(path: &Path) -> Result<Source, CliError> {
    if path == Path::new("-") {
        return Ok(Source { name: "-".to_owned(), bytes: 0, from: Box::new(io::stdin()) });
    }
    let opened = File::open(path).and_then(|file| file.metadata().map(|about| (file, about)));
    let name = path.display().to_string();
    let (file, about) = opened.map_err(|error| CliError::Failed(format!("cannot read {name}: {error}")))?;
    if about.is_dir() {
        return Err(CliError::Failed(format!("cannot read {name}: it is a folder")));
    }
    Ok(Source { name, bytes: about.len(), from: Box::new(file) })
}

fn read(source: Source, import: &mut Import<'_>, bar: &ProgressBar) -> Result<(), StoreError> {
    let Source { name, from, .. } = source;
    let mut number = 0;
    let lines = match Reader::new(bar.wrap_read(from)) {
        Ok(lines) => lines,
        Err(error) => {
            import.broken(&name, 0, error.to_string());
            return Ok(());
        }
    };
    for line in lines {
        match line {
            Ok((at, line)) => {
                number = at;
                import.line(&name, (number, line.as_deref()))?;
            }
            Err(error) => import.broken(&name, number + 1, format!("it cannot be read any further: {error}")),
        }
        if number % BEAT == 0 {
            let done = import.so_far();
            bar.set_message(format!("{} windows, {} broken lines", done.windows, done.broken));
        }
    }
    Ok(())
}

fn tell(done: Imported, dropped: u64, json: bool) -> Result<(), CliError> {
    if json {
        return out::print_json(&dto(done, dropped));
    }
    let mut text = format!(
        "{} windows, {} processes, {} agents, {} operations, {} sums of operations, {} windows of the host put; {} records were there already\n",
        done.windows,
        done.processes,
        done.agents,
        done.operations,
        done.operation_sums,
        done.host_windows,
        done.known
    );
    if dropped > 0 {
        text += &format!("{dropped} records found no room: see history and agents in the configuration\n");
    }
    out::print(&text)?;
    if done.broken > 0 {
        out::tell(&format!("{} broken lines were skipped\n", done.broken));
    }
    for Broken { file, line, reason } in done.broken_lines.iter().take(TOLD) {
        out::tell(&format!("  {file}:{line}: {}\n", out::plain(reason)));
    }
    Ok(())
}

fn dto(done: Imported, dropped: u64) -> ImportedDto {
    let broken = |Broken { file, line, reason }| BrokenDto { file, line, reason };
    ImportedDto {
        lines: done.lines,
        agents: done.agents,
        processes: done.processes,
        windows: done.windows,
        operations: done.operations,
        operation_sums: done.operation_sums,
        host_windows: done.host_windows,
        known: done.known,
        dropped,
        broken: done.broken,
        broken_lines: done.broken_lines.into_iter().map(broken).collect(),
    }
}
