//! Every single value that can be chosen: its key, what it means, how it is read and written.
//!
//! The file, the environment, the flags, the example and the documentation all go through this one table.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    Compression, Config, JournalTarget, LogFormat, RuleSource, ThreadState,
    alerts::{format_receivers, format_routes, parse_receivers, parse_routes},
    budget, content,
    duration::{format_duration, parse_duration},
    export_options, files, gpu,
    ledger::{format_hosts, parse_hosts},
    llm, reactions,
    size::{format_bytes, parse_bytes},
};

/// In place of a folder: nothing is kept over a restart.
const MEMORY: &str = "memory";

/// Prefix of every environment variable.
pub(super) const PREFIX: &str = "AGENTPERF_";

/// One value that can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its key in the file, with the section it is in: `log.level`.
    pub key: &'static str,
    /// What it means, in a sentence or two.
    pub doc: &'static str,
    pub(super) get: fn(&Config) -> String,
    pub(super) set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Opt {
    /// The option of this key.
    #[must_use]
    pub fn find(key: &str) -> Option<&'static Self> {
        OPTIONS.iter().find(|o| o.key == key)
    }

    /// The environment variable that sets it: `AGENTPERF_`, then the key in capitals with `_` for `.`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.to_uppercase().replace('.', "_"))
    }

    /// Its value in `config`, as it would be written in the file.
    #[must_use]
    pub fn get(&self, config: &Config) -> String {
        (self.get)(config)
    }

    /// Reads `text` into `config`; the error ends a sentence that begins with the key.
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<(), String> {
        // What stands before an @ may be a password.
        let secret = text.contains("://") && text.contains('@');
        let shown = if secret { "…@…".to_owned() } else { text.chars().take(80).collect::<String>() };
        (self.set)(config, text.trim()).map_err(|must| format!("is {shown:?} but must be {must}"))
    }
}

/// Every option, in the order of the file.
pub static OPTIONS: [Opt; INSIDE.len() + export_options::OPTIONS.len()] =
    joined(&INSIDE, &export_options::OPTIONS);

/// Those that are not of the doors out.
const INSIDE: [Opt; OURS.len() + files::OPTIONS.len()] = joined(&OURS, &files::OPTIONS);

/// And not of files.
const OURS: [Opt; GENERAL.len() + MORE.len()] = joined(&GENERAL, &MORE);
const MORE: [Opt; gpu::OPTIONS.len() + BOUNDS.len()] = joined(&gpu::OPTIONS, &BOUNDS);
const BOUNDS: [Opt; budget::OPTIONS.len() + SAID.len()] = joined(&budget::OPTIONS, &SAID);
const SAID: [Opt; llm::OPTIONS.len() + content::OPTIONS.len()] = joined(&llm::OPTIONS, &content::OPTIONS);

/// Those that have no file of their own.
const GENERAL: [Opt; 34] = [
    Opt {
        key: "listen",
        doc: "Address and port of the HTTP API. It has no password: keep it on a loopback address.",
        get: |c| c.listen.to_string(),
        set: |c, t| {
            put(&mut c.listen, t.parse::<SocketAddr>().ok(), "an address and port, as in 127.0.0.1:7575")
        },
    },
    Opt {
        key: "window",
        doc: "Length of an aggregation window, 500ms to 60s. Shorter shows more detail and keeps less history.",
        get: |c| format_duration(c.window),
        set: |c, t| {
            let range = |d: &Duration| (500..=60_000).contains(&d.as_millis());
            put(&mut c.window, parse_duration(t).filter(range), "a duration from 500ms to 60s")
        },
    },
    Opt {
        key: "sampling.frequency_hz",
        doc: "CPU samples per second and CPU, 1 to 999.",
        get: |c| c.sampling.frequency_hz.to_string(),
        set: |c, t| put(&mut c.sampling.frequency_hz, number(t, 1, 999), "a whole number from 1 to 999"),
    },
    Opt {
        key: "agents.builtin_rules",
        doc: "Whether well-known agents and inference servers are found without rules of your own\n(agentperf rules lists them). Your rules come first.",
        get: |c| c.agents.builtin_rules.to_string(),
        set: |c, t| put(&mut c.agents.builtin_rules, boolean(t), "true or false"),
    },
    Opt {
        key: "agents.max_agents",
        doc: "Most agents traced at once, 1 to 4096.",
        get: |c| c.agents.max_agents.to_string(),
        set: |c, t| put(&mut c.agents.max_agents, number(t, 1, 4096), "a whole number from 1 to 4096"),
    },
    Opt {
        key: "agents.max_processes",
        doc: "Most processes kept of one agent, 100 to 1000000; the oldest ended ones are forgotten first.",
        get: |c| c.agents.max_processes.to_string(),
        set: |c, t| {
            put(&mut c.agents.max_processes, number(t, 100, 1_000_000), "a whole number from 100 to 1000000")
        },
    },
    Opt {
        key: "ledger.model_hosts",
        doc: "Hosts that models answer on, with :PORT where it is not 443, separated by commas; none for none.\nTime that an agent waits for a connection to one of them counts as llm_*, by what is sent and what\ncomes back. Names are looked up while there is an agent, every five minutes.",
        get: |c| format_hosts(&c.ledger.model_hosts),
        set: |c, t| {
            put(&mut c.ledger.model_hosts, parse_hosts(t), "hosts, as in api.example.com, 127.0.0.1:8080")
        },
    },
    Opt {
        key: "history.directory",
        doc: "Folder of the store, an absolute path; or memory, to keep nothing over a restart.",
        get: |c| c.history.directory.as_ref().map_or(MEMORY.to_owned(), |path| path.display().to_string()),
        set: |c, t| match t {
            MEMORY => put(&mut c.history.directory, Some(None), ""),
            _ => {
                let path = Some(PathBuf::from(t)).filter(|path| path.is_absolute());
                put(&mut c.history.directory, path.map(Some), "an absolute path, or memory")
            }
        },
    },
    Opt {
        key: "history.keep",
        doc: "How long anything is kept, 1m to 31d.",
        get: |c| format_duration(c.history.keep),
        set: |c, t| put(&mut c.history.keep, kept(t), "a duration from 1m to 31d"),
    },
    Opt {
        key: "history.raw",
        doc: "How long windows on disk are kept as they were recorded, 1m to 31d; then those of a minute become one.",
        get: |c| format_duration(c.history.raw),
        set: |c, t| put(&mut c.history.raw, kept(t), "a duration from 1m to 31d"),
    },
    Opt {
        key: "history.minutes",
        doc: "How long windows of a minute are kept on disk, 1m to 31d; then those of an hour become one.",
        get: |c| format_duration(c.history.minutes),
        set: |c, t| put(&mut c.history.minutes, kept(t), "a duration from 1m to 31d"),
    },
    Opt {
        key: "history.max_size",
        doc: "Bytes that the store may have on disk, about, 16MB to 1000GB; beyond, the oldest hours go.",
        get: |c| format_bytes(c.history.max_bytes),
        set: |c, t| {
            let range = |bytes: &u64| (16_000_000..=1_000_000_000_000).contains(bytes);
            put(&mut c.history.max_bytes, parse_bytes(t).filter(range), "a size from 16MB to 1000GB")
        },
    },
    Opt {
        key: "history.max_rows",
        doc: "Most rows kept over all windows in memory, 1000 to 100000000; a row takes about 100 bytes.",
        get: |c| c.history.max_rows.to_string(),
        set: |c, t| {
            put(
                &mut c.history.max_rows,
                number(t, 1000, 100_000_000),
                "a whole number from 1000 to 100000000",
            )
        },
    },
    Opt {
        key: "journal.target",
        doc: "Whether every record that is stored is also written as a line of JSON: off, file, or journald\n(docs/journal.md). agentperf store import builds a store of it.",
        get: |c| match c.journal.target {
            JournalTarget::Off => "off".to_owned(),
            JournalTarget::File => "file".to_owned(),
            JournalTarget::Journald => "journald".to_owned(),
        },
        set: |c, t| {
            let target = match t {
                "off" => Some(JournalTarget::Off),
                "file" => Some(JournalTarget::File),
                "journald" => Some(JournalTarget::Journald),
                _ => None,
            };
            put(&mut c.journal.target, target, "off, file or journald")
        },
    },
    Opt {
        key: "journal.path",
        doc: "File that is written, an absolute path. Its folder is agentperf's own; older files lie beside it.",
        get: |c| c.journal.path.display().to_string(),
        set: |c, t| {
            let path = Some(PathBuf::from(t)).filter(|path| path.is_absolute() && path.file_name().is_some());
            put(&mut c.journal.path, path, "an absolute path of a file")
        },
    },
    Opt {
        key: "journal.max_size",
        doc: "Bytes after which the next file begins, 1MB to 1GB.",
        get: |c| format_bytes(c.journal.max_bytes),
        set: |c, t| {
            let range = |bytes: &u64| (1_000_000..=1_000_000_000).contains(bytes);
            put(&mut c.journal.max_bytes, parse_bytes(t).filter(range), "a size from 1MB to 1GB")
        },
    },
    Opt {
        key: "journal.max_age",
        doc: "Age at which the next file begins, 1m to 31d.",
        get: |c| format_duration(c.journal.max_age),
        set: |c, t| put(&mut c.journal.max_age, kept(t), "a duration from 1m to 31d"),
    },
    Opt {
        key: "journal.max_files",
        doc: "Most files that are kept beside the one that is written, 1 to 10000; the oldest go.",
        get: |c| c.journal.max_files.to_string(),
        set: |c, t| put(&mut c.journal.max_files, number(t, 1, 10_000), "a whole number from 1 to 10000"),
    },
    Opt {
        key: "journal.compress",
        doc: "How these are compressed: zstd, gzip or none.",
        get: |c| match c.journal.compress {
            Compression::None => "none".to_owned(),
            Compression::Gzip => "gzip".to_owned(),
            Compression::Zstd => "zstd".to_owned(),
        },
        set: |c, t| {
            let compression = match t {
                "none" => Some(Compression::None),
                "gzip" => Some(Compression::Gzip),
                "zstd" => Some(Compression::Zstd),
                _ => None,
            };
            put(&mut c.journal.compress, compression, "zstd, gzip or none")
        },
    },
    Opt {
        key: "metrics.max_series",
        doc: "Most series of each kind that is many (syscalls, syscall errors, processes) in /metrics, 0 to 1000000.\nThose that come later are counted together, labelled other.",
        get: |c| c.metrics.max_series.to_string(),
        set: |c, t| {
            put(&mut c.metrics.max_series, number(t, 0, 1_000_000), "a whole number from 0 to 1000000")
        },
    },
    Opt {
        key: "alerts.enabled",
        doc: "Whether alerts are evaluated, at every window (docs/alerts.md).",
        get: |c| c.alerts.enabled.to_string(),
        set: |c, t| put(&mut c.alerts.enabled, boolean(t), "true or false"),
    },
    Opt {
        key: "alerts.rules",
        doc: "Files of rules, or folders of such files (*.yaml, *.yml): absolute paths separated by commas.\nAmong them builtin stands for the rules that agentperf brings along. A file that changes is read again;\none with a mistake is refused as a whole, and what was in force stays.",
        get: |c| RuleSource::format_list(&c.alerts.rules),
        set: |c, t| {
            let list = RuleSource::parse_list(t);
            put(&mut c.alerts.rules, list, "builtin and absolute paths, separated by commas")
        },
    },
    Opt {
        key: "alerts.routes",
        doc: "File that says who is told what, and when: routes, inhibitions, maintenance windows; or builtin,\nwhich tells everything to the log.",
        get: |c| format_routes(c.alerts.routes.as_ref()),
        set: |c, t| put(&mut c.alerts.routes, parse_routes(t), "builtin, or an absolute path"),
    },
    Opt {
        key: "alerts.receivers",
        doc: "File of receivers: webhooks, chats, mail, pagers, commands (docs/alerts.md); none tells only the log.",
        get: |c| format_receivers(c.alerts.receivers.as_ref()),
        set: |c, t| put(&mut c.alerts.receivers, parse_receivers(t), "none, or an absolute path"),
    },
    reactions::ENABLED,
    reactions::DRY_RUN,
    reactions::FILE,
    reactions::DIRECTORY,
    reactions::MAX_SIZE,
    reactions::RECORDER,
    Opt {
        key: "log.level",
        doc: "Level of the daemon's own log: error, warn, info, debug, trace or off; or levels by module,\nas in warn,agentperf::kernel=debug.",
        get: |c| c.log.level.clone(),
        set: |c, t| {
            put(
                &mut c.log.level,
                level(t),
                "error, warn, info, debug, trace or off, or a list of MODULE=LEVEL",
            )
        },
    },
    Opt {
        key: "log.format",
        doc: "Form of log lines: text or json.",
        get: |c| match c.log.format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        },
        set: |c, t| {
            let format = match t {
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            };
            put(&mut c.log.format, format, "text or json")
        },
    },
    Opt {
        key: "kernel.debug_log",
        doc: "Whether the kernel programs write debug lines to the log (level debug). Costs on every event.",
        get: |c| c.kernel.debug_log.to_string(),
        set: |c, t| put(&mut c.kernel.debug_log, boolean(t), "true or false"),
    },
    Opt {
        key: "kernel.thread_state",
        doc: "Where the kernel programs keep what they know of a thread: task_storage, tid_hash, or auto for\nthe first of them that the kernel allows.",
        get: |c| match c.kernel.thread_state {
            ThreadState::Auto => "auto".to_owned(),
            ThreadState::TaskStorage => "task_storage".to_owned(),
            ThreadState::TidHash => "tid_hash".to_owned(),
        },
        set: |c, t| {
            let state = match t {
                "auto" => Some(ThreadState::Auto),
                "task_storage" => Some(ThreadState::TaskStorage),
                "tid_hash" => Some(ThreadState::TidHash),
                _ => None,
            };
            put(&mut c.kernel.thread_state, state, "auto, task_storage or tid_hash")
        },
    },
];

/// One table of two, made when this is compiled.
#[expect(clippy::indexing_slicing, reason = "an index that is too large does not compile")]
const fn joined<const A: usize, const B: usize, const N: usize>(a: &[Opt; A], b: &[Opt; B]) -> [Opt; N] {
    assert!(A + B == N, "both tables, whole");
    let mut all = [a[0]; N];
    let mut at = 0;
    while at < N {
        all[at] = if at < A { a[at] } else { b[at - A] };
        at += 1;
    }
    all
}

/// An address of a receiver, if it is one. Credentials do not belong there: it is shown.
pub(super) fn receiver_url(text: &str) -> Option<String> {
    let uri: hyper::Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let fine = matches!(uri.scheme_str(), Some("http" | "https")) && !authority.as_str().contains('@');
    fine.then(|| text.to_owned())
}

/// Stores a value that could be read; otherwise says what it must be.
pub(super) fn put<T>(slot: &mut T, value: Option<T>, must: &str) -> Result<(), String> {
    *slot = value.ok_or_else(|| must.to_owned())?;
    Ok(())
}

fn number<T: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Option<T> {
    text.parse().ok().filter(|n| (least..=most).contains(n)).and_then(|n| T::try_from(n).ok())
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn level(text: &str) -> Option<String> {
    let known = |l: &str| matches!(l, "error" | "warn" | "info" | "debug" | "trace" | "off");
    let module = |m: &str| !m.is_empty() && m.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':');
    let fine = text.split(',').all(|item| match item.split_once('=') {
        Some((name, level)) => module(name) && known(level),
        None => known(item),
    });
    fine.then(|| text.to_owned())
}

/// How long something is kept.
fn kept(text: &str) -> Option<Duration> {
    parse_duration(text).filter(|length| (60..=31 * 86_400).contains(&length.as_secs()))
}
