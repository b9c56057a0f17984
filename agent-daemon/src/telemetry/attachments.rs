//! How probes on functions stand, of every live process that has any or should have: the one who attaches them writes
//! it, coverage reads it.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError, RwLock},
};

use rustc_hash::FxHashMap;

use crate::model::{attachment::Attachment, id::ProcessId};

/// Processes without attachments of which it is remembered what was attached: who is told of an end later asks for it.
const MOST_ENDED: usize = 256;

/// The attachments of live processes. As many as the one who attaches allows.
#[derive(Debug, Default)]
pub struct Attachments {
    live: RwLock<FxHashMap<ProcessId, Vec<Attachment>>>,
    ended: Mutex<VecDeque<(ProcessId, Vec<Attachment>)>>,
}

impl Attachments {
    /// Those of one process.
    #[must_use]
    pub fn of(&self, process: ProcessId) -> Vec<Attachment> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).get(&process).cloned().unwrap_or_default()
    }

    /// All of them, by process.
    #[must_use]
    pub fn all(&self) -> Vec<Attachment> {
        let known = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Attachment> = known.values().flatten().cloned().collect();
        all.sort_by(|a, b| (a.process, &a.file, a.finder).cmp(&(b.process, &b.file, b.finder)));
        all
    }

    /// Those on TLS libraries of a process that has just ended.
    #[must_use]
    pub fn tls_of_ended(&self, process: ProcessId) -> Vec<Attachment> {
        let mut last = self.of(process);
        if last.is_empty() {
            let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let found = ended.iter().rev().find(|(of, _)| *of == process);
            last = found.map(|(_, last)| last.clone()).unwrap_or_default();
        }
        last.retain(Attachment::is_tls);
        last
    }

    /// Replaces those of one process; none forgets it.
    pub fn set(&self, process: ProcessId, attachments: Vec<Attachment>) {
        let mut known = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if attachments.is_empty() {
            let Some(last) = known.remove(&process) else { return };
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            if ended.len() >= MOST_ENDED {
                ended.pop_front();
            }
            ended.push_back((process, last));
        } else {
            known.insert(process, attachments);
        }
    }
}
