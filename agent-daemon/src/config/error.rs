//! What is wrong with a configuration, and where: one clear sentence with file, line and column.

use std::{fmt, path::PathBuf};

use serde_saphyr::{Location, UserMessageFormatter};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file, at this line and column, counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// Line.
        line: u64,
        /// Column.
        column: u64,
    },
    /// This environment variable.
    Environment(String),
    /// This flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{} has more than {limit} bytes, which is no configuration", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes read.
        limit: u64,
    },
    /// The file's shape is wrong: no YAML, an unknown key, a list for a value.
    #[error("{origin}: {message}")]
    Shape {
        /// Where.
        origin: Origin,
        /// What.
        message: String,
    },
    /// A value is wrong.
    #[error("{origin}: {key} {message}")]
    Value {
        /// Where.
        origin: Origin,
        /// The key, with the sections it is in: `sampling.frequency_hz`.
        key: String,
        /// What, as the end of a sentence that begins with the key.
        message: String,
    },
}

impl ConfigError {
    /// What the YAML reader found, in an operator's words.
    pub(super) fn from_yaml(path: PathBuf, error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let location = error.location().unwrap_or(Location::UNKNOWN);
        let origin = Origin::File { path, line: location.line(), column: location.column() };
        Self::Shape { origin, message: explain(error) }
    }
}

fn explain(error: &serde_saphyr::Error) -> String {
    match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => format!("{key} is given twice"),
        serde_saphyr::Error::Unexpected { expected, .. } => format!("expected {}", plain(expected)),
        serde_saphyr::Error::UnknownAnchor { .. } => {
            "a value that begins with * must stand in quotes".to_owned()
        }
        other => {
            let text = other.render_with_formatter(&UserMessageFormatter);
            text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message).to_owned()
        }
    }
}

fn plain(expected: &str) -> &str {
    match expected {
        "mapping start" => "keys with values here (key: value)",
        "sequence start" => "a list here (- item)",
        "string scalar" => "a single value here",
        other => other,
    }
}

fn unknown_key(field: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|k| (distance(field, k), *k)).min();
    match nearest {
        // A short word is near to many: it must have more right than wrong.
        Some((distance, key)) if distance <= 2 && 2 * distance < field.chars().count() => {
            format!("unknown key {field}: did you mean {key}?")
        }
        _ => format!("unknown key {field}: known here are {}", known.join(", ")),
    }
}

/// Insertions, deletions and replacements that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*slot + 1);
            diagonal = std::mem::replace(slot, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{distance, unknown_key};

    #[test]
    fn counts_edits() {
        for (a, b, expected) in
            [("", "abc", 3), ("window", "windw", 1), ("kitten", "sitting", 3), ("a", "a", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn unknown_keys_name_what_was_meant() {
        assert_eq!(unknown_key("windw", &["listen", "window"]), "unknown key windw: did you mean window?");
        assert_eq!(
            unknown_key("colour", &["listen", "window"]),
            "unknown key colour: known here are listen, window"
        );
        assert_eq!(unknown_key("foo", &["log", "window"]), "unknown key foo: known here are log, window");
        assert_eq!(unknown_key("lgo", &["log"]), "unknown key lgo: known here are log");
        assert_eq!(unknown_key("logs", &["log"]), "unknown key logs: did you mean log?");
    }
}
