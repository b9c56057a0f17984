//! What an operator can choose: one YAML file, strict; the environment over it; flags over both.
//!
//! A file is read into `raw` (which knows the keys and where each value stands), then every value goes
//! through its row in [`options`], whichever of the three places it came from, and what comes out is one
//! validated [`Config`]. Each default is written once, in the `Default` below.

mod alerts;
mod budget;
mod builtin;
mod content;
mod duration;
mod error;
mod example;
mod export;
mod export_options;
mod files;
mod glob;
mod gpu;
mod ledger;
mod llm;
mod load;
mod operations;
mod options;
mod otel;
mod project;
mod raw;
mod reactions;
mod rule;
mod secret;
mod size;
mod texts;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

pub use alerts::{Alerts, RuleSource};
pub use budget::Budget;
pub use builtin::{Builtin, builtin_rules};
pub use content::{Content, ContentRule};
pub use duration::{format_duration, parse_duration};
pub use error::{ConfigError, Origin};
pub use example::example;
pub use export::{
    Export, Headers, Otlp, OtlpOwn, OtlpProtocol, OtlpSignal, OtlpTarget, Pyroscope, Receiver, RemoteWrite,
};
pub use files::{FilePaths, Files};
pub use glob::{Glob, GlobError};
pub use gpu::Gpu;
pub use ledger::{Ledger, ModelHost};
pub use llm::LlmConfig;
pub use load::{Overrides, unknown_variables};
pub use operations::{Definition, Found};
pub use options::{OPTIONS, Opt};
pub use project::Project;
pub use reactions::Reactions;
pub use rule::{Action, Matchers, NamePart, NameTemplate, Regex, Rule, User};
pub use secret::Secret;
pub use size::parse_bytes;

/// Everything that can be chosen, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the HTTP API listens.
    pub listen: SocketAddr,
    /// Length of an aggregation window, 0.5 s to 60 s.
    pub window: Duration,
    /// On-CPU sampling.
    pub sampling: Sampling,
    /// Who is an agent, and how much of it is kept.
    pub agents: Agents,
    /// How it is told where an agent's time went.
    pub ledger: Ledger,
    /// What is kept of files, and which are checkpoints.
    pub files: Files,
    /// What the embedded store keeps.
    pub history: History,
    /// What is written down beside the store.
    pub journal: Journal,
    /// What Prometheus is shown.
    pub metrics: Metrics,
    /// Where it is sent.
    pub export: Export,
    /// Which alerts there are, and who is told.
    pub alerts: Alerts,
    /// Whose applications may tell of operations.
    pub projects: Vec<Project>,
    /// What else becomes an operation.
    pub operations: Vec<Definition>,
    /// How calls of models are told.
    pub llm: LlmConfig,
    /// What is kept of what agents say.
    pub content: Content,
    /// The daemon's own log.
    pub log: Log,
    /// How the kernel programs work.
    pub kernel: Kernel,
    /// How GPUs are read.
    pub gpu: Gpu,
    /// What calls of models may take a day.
    pub budget: Budget,
    /// What flags set, so that a reload can put it over the file again.
    overrides: Overrides,
}

/// On-CPU sampling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Samples per second and CPU, 1 to 999. A prime, so that it does not beat with timers.
    pub frequency_hz: u32,
}

/// Who is an agent, and how much of it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Agents {
    /// Whether [`builtin_rules`] apply, after `rules`.
    pub builtin_rules: bool,
    /// The operator's rules, in order: the first that matches decides.
    pub rules: Vec<Rule>,
    /// Most agents traced at once, 1 to 4096.
    pub max_agents: usize,
    /// Most processes kept of one agent; beyond, the oldest ended ones are forgotten.
    pub max_processes: usize,
}

/// What the embedded store keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The folder of the store; `None` keeps it in memory.
    pub directory: Option<PathBuf>,
    /// How long anything is kept, one minute to 31 days.
    pub keep: Duration,
    /// How long windows on disk are kept as they were recorded; then a minute's become one.
    pub raw: Duration,
    /// How long windows of a minute are kept on disk; then an hour's become one.
    pub minutes: Duration,
    /// Bytes on disk, about; beyond, the oldest hours go.
    pub max_bytes: u64,
    /// Most rows kept in memory over all windows; beyond, the oldest windows go.
    pub max_rows: usize,
}

/// What is written down beside the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Where it goes.
    pub target: JournalTarget,
    /// The file that is written, where it goes into files.
    pub path: PathBuf,
    /// Bytes after which the next file begins, about.
    pub max_bytes: u64,
    /// Age at which the next file begins.
    pub max_age: Duration,
    /// Files that are kept beside the one that is written.
    pub max_files: usize,
    /// How those are compressed.
    pub compress: Compression,
}

/// Where the journal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalTarget {
    /// There is none.
    Off,
    /// Into files.
    File,
    /// To systemd's journald.
    Journald,
}

/// How a file that is over is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

/// What Prometheus is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Most series of each kind that is many: syscalls, syscall errors, processes.
    pub max_series: usize,
}

/// The daemon's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or levels by module: `info`, `warn,agentperf::kernel=debug`.
    pub level: String,
    /// How lines are written.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object a line.
    Json,
}

/// How the kernel programs work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Whether the kernel programs' own debug lines are read; costs on every event.
    pub debug_log: bool,
    /// Copies of stacks are made beside the walks, and walked by another unwinder: for tests, by a hidden flag.
    pub stack_copies: bool,
    /// No unwind tables are made, so that copies of stacks stand in for walks: for tests, by a hidden flag.
    pub withhold_tables: bool,
    /// Nothing of the kernel's memory is read, as under `lockdown=confidentiality`: for tests, by a hidden flag.
    pub confidential: bool,
    /// Each uprobe is attached by itself, as kernels before 6.10 do: for tests, by a hidden flag.
    pub single_uprobes: bool,
    /// Where the kernel programs keep what they know of a thread.
    pub thread_state: ThreadState,
}

/// Where the kernel programs keep what they know of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadState {
    /// Task storage where the kernel has it, else the hash.
    Auto,
    /// Task storage, or refuse to start.
    TaskStorage,
    /// A hash by thread id.
    TidHash,
}

impl Config {
    /// Whether nothing but the agent rules and the alerts' files differs: what a reload can bring into force.
    #[must_use]
    pub fn same_but_rules(&self, other: &Self) -> bool {
        let mut other = other.clone();
        other.agents.take_rules(&self.agents);
        other.alerts = self.alerts.reloaded(&other.alerts);
        *self == other
    }
}

impl Agents {
    /// Puts the rules of `other` into force, and nothing else of it.
    pub fn take_rules(&mut self, other: &Self) {
        self.builtin_rules = other.builtin_rules;
        self.rules.clone_from(&other.rules);
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7575)),
            window: Duration::from_secs(5),
            sampling: Sampling::default(),
            agents: Agents::default(),
            ledger: Ledger::default(),
            files: Files::default(),
            history: History::default(),
            journal: Journal::default(),
            metrics: Metrics::default(),
            export: Export::default(),
            alerts: Alerts::default(),
            projects: Vec::new(),
            operations: Vec::new(),
            llm: LlmConfig::default(),
            content: Content::default(),
            log: Log::default(),
            kernel: Kernel::default(),
            gpu: Gpu::default(),
            budget: Budget::default(),
            overrides: Overrides::default(),
        }
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self { frequency_hz: 97 }
    }
}

impl Default for Agents {
    fn default() -> Self {
        Self { builtin_rules: true, rules: Vec::new(), max_agents: 256, max_processes: 20_000 }
    }
}

impl Default for History {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            directory: Some(PathBuf::from("/var/lib/agentperf")),
            keep: 7 * DAY,
            raw: DAY,
            minutes: 3 * DAY,
            max_bytes: 2_000_000_000,
            max_rows: 300_000,
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            target: JournalTarget::Off,
            path: PathBuf::from("/var/log/agentperf/journal.jsonl"),
            max_bytes: 100_000_000,
            max_age: Duration::from_secs(86_400),
            max_files: 10,
            compress: Compression::Zstd,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { max_series: 5000 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            debug_log: false,
            stack_copies: false,
            withhold_tables: false,
            confidential: false,
            single_uprobes: false,
            thread_state: ThreadState::Auto,
        }
    }
}

#[cfg(test)]
mod tests;
