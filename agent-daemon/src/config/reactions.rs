//! What alerts may do by themselves, and the options of it, part of the table of options. Everything is off unless it is
//! asked for, here and in the file of reactions.

use std::path::PathBuf;

use super::{
    alerts::{format_receivers, parse_receivers},
    options::{Opt, boolean, put},
    size::{format_bytes, parse_bytes},
};

/// In place of a size: no flight recorder.
const OFF: &str = "off";

/// What alerts may do by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reactions {
    /// Whether they do anything.
    pub enabled: bool,
    /// Whether they only say what they would do.
    pub dry_run: bool,
    /// The file that says which rule does what; `None`: nothing.
    pub file: Option<PathBuf>,
    /// Where profiles and dumps of the flight recorder are written.
    pub directory: PathBuf,
    /// Bytes of all files there; beyond, the oldest go.
    pub max_bytes: u64,
    /// Bytes of memory that the flight recorder may take; `None`: there is none.
    pub recorder: Option<u64>,
}

impl Default for Reactions {
    fn default() -> Self {
        Self {
            enabled: false,
            dry_run: false,
            file: None,
            directory: PathBuf::from("/var/lib/agentperf/reactions"),
            max_bytes: 256_000_000,
            recorder: None,
        }
    }
}

impl Reactions {
    /// The same with what only a start brings into force as `now` has it.
    #[must_use]
    pub(super) fn reloaded(self, now: &Self) -> Self {
        Self { directory: now.directory.clone(), max_bytes: now.max_bytes, recorder: now.recorder, ..self }
    }
}

pub(super) const ENABLED: Opt = Opt {
    key: "alerts.reactions.enabled",
    doc: "Whether alerts may act on agents, as the file of reactions says (docs/alerts.md). Turned off by a\nreload, what is in force is taken back.",
    get: |c| c.alerts.reactions.enabled.to_string(),
    set: |c, t| put(&mut c.alerts.reactions.enabled, boolean(t), "true or false"),
};

pub(super) const DRY_RUN: Opt = Opt {
    key: "alerts.reactions.dry_run",
    doc: "Whether reactions only say what they would do.",
    get: |c| c.alerts.reactions.dry_run.to_string(),
    set: |c, t| put(&mut c.alerts.reactions.dry_run, boolean(t), "true or false"),
};

pub(super) const FILE: Opt = Opt {
    key: "alerts.reactions.file",
    doc: "File that says which rule does what to its agent: capture a profile, dump the flight recorder, limit\nits cgroup, pause it; or none.",
    get: |c| format_receivers(c.alerts.reactions.file.as_ref()),
    set: |c, t| put(&mut c.alerts.reactions.file, parse_receivers(t), "none, or an absolute path"),
};

pub(super) const DIRECTORY: Opt = Opt {
    key: "alerts.reactions.directory",
    doc: "Folder of captured profiles and dumps, an absolute path; agentperf's own.",
    get: |c| c.alerts.reactions.directory.display().to_string(),
    set: |c, t| {
        let path = Some(PathBuf::from(t)).filter(|path| path.is_absolute());
        put(&mut c.alerts.reactions.directory, path, "an absolute path")
    },
};

pub(super) const MAX_SIZE: Opt = Opt {
    key: "alerts.reactions.max_size",
    doc: "Bytes that these files may have together, 1MB to 100GB; beyond, the oldest go.",
    get: |c| format_bytes(c.alerts.reactions.max_bytes),
    set: |c, t| {
        let range = |bytes: &u64| (1_000_000..=100_000_000_000).contains(bytes);
        let bytes = parse_bytes(t).filter(range);
        put(&mut c.alerts.reactions.max_bytes, bytes, "a size from 1MB to 100GB")
    },
};

pub(super) const RECORDER: Opt = Opt {
    key: "alerts.reactions.recorder",
    doc: "Bytes of memory in which the flight recorder keeps the newest records in full detail, 1MB to 4GB;\nor off. They are compressed: 16MB hold minutes of a busy host.",
    get: |c| c.alerts.reactions.recorder.map_or_else(|| OFF.to_owned(), format_bytes),
    set: |c, t| {
        let range = |bytes: &u64| (1_000_000..=4_000_000_000).contains(bytes);
        let size = || parse_bytes(t).filter(range).map(Some);
        let recorder = if t == OFF { Some(None) } else { size() };
        put(&mut c.alerts.reactions.recorder, recorder, "off, or a size from 1MB to 4GB")
    },
};
