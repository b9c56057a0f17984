//! `agentperf store`: looks at the store on disk, and after it.

mod export;
mod import;
mod progress;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use serde::Serialize;

use super::{
    error::CliError,
    out,
    table::{Align, Table},
    units::bytes,
};
use crate::{
    config::{Config, Overrides},
    model::time::Timestamp,
    store::{
        Disk, Options,
        disk::{Info, LevelInfo, Verified, info, verify},
    },
};

/// Look at what is kept on disk: how much it is, and whether it is whole; take it out, and put it in.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  agentperf store info
  sudo systemctl stop agentperf && agentperf store verify && sudo systemctl start agentperf
  agentperf store compact --directory /srv/agentperf
  agentperf store info --json | jq .database_bytes
  agentperf store export --format parquet tables --since 2h
  agentperf store export | zstd > history.jsonl.zst
  agentperf store import /var/log/agentperf/journal*.jsonl*
  journalctl -t agentperf -o json --all | agentperf store import -

Exit codes: 0 done, and the store is whole; 1 it is damaged, or could not be read; 2 bad usage or configuration.")]
pub(super) struct StoreArgs {
    #[command(subcommand)]
    verb: StoreVerb,
    /// The store's folder [default: history.directory of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Configuration that names the folder
    #[arg(long, short, global = true, env = "AGENTPERF_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum StoreVerb {
    /// Say what it holds; a daemon may be using it
    Info,
    /// Read everything and say what is damaged; no daemon may be using it
    Verify,
    /// Merge and forget all that is due, and give the room back; no daemon may be using it
    Compact,
    /// Write it as lines of JSON, the same as the journal's, or as Parquet tables; no daemon may be using it
    Export(export::ExportArgs),
    /// Put lines of JSON into it that were exported, or of a journal; no daemon may be using it
    Import(import::ImportArgs),
}

#[derive(Serialize)]
struct InfoDto {
    directory: String,
    schema: i64,
    database_bytes: u64,
    free_bytes: u64,
    log_bytes: u64,
    segments: u64,
    segment_bytes: u64,
    agents: u64,
    processes: u64,
    stacks: u64,
    frames: u64,
    strings: u64,
    levels: Vec<LevelDto>,
}

#[derive(Serialize)]
struct LevelDto {
    name: &'static str,
    blocks: u64,
    windows: u64,
    bytes: u64,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

#[derive(Serialize)]
struct VerifiedDto {
    whole: bool,
    segments: u64,
    frames: u64,
    torn_bytes: u64,
    agents: u64,
    processes: u64,
    blocks: u64,
    windows: u64,
    host_windows: u64,
    stacks: u64,
    problem_count: u64,
    problems: Vec<String>,
}

/// Does what is asked for.
pub(super) fn run(args: &StoreArgs) -> Result<ExitCode, CliError> {
    let config = Config::load(args.config.as_deref(), Overrides::default())?;
    let Some(folder) = args.directory.clone().or_else(|| config.history.directory.clone()) else {
        return Err(CliError::Usage("history.directory is memory: there is no store on disk".to_owned()));
    };
    let failed = |error| CliError::Failed(format!("{error}"));
    match &args.verb {
        StoreVerb::Export(what) => {
            info(&folder).map_err(failed)?;
            let store = Disk::open(&folder, Options::from(&config), Arc::default()).map_err(failed)?;
            export::run(what, &store, args.json)?;
        }
        StoreVerb::Import(what) => import::run(what, (&folder, Options::from(&config)), args.json)?,
        StoreVerb::Info => {
            let told = info(&folder).map_err(failed)?;
            let name = folder.display().to_string();
            if args.json {
                out::print_json(&info_dto(name, &told))?
            } else {
                out::print(&render(&name, &told))?
            }
        }
        StoreVerb::Verify => {
            let found = verify(&folder).map_err(failed)?;
            if args.json {
                out::print_json(&verified_dto(&found))?
            } else {
                out::print(&judgement(&found))?
            }
            if !found.is_whole() {
                return Ok(ExitCode::FAILURE);
            }
        }
        StoreVerb::Compact => {
            // Looking first: opening would make a store where there is none.
            let before = info(&folder).map_err(failed)?;
            let store = Disk::open(&folder, Options::from(&config), Arc::default()).map_err(failed)?;
            store.compact(Timestamp::now()).map_err(failed)?;
            drop(store);
            let after = info(&folder).map_err(failed)?;
            if args.json {
                out::print_json(&info_dto(folder.display().to_string(), &after))?;
            } else {
                out::print(&format!("{} before, {} now\n", bytes(total(&before)), bytes(total(&after))))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Bytes on disk.
fn total(info: &Info) -> u64 {
    info.database_bytes + info.log_bytes + info.segment_bytes
}

fn info_dto(directory: String, info: &Info) -> InfoDto {
    let level = |level: &LevelInfo| LevelDto {
        name: level.name,
        blocks: level.blocks,
        windows: level.windows,
        bytes: level.bytes,
        from: level.covered.map(|(from, _)| from),
        to: level.covered.map(|(_, to)| to),
    };
    InfoDto {
        directory,
        schema: info.schema,
        database_bytes: info.database_bytes,
        free_bytes: info.free_bytes,
        log_bytes: info.log_bytes,
        segments: info.segments,
        segment_bytes: info.segment_bytes,
        agents: info.agents,
        processes: info.processes,
        stacks: info.stacks,
        frames: info.frames,
        strings: info.strings,
        levels: info.levels.iter().map(level).collect(),
    }
}

fn verified_dto(found: &Verified) -> VerifiedDto {
    VerifiedDto {
        whole: found.is_whole(),
        segments: found.segments,
        frames: found.frames,
        torn_bytes: found.torn_bytes,
        agents: found.agents,
        processes: found.processes,
        blocks: found.blocks,
        windows: found.windows,
        host_windows: found.host_windows,
        stacks: found.stacks,
        problem_count: found.problem_count,
        problems: found.problems.clone(),
    }
}

fn render(directory: &str, info: &Info) -> String {
    let mut table = Table::new(&[
        ("WINDOWS", Align::Left),
        ("COUNT", Align::Right),
        ("SIZE", Align::Right),
        ("FROM", Align::Left),
        ("TO", Align::Left),
    ]);
    for level in &info.levels {
        let (from, to) =
            level.covered.map_or((String::new(), String::new()), |(from, to)| (shown(from), shown(to)));
        table.row(vec![level.name.to_owned(), level.windows.to_string(), bytes(level.bytes), from, to]);
    }
    format!(
        "{directory}: {}, of which {} free; format {}\n{} agents, {} processes, {} stacks of {} frames\n{} not sealed yet, in {} segments\n\n{}",
        bytes(total(info)),
        bytes(info.free_bytes),
        info.schema,
        info.agents,
        info.processes,
        info.stacks,
        info.frames,
        bytes(info.segment_bytes),
        info.segments,
        table.render("")
    )
}

/// A time, to the second.
fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn judgement(found: &Verified) -> String {
    let looked = format!(
        "{} blocks with {} windows, {} windows of the host, {} stacks, {} processes of {} agents; {} records not sealed yet\n",
        found.blocks,
        found.windows,
        found.host_windows,
        found.stacks,
        found.processes,
        found.agents,
        found.frames
    );
    let torn = match found.torn_bytes {
        0 => String::new(),
        n => format!("{n} bytes of an unfinished record at the end, which the next start cuts off\n"),
    };
    if found.is_whole() {
        return format!("whole: {looked}{torn}");
    }
    let more = found.problem_count.saturating_sub(found.problems.len() as u64);
    let more = if more > 0 { format!("and {more} more\n") } else { String::new() };
    format!(
        "damaged: {} problems in {looked}{torn}{}\n{more}",
        found.problem_count,
        found.problems.join("\n")
    )
}
