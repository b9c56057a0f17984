//! The configuration file as written: which keys there are, and where each value stands. Every value is
//! text here; `options` and `rule` give it meaning.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{Location, Spanned};

/// A value and where it stands; `None` where the key is absent or empty.
pub(super) type Text = Option<Spanned<String>>;

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    listen: Text,
    window: Text,
    sampling: Option<RawSampling>,
    agents: Option<RawAgents>,
    history: Option<RawHistory>,
    metrics: Option<RawMetrics>,
    projects: Option<Vec<Spanned<RawProject>>>,
    log: Option<RawLog>,
    kernel: Option<RawKernel>,
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
struct RawMetrics {
    max_series: Text,
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
        let history = self.history.unwrap_or_default();
        let metrics = self.metrics.unwrap_or_default();
        let log = self.log.unwrap_or_default();
        let kernel = self.kernel.unwrap_or_default();
        let values = [
            ("listen", self.listen),
            ("window", self.window),
            ("sampling.frequency_hz", sampling.frequency_hz),
            ("agents.builtin_rules", agents.builtin_rules),
            ("agents.max_agents", agents.max_agents),
            ("agents.max_processes", agents.max_processes),
            ("history.directory", history.directory),
            ("history.keep", history.keep),
            ("history.raw", history.raw),
            ("history.minutes", history.minutes),
            ("history.max_size", history.max_size),
            ("history.max_rows", history.max_rows),
            ("metrics.max_series", metrics.max_series),
            ("log.level", log.level),
            ("log.format", log.format),
            ("kernel.debug_log", kernel.debug_log),
            ("kernel.thread_state", kernel.thread_state),
        ];
        let values = values.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let (rules, projects) = (agents.rules.unwrap_or_default(), self.projects.unwrap_or_default());
        Parts { values, rules, projects }
    }
}

/// One text or a list of them.
#[derive(Debug)]
pub(super) struct Texts(Vec<Spanned<String>>);

impl Texts {
    /// Each text with its place; one that stands alone is where `whole` is.
    pub(super) fn into_items(whole: Spanned<Self>) -> impl Iterator<Item = Spanned<String>> {
        let place = whole.referenced;
        whole.value.0.into_iter().map(move |mut item| {
            if item.referenced == Location::UNKNOWN {
                item.referenced = place;
            }
            item
        })
    }

    fn one(text: String) -> Self {
        Self(vec![Spanned::new(text, Location::UNKNOWN, Location::UNKNOWN)])
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> de::Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value or a list of values")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts::one(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Texts, E> {
        Ok(Texts::one(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Texts, E> {
        Ok(Texts::one(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Texts, E> {
        Ok(Texts::one(value.to_string()))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Texts(items))
    }
}
