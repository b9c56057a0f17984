//! The configuration file as written: which keys there are, and where each value stands. Every value is
//! text here; `options` and `rule` give it meaning.

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    content::RawContentRule,
    llm::{RawLlm, RawPrice},
    operations::RawDefinition,
    texts::Texts,
};

/// A value and where it stands; `None` where the key is absent or empty.
pub(super) type Text = Option<Spanned<String>>;

/// What is wrong with an item of a list: where that stands (`None`: the item as a whole), which key, and the end of a sentence
/// that begins with it.
pub(super) type ItemError = (Option<Spanned<String>>, &'static str, String);

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    listen: Text,
    window: Text,
    sampling: Option<RawSampling>,
    agents: Option<RawAgents>,
    ledger: Option<RawLedger>,
    files: Option<RawFiles>,
    history: Option<RawHistory>,
    journal: Option<RawJournal>,
    metrics: Option<RawMetrics>,
    export: Option<RawExport>,
    alerts: Option<RawAlerts>,
    projects: Option<Vec<Spanned<RawProject>>>,
    llm: Option<RawLlm>,
    operations: Option<Vec<Spanned<RawDefinition>>>,
    log: Option<RawLog>,
    kernel: Option<RawKernel>,
    gpu: Option<RawGpu>,
    budget: Option<RawBudget>,
    content: Option<RawContent>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSampling {
    frequency_hz: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawAgents {
    builtin_rules: Text,
    rules: Option<Vec<Spanned<RawRule>>>,
    max_agents: Text,
    max_processes: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLedger {
    model_hosts: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFiles {
    paths: Text,
    checkpoints: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawHistory {
    directory: Text,
    keep: Text,
    raw: Text,
    minutes: Text,
    max_size: Text,
    max_rows: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawJournal {
    target: Text,
    path: Text,
    max_size: Text,
    max_age: Text,
    max_files: Text,
    compress: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawMetrics {
    max_series: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawExport {
    enabled: Text,
    spool_directory: Text,
    remote_write: Option<RawRemoteWrite>,
    otlp: Option<RawOtlp>,
    pyroscope: Option<RawPyroscope>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRemoteWrite {
    url: Text,
    interval: Text,
    spool_size: Text,
    timeout: Text,
    bearer_token_file: Text,
    headers_file: Text,
    ca_file: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOtlp {
    endpoint: Text,
    protocol: Text,
    interval: Text,
    timeout: Text,
    compression: Text,
    headers_file: Text,
    ca_file: Text,
    profiles: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPyroscope {
    url: Text,
    interval: Text,
    bearer_token_file: Text,
    headers_file: Text,
    ca_file: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawAlerts {
    enabled: Text,
    rules: Text,
    routes: Text,
    receivers: Text,
    reactions: Option<RawReactions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawReactions {
    enabled: Text,
    dry_run: Text,
    file: Text,
    directory: Text,
    max_size: Text,
    recorder: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLog {
    level: Text,
    format: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawKernel {
    debug_log: Text,
    thread_state: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawGpu {
    enabled: Text,
    library: Text,
    host_proc: Text,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawBudget {
    usd_per_day: Text,
    tokens_per_day: Text,
}

/// What is kept of what agents say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawContent {
    max_size: Text,
    agents: Option<Vec<Spanned<RawContentRule>>>,
}

/// A rule.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawRule {
    pub(super) name: Text,
    pub(super) action: Text,
    pub(super) agent_name: Text,
    pub(super) probes: Option<Spanned<Texts>>,
    pub(super) executable: Option<Spanned<Texts>>,
    pub(super) comm: Option<Spanned<Texts>>,
    pub(super) argv: Text,
    pub(super) cgroup: Option<Spanned<Texts>>,
    pub(super) systemd_unit: Option<Spanned<Texts>>,
    pub(super) user: Option<Spanned<Texts>>,
}

/// A project.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProject {
    pub(super) name: Text,
    pub(super) key_file: Text,
    pub(super) key_env: Text,
    pub(super) origins: Option<Spanned<Texts>>,
    pub(super) rate: Text,
    pub(super) sample: Text,
    pub(super) labels: Option<Spanned<Texts>>,
    pub(super) users: Text,
}

/// The file taken apart.
pub(super) struct Parts {
    /// The single values that are given, by their keys.
    pub(super) values: Vec<(&'static str, Spanned<String>)>,
    /// The rules, in order.
    pub(super) rules: Vec<Spanned<RawRule>>,
    /// The projects, in order.
    pub(super) projects: Vec<Spanned<RawProject>>,
    /// The prices of models, in order.
    pub(super) prices: Vec<Spanned<RawPrice>>,
    /// The operations that are defined, in order.
    pub(super) operations: Vec<Spanned<RawDefinition>>,
    /// The rules of what is kept of what agents say, in order.
    pub(super) contents: Vec<Spanned<RawContentRule>>,
}

impl Raw {
    /// Reads the text of a file. What YAML might take for a truth value or an octal number stays text.
    pub(super) fn parse(text: &str) -> Result<Self, serde_saphyr::Error> {
        let options = serde_saphyr::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
        };
        serde_saphyr::from_str_with_options(text, options)
    }

    /// Takes the file apart.
    pub(super) fn into_parts(self) -> Parts {
        let sampling = self.sampling.unwrap_or_default();
        let agents = self.agents.unwrap_or_default();
        let ledger = self.ledger.unwrap_or_default();
        let files = self.files.unwrap_or_default();
        let history = self.history.unwrap_or_default();
        let journal = self.journal.unwrap_or_default();
        let alerts = self.alerts.unwrap_or_default();
        let log = self.log.unwrap_or_default();
        let (kernel, gpu) = (self.kernel.unwrap_or_default(), self.gpu.unwrap_or_default());
        let budget = self.budget.unwrap_or_default();
        let llm = self.llm.unwrap_or_default();
        let content = self.content.unwrap_or_default();
        let values = [
            ("listen", self.listen),
            ("window", self.window),
            ("sampling.frequency_hz", sampling.frequency_hz),
            ("agents.builtin_rules", agents.builtin_rules),
            ("agents.max_agents", agents.max_agents),
            ("agents.max_processes", agents.max_processes),
            ("ledger.model_hosts", ledger.model_hosts),
            ("files.paths", files.paths),
            ("files.checkpoints", files.checkpoints),
            ("history.directory", history.directory),
            ("history.keep", history.keep),
            ("history.raw", history.raw),
            ("history.minutes", history.minutes),
            ("history.max_size", history.max_size),
            ("history.max_rows", history.max_rows),
            ("journal.target", journal.target),
            ("journal.path", journal.path),
            ("journal.max_size", journal.max_size),
            ("journal.max_age", journal.max_age),
            ("journal.max_files", journal.max_files),
            ("journal.compress", journal.compress),
            ("metrics.max_series", self.metrics.unwrap_or_default().max_series),
            ("alerts.enabled", alerts.enabled),
            ("alerts.rules", alerts.rules),
            ("alerts.routes", alerts.routes),
            ("alerts.receivers", alerts.receivers),
            ("log.level", log.level),
            ("log.format", log.format),
            ("kernel.debug_log", kernel.debug_log),
            ("kernel.thread_state", kernel.thread_state),
            ("gpu.enabled", gpu.enabled),
            ("gpu.library", gpu.library),
            ("gpu.host_proc", gpu.host_proc),
            ("budget.usd_per_day", budget.usd_per_day),
            ("budget.tokens_per_day", budget.tokens_per_day),
            ("llm.estimate_tokens", llm.estimate_tokens),
            ("content.max_size", content.max_size),
        ];
        let reactions = alerts.reactions.unwrap_or_default().into_values();
        let values = values.into_iter().chain(reactions).chain(self.export.unwrap_or_default().into_values());
        let values = values.filter_map(|(key, value)| Some((key, value?))).collect();
        let (rules, projects) = (agents.rules.unwrap_or_default(), self.projects.unwrap_or_default());
        let prices = llm.prices.unwrap_or_default();
        let operations = self.operations.unwrap_or_default();
        Parts { values, rules, projects, prices, operations, contents: content.agents.unwrap_or_default() }
    }
}

impl RawReactions {
    fn into_values(self) -> [(&'static str, Text); 6] {
        [
            ("alerts.reactions.enabled", self.enabled),
            ("alerts.reactions.dry_run", self.dry_run),
            ("alerts.reactions.file", self.file),
            ("alerts.reactions.directory", self.directory),
            ("alerts.reactions.max_size", self.max_size),
            ("alerts.reactions.recorder", self.recorder),
        ]
    }
}

impl RawExport {
    fn into_values(self) -> impl Iterator<Item = (&'static str, Text)> {
        let write = self.remote_write.unwrap_or_default();
        let otlp = self.otlp.unwrap_or_default();
        let pyroscope = self.pyroscope.unwrap_or_default();
        let values = [
            ("export.enabled", self.enabled),
            ("export.spool_directory", self.spool_directory),
            ("export.remote_write.url", write.url),
            ("export.remote_write.interval", write.interval),
            ("export.remote_write.spool_size", write.spool_size),
            ("export.remote_write.timeout", write.timeout),
            ("export.remote_write.bearer_token_file", write.bearer_token_file),
            ("export.remote_write.headers_file", write.headers_file),
            ("export.remote_write.ca_file", write.ca_file),
            ("export.otlp.endpoint", otlp.endpoint),
            ("export.otlp.protocol", otlp.protocol),
            ("export.otlp.interval", otlp.interval),
            ("export.otlp.timeout", otlp.timeout),
            ("export.otlp.compression", otlp.compression),
            ("export.otlp.headers_file", otlp.headers_file),
            ("export.otlp.ca_file", otlp.ca_file),
            ("export.otlp.profiles", otlp.profiles),
            ("export.pyroscope.url", pyroscope.url),
            ("export.pyroscope.interval", pyroscope.interval),
            ("export.pyroscope.bearer_token_file", pyroscope.bearer_token_file),
            ("export.pyroscope.headers_file", pyroscope.headers_file),
            ("export.pyroscope.ca_file", pyroscope.ca_file),
        ];
        values.into_iter()
    }
}
