//! How probes on functions stand, of every live process that has any or should have: the one who attaches them writes
//! it, coverage reads it.

use std::sync::{PoisonError, RwLock};

use rustc_hash::FxHashMap;

use crate::model::{attachment::Attachment, id::ProcessId};

/// The attachments of live processes. As many as the one who attaches allows.
#[derive(Debug, Default)]
pub struct Attachments(RwLock<FxHashMap<ProcessId, Vec<Attachment>>>);

impl Attachments {
    /// Those of one process.
    #[must_use]
    pub fn of(&self, process: ProcessId) -> Vec<Attachment> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&process).cloned().unwrap_or_default()
    }

    /// All of them, by process.
    #[must_use]
    pub fn all(&self) -> Vec<Attachment> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Attachment> = known.values().flatten().cloned().collect();
        all.sort_by(|a, b| (a.process, &a.file, a.finder).cmp(&(b.process, &b.file, b.finder)));
        all
    }

    /// Replaces those of one process; none forgets it.
    pub fn set(&self, process: ProcessId, attachments: Vec<Attachment>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if attachments.is_empty() {
            known.remove(&process);
        } else {
            known.insert(process, attachments);
        }
    }
}
