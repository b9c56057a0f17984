//! Probes that are there before a process maps what they are on. A client may live for less time than it takes to find out
//! what it maps; but what a program has mapped before it will map again, and what others map a new one may. So at an exec
//! these files are probed at once, in that process alone: the kernel puts probes into files that are mapped later.

use std::{
    fs,
    num::NonZeroUsize,
    os::unix::fs::MetadataExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use lru::LruCache;

use super::Worker;
use crate::{
    model::{id::ProcessId, time::Timestamp},
    unwind::CodeFile,
    uprobes::{
        attached::{Outcome, Process, Program},
        finder::{Finding, Offer, Verdict},
    },
};

/// Programs of which it is known what they map.
const PROGRAMS: NonZeroUsize = NonZeroUsize::new(64).unwrap();
/// Files of one that are probed ahead.
const FILES: usize = 8;
/// Files that an unknown program may map: those that others have mapped last.
const GUESSES: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// What nobody has mapped for so long is forgotten: it is held open until then.
const MEMORY: Duration = Duration::from_secs(120);
/// A program that has not mapped a file for so long after its exec will not.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file, and when it was mapped last.
type Held = (Arc<dyn CodeFile>, Instant);

/// What programs will map, by what they have mapped before.
pub(super) struct Ahead {
    programs: LruCache<Program, (Vec<Arc<dyn CodeFile>>, Instant)>,
    latest: LruCache<u64, Held>,
}

impl Ahead {
    pub(super) fn new() -> Self {
        Self { programs: LruCache::new(PROGRAMS), latest: LruCache::new(GUESSES) }
    }

    /// A process has mapped a file in which there is something to probe, or nothing.
    pub(super) fn learn(&mut self, process: &Process, file: &Arc<dyn CodeFile>, verdict: &Verdict) {
        let now = Instant::now();
        let has_sites = verdict
            .iter()
            .any(|found| matches!(found.offer, Offer::Sites(_)) && !found.finder.is_for_pipes());
        if has_sites {
            self.latest.put(file.id(), (Arc::clone(file), now));
        }
        let Some(program) = process.program else { return };
        let (files, at) = self.programs.get_or_insert_mut(program, || (Vec::new(), now));
        *at = now;
        if has_sites && files.len() < FILES && files.iter().all(|known| known.id() != file.id()) {
            files.push(Arc::clone(file));
        }
    }

    /// What a program will likely map. Asking keeps nothing: what was mapped last is forgotten last.
    fn files(&self, program: Option<Program>) -> Vec<Arc<dyn CodeFile>> {
        match program.and_then(|program| self.programs.peek(&program)) {
            Some((files, _)) => files.clone(),
            None => self.latest.iter().map(|(_, (file, _))| Arc::clone(file)).collect(),
        }
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |at: Instant| now.duration_since(at) > MEMORY;
        while self.programs.peek_lru().is_some_and(|(_, (_, at))| is_old(*at)) {
            self.programs.pop_lru();
        }
        while self.latest.peek_lru().is_some_and(|(_, (_, at))| is_old(*at)) {
            self.latest.pop_lru();
        }
    }
}

impl Worker {
    /// A process executes another program: what it had is no more mapped, and probed if it is mapped again.
    pub(super) fn executed(&mut self, process: ProcessId, execs: u16) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        (known.execs, known.is_mapped, known.executed) = (execs, false, Instant::now());
        known.program = program(process);
        known.attached.iter_mut().for_each(|attached| attached.is_mapped = false);
        // Links go with it: detaching takes longer than attaching, and two of a kind would tell all twice.
        self.detach(process, |attached| matches!(attached.outcome, Outcome::Linked(_)));
        let program = self.processes.get(&process).and_then(|known| known.program);
        for file in self.ahead.files(program) {
            self.probe_ahead(process, &file);
        }
        self.look(process);
    }

    /// Probes a file that a process has not mapped yet, unless probes have few files left to open.
    fn probe_ahead(&mut self, process: ProcessId, file: &Arc<dyn CodeFile>) {
        let Some(verdict) = self.verdicts.get(&file.id()).cloned() else { return };
        let Some(known) = self.processes.get(&process) else { return };
        let probes = self.agents.get(&known.slot).copied().unwrap_or_default();
        let mut ahead = Vec::new();
        for Finding { finder, offer, version } in verdict.iter() {
            let Offer::Sites(sites) = offer else { continue };
            let is_wanted =
                finder.serves(probes) && !finder.is_for_pipes() && !known.knows(file.id(), finder);
            if !is_wanted || self.descriptors > self.max_descriptors / 2 {
                continue;
            }
            // Whatever is refused is tried again, and counted, once it is mapped.
            if let Ok(link) = self.link(process, &**file, sites) {
                ahead.push(super::Attached {
                    file: Arc::clone(file),
                    finder,
                    version: version.clone(),
                    sites: sites.len(),
                    outcome: Outcome::Linked(link),
                    since: Timestamp::now(),
                    is_mapped: false,
                });
            }
        }
        if let Some(known) = self.processes.get_mut(&process) {
            self.descriptors -= known.descriptors();
            known.attached.extend(ahead);
            self.descriptors += known.descriptors();
        }
    }

    /// Gives up what was probed in vain, and what nobody has mapped for long.
    pub(super) fn forget_guesses(&mut self, now: Instant) {
        self.ahead.forget(now);
        let is_late = |known: &Process| now.duration_since(known.executed) > PATIENCE;
        let is_vain = |known: &Process| known.attached.iter().any(|attached| !attached.is_mapped);
        let late = self.processes.iter().filter(|(_, known)| is_late(known) && is_vain(known));
        for process in late.map(|(process, _)| *process).collect::<Vec<_>>() {
            self.detach(process, |attached| attached.is_mapped);
        }
    }
}

/// What a process executes, as long as it lives.
pub(super) fn program(process: ProcessId) -> Option<Program> {
    let file = fs::metadata(format!("/proc/{}/exe", process.pid())).ok()?;
    Some((file.dev(), file.ino(), file.mtime()))
}
