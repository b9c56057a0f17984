//! What is kept of files, and which are checkpoints.

use super::{
    glob::Glob,
    options::{Opt, put},
};

/// The most patterns.
const MAX_PATTERNS: usize = 64;

/// Files that models and agents keep their state in.
const CHECKPOINTS: [&str; 7] = [
    // First, since YAML has a meaning of its own for what begins with a star.
    "checkpoint*.sqlite*",
    "checkpoint*.db*",
    "*.safetensors",
    "*.pt",
    "*.ckpt",
    "*.gguf",
    "**/checkpoint*/**",
];

/// What is kept of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// How much of a path is kept.
    pub paths: FilePaths,
    /// Which files are checkpoints.
    pub checkpoints: Vec<Glob>,
}

/// How much of a path is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilePaths {
    /// All of it.
    Full,
    /// The directory alone.
    Directories,
    /// Nothing: no agent is watched by the files probe.
    Off,
}

impl FilePaths {
    /// As it is written.
    fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Directories => "directories",
            Self::Off => "off",
        }
    }

    /// What is written so.
    fn parse(text: &str) -> Option<Self> {
        [Self::Full, Self::Directories, Self::Off].into_iter().find(|paths| paths.name() == text)
    }
}

impl Default for Files {
    fn default() -> Self {
        let checkpoints = CHECKPOINTS.iter().filter_map(|text| Glob::new(text).ok()).collect();
        Self { paths: FilePaths::Full, checkpoints }
    }
}

/// Every option of them.
pub(super) const OPTIONS: [Opt; 2] = [
    Opt {
        key: "files.paths",
        doc: "What is kept of the paths of files: full, directories alone, or off, which watches no agent's files.",
        get: |c| c.files.paths.name().to_owned(),
        set: |c, t| put(&mut c.files.paths, FilePaths::parse(t), "full, directories or off"),
    },
    Opt {
        key: "files.checkpoints",
        doc: "Files whose saves and loads become operations of their own: patterns as in rules, separated by commas\n(in quotes, if the first begins with a star); none for none.",
        get: |c| format_patterns(&c.files.checkpoints),
        set: |c, t| {
            put(
                &mut c.files.checkpoints,
                parse_patterns(t),
                "patterns, as in *.safetensors, **/checkpoint*/**",
            )
        },
    },
];

/// Reads patterns, separated by commas; `none` for none at all.
fn parse_patterns(text: &str) -> Option<Vec<Glob>> {
    if text == "none" {
        return Some(Vec::new());
    }
    let patterns: Vec<_> = text.split(',').map(|item| Glob::new(item.trim()).ok()).collect::<Option<_>>()?;
    (patterns.len() <= MAX_PATTERNS).then_some(patterns)
}

/// Writes patterns so that reading them gives the same.
fn format_patterns(patterns: &[Glob]) -> String {
    if patterns.is_empty() {
        return "none".to_owned();
    }
    patterns.iter().map(Glob::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_they_are_written() {
        let defaults = Files::default().checkpoints;
        assert_eq!(defaults.len(), CHECKPOINTS.len(), "each of them can be read");
        assert_eq!(parse_patterns(&format_patterns(&defaults)), Some(defaults));
        assert_eq!(parse_patterns("none"), Some(Vec::new()));
        for text in ["", "a,,b", &["a"; MAX_PATTERNS + 1].join(",")] {
            assert_eq!(parse_patterns(text), None, "{text}");
        }
    }

    #[test]
    fn checkpoints_are_known_by_their_paths() {
        let is_one = |path| Files::default().checkpoints.iter().any(|pattern| pattern.matches(path));
        for path in
            ["/m/model-00001.safetensors", "/r/checkpoint-500/config.json", "/a/checkpoints.sqlite-wal"]
        {
            assert!(is_one(path), "{path}");
        }
        for path in ["/m/model.py", "/m/.ipynb_checkpoints/a", "/a/other.sqlite"] {
            assert!(!is_one(path), "{path}");
        }
    }
}
