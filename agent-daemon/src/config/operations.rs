//! Operations that the operator defines: what becomes one is found by the paths of files, or by command lines.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    glob::Glob,
    project::{label, share},
    raw::{ItemError, Text},
    rule::Regex,
    texts::Texts,
};
use crate::model::operation::{self, Defined};

/// The most definitions.
pub(super) const MAX_DEFINITIONS: usize = 64;
/// The most patterns of one.
const MAX_PATTERNS: usize = 64;
/// The most labels of one.
const MAX_LABELS: usize = 16;
/// The longest value of a label, bytes.
const MAX_VALUE: usize = 128;
/// Kinds that agentperf tells of by itself.
const TAKEN: [&str; 8] = [
    operation::TOOL,
    operation::SERVER,
    operation::LLM,
    operation::MCP,
    operation::CHECKPOINT_SAVE,
    operation::CHECKPOINT_LOAD,
    operation::SIGNAL,
    operation::OOM_KILL,
];

/// A definition, as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDefinition {
    kind: Text,
    paths: Option<Spanned<Texts>>,
    command: Text,
    labels: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    sample: Text,
}

/// What becomes an operation of a kind of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// What it is looked for in.
    pub found: Found,
    /// What operations it makes.
    pub defined: Arc<Defined>,
}

/// What an operation is found by.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Files of such paths are used, from open to close or rename.
    Paths(Vec<Glob>),
    /// A process executes such a command line, from then to its exit.
    Command(Regex),
}

impl Definition {
    /// Reads a definition.
    pub(super) fn from_raw(raw: RawDefinition) -> Result<Self, ItemError> {
        let Some(kind) = raw.kind else {
            return Err((None, "kind", "is missing: every operation is of a kind".to_owned()));
        };
        if let Err(message) = is_kind(&kind.value) {
            return Err((Some(kind), "kind", message));
        }
        let found = match (raw.paths, raw.command) {
            (Some(paths), None) => Found::Paths(globs(paths)?),
            (None, Some(command)) => match Regex::new(&command.value) {
                Ok(regex) => Found::Command(regex),
                Err(message) => return Err((Some(command), "command", message)),
            },
            _ => return Err((Some(kind), "paths", "or command must be given, and not both".to_owned())),
        };
        let sample = match raw.sample {
            Some(text) => share(&text.value).map_err(|message| (Some(text), "sample", message))?,
            None => 1.0,
        };
        let labels = labels(raw.labels)?;
        Ok(Self { found, defined: Arc::new(Defined { kind: kind.value, labels, sample }) })
    }
}

/// As kinds are written that applications tell of.
fn is_kind(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(1..=32).contains(&text.len()) || !text.bytes().all(plain) {
        return Err("must have 1 to 32 lower-case letters, digits or _".to_owned());
    }
    match TAKEN.contains(&text) {
        true => Err(format!("is one that agentperf tells of by itself, as are {}", TAKEN.join(", "))),
        false => Ok(()),
    }
}

fn globs(paths: Spanned<Texts>) -> Result<Vec<Glob>, ItemError> {
    let read = |text: Spanned<String>| match Glob::new(&text.value) {
        Ok(glob) => Ok(glob),
        Err(error) => Err((Some(text), "paths", error.to_string())),
    };
    let globs = Texts::into_items(paths).map(read).collect::<Result<Vec<_>, _>>()?;
    if globs.is_empty() || globs.len() > MAX_PATTERNS {
        return Err((None, "paths", format!("must be 1 to {MAX_PATTERNS} patterns")));
    }
    Ok(globs)
}

fn labels(
    raw: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
) -> Result<Vec<(String, String)>, ItemError> {
    let pairs = raw.map(|raw| raw.value).unwrap_or_default();
    if pairs.len() > MAX_LABELS {
        return Err((None, "labels", format!("may be {MAX_LABELS} at most")));
    }
    let read = |(key, value): (String, Spanned<String>)| {
        let wrong = match label(&key) {
            Err(message) => message,
            Ok(key) if key.starts_with("file.") => {
                "may not begin with file., as agentperf's own do".to_owned()
            }
            Ok(_) if value.value.len() > MAX_VALUE => format!("may have values of {MAX_VALUE} bytes at most"),
            Ok(key) => return Ok((key, value.value)),
        };
        Err((Some(value), "labels", wrong))
    };
    pairs.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Found;
    use crate::config::Config;

    fn parse(operations: &str) -> Result<Config, String> {
        let text = format!("operations: [{operations}]");
        Config::parse(&text, Path::new("a.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn definitions_are_read() {
        let config = parse(
            "{ kind: dataset, paths: [/data/**, '*.parquet'], labels: { team: research, a: 1 }, sample: 0.5 }, \
             { kind: build, command: '^(make|cargo build)\\b' }",
        );
        let [dataset, build] = config.unwrap().operations.try_into().unwrap();
        assert_eq!((dataset.defined.kind.as_str(), dataset.defined.sample), ("dataset", 0.5));
        let labels = [("a", "1"), ("team", "research")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(dataset.defined.labels, labels);
        let Found::Paths(globs) = &dataset.found else { panic!("{dataset:?}") };
        assert!(globs.iter().any(|glob| glob.matches("/x/y.parquet")));
        let Found::Command(regex) = &build.found else { panic!("{build:?}") };
        assert!(regex.is_match("make all") && !regex.is_match("cmake"));
        assert_eq!(build.defined.sample, 1.0);
    }

    #[test]
    fn what_is_no_definition_is_refused_with_its_place() {
        for (operations, says) in [
            ("{ paths: a }", "operations[0].kind"),
            ("{ kind: Build, command: make }", "lower-case"),
            ("{ kind: tool, command: make }", "by itself"),
            ("{ kind: a }", "operations[0].paths"),
            ("{ kind: a, command: make, paths: b }", "not both"),
            ("{ kind: a, command: make }, { kind: b, command: '(' }", "operations[1].command"),
            ("{ kind: a, paths: [] }", "1 to 64"),
            ("{ kind: a, command: make, sample: 0 }", "operations[0].sample"),
            ("{ kind: a, command: make, labels: { 'b c': d } }", "operations[0].labels"),
            ("{ kind: a, command: make, name: x }", "name"),
        ] {
            let error = parse(operations).unwrap_err();
            assert!(error.contains(says), "{operations}: {error}");
        }
    }
}
