//! What is attached to one process: for each file and finder a link, or why there is none.

use std::{sync::Arc, time::Instant};

use procfs::process::{LimitValue, Process as OwnProcess};

use super::finder::Finder;
use crate::{
    kernel::UprobeLink,
    model::{
        attachment::{Attachment, AttachmentState, OPENSSL_FINDER},
        id::{ProcessId, Slot},
        time::Timestamp,
    },
    unwind::CodeFile,
};

/// Open files that all links may take, and which part of what this process may have.
const MAX_DESCRIPTORS: usize = 16_384;
const SHARE_OF_DESCRIPTORS: usize = 4;

/// When a child is given the files of its parent.
pub(super) type Child = (Instant, ProcessId, Vec<Arc<dyn CodeFile>>);

/// A program: device and inode of its file, and when that was written last.
pub(super) type Program = (u64, u64, i64);

/// A file of a process that a finder knows.
pub(super) struct Attached {
    pub(super) file: Arc<dyn CodeFile>,
    pub(super) finder: &'static Finder,
    pub(super) version: Option<String>,
    pub(super) sites: usize,
    pub(super) outcome: Outcome,
    pub(super) since: Timestamp,
    /// Whether the process was seen to map it since it executed a program; else it is probed because it will likely do so.
    pub(super) is_mapped: bool,
}

impl Attached {
    fn is_part(&self) -> bool {
        matches!(self.outcome, Outcome::Part)
    }

    fn folder(&self) -> Option<&str> {
        self.file.path().rsplit_once('/').map(|(folder, _)| folder)
    }
}

/// What became of the sites.
pub(super) enum Outcome {
    /// They are probed as long as this is kept.
    Linked(UprobeLink),
    /// There are none: why.
    Blind(String),
    /// They could not be probed: why.
    Refused(String),
    /// There are none: the file is a part of another's library.
    Part,
}

impl Outcome {
    fn descriptors(&self) -> usize {
        match self {
            Self::Linked(link) => link.descriptors(),
            Self::Blind(_) | Self::Refused(_) | Self::Part => 0,
        }
    }
}

/// A process of an agent.
pub(super) struct Process {
    pub(super) slot: Slot,
    /// Programs that it has executed since it is watched, as the collector counts them.
    pub(super) execs: u16,
    /// When it executed the last of them, or was met.
    pub(super) executed: Instant,
    /// What that is, where it is known.
    pub(super) program: Option<Program>,
    /// Whether its files were told since.
    pub(super) is_mapped: bool,
    /// Whether it is spoken to by standard input and output.
    pub(super) is_server: bool,
    pub(super) attached: Vec<Attached>,
}

impl Process {
    pub(super) fn new(slot: Slot) -> Self {
        let (execs, executed, program) = (0, Instant::now(), None);
        Self { slot, execs, executed, program, is_mapped: false, is_server: false, attached: Vec::new() }
    }

    /// Whether a finder has had its say about a file of this process.
    pub(super) fn knows(&self, file: u64, finder: &Finder) -> bool {
        self.attached.iter().any(|a| a.file.id() == file && std::ptr::eq(a.finder, finder))
    }

    /// Open files that its links take.
    pub(super) fn descriptors(&self) -> usize {
        self.attached.iter().map(|attached| attached.outcome.descriptors()).sum()
    }

    /// How its attachments stand.
    pub(super) fn attachments(&self, process: ProcessId) -> Vec<Attachment> {
        let mapped = || self.attached.iter().filter(|attached| attached.is_mapped);
        let told = |attached: &Attached| {
            let (state, reason) = match &attached.outcome {
                Outcome::Linked(_) => (AttachmentState::Attached, None),
                Outcome::Blind(why) => (AttachmentState::Blind, Some(why.clone())),
                Outcome::Refused(why) => (AttachmentState::Refused, Some(why.clone())),
                Outcome::Part => return None,
            };
            // A shared library that does not tell its version stands beside the part of it that does.
            let is_beside = |part: &&Attached| part.is_part() && part.folder() == attached.folder();
            let beside = || mapped().find(is_beside).and_then(|part| part.version.clone());
            let is_shared = attached.finder.name == OPENSSL_FINDER;
            let version = attached.version.clone().or_else(|| beside().filter(|_| is_shared));
            let (file, finder, sites) =
                (attached.file.path().to_owned(), attached.finder.name, attached.sites);
            let since = Some(attached.since);
            Some(Attachment { process, file, finder, version, sites, state, since, reason })
        };
        mapped().filter_map(told).collect()
    }
}

/// How many files links may take: a share of what this process may open.
pub(super) fn max_descriptors() -> usize {
    let limits = OwnProcess::myself().and_then(|own| own.limits());
    let soft = match limits.map(|limits| limits.max_open_files.soft_limit) {
        Ok(LimitValue::Value(n)) => usize::try_from(n).unwrap_or(MAX_DESCRIPTORS),
        Ok(LimitValue::Unlimited) => usize::MAX,
        Err(_) => 1024,
    };
    (soft / SHARE_OF_DESCRIPTORS).min(MAX_DESCRIPTORS)
}
