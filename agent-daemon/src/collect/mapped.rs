//! When to read a process's mappings. A process may live for milliseconds, and its libraries are mapped some
//! time after its exec; so its mappings are read shortly after each exec, again a little later, and whenever
//! a stack holds an address that the last reading does not know. What is mapped in place of something else
//! is not unknown: so those that have run are read again at the end of a window.

use std::{
    collections::VecDeque,
    hash::BuildHasher as _,
    sync::Arc,
    time::{Duration, Instant},
};

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::{mappings, usage::Live};
use crate::{
    model::{
        id::ProcessId,
        observation::{Mapping, Observation, RawStack, RawUserStack},
        stack::StackEnd,
    },
    telemetry::{Loss, Losses},
    unwind::identity::is_same,
};

/// Delays after an exec: when the loader has mapped the libraries, and when a program has loaded its own.
const DELAYS: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(25)];
/// The last reading of a process is believed for so long, whatever its stacks say.
const REST: Duration = Duration::from_millis(100);
/// The queue of readings that stacks ask for, behind those that execs do.
const ASKED: usize = DELAYS.len();
/// The queue of those that come of loading a library.
const LOADING: usize = ASKED + 1;
/// A process that loads one library after the other is read so often, at most.
const BREATH: Duration = Duration::from_millis(20);
/// Readings that may wait. Beyond, the process waits for an unknown address.
const MAX_DUE: usize = 4096;
/// User frames of a stack that are looked up.
const CHECKED_FRAMES: usize = 8;
/// How long a reading is believed while its addresses are known.
const BELIEVED: Duration = Duration::from_secs(2);
/// Processes whose mappings are compared at the end of a window: those whose last reading is oldest.
const MAX_COMPARED: usize = 64;

/// Which readings are due, and what the last ones said.
pub(super) struct Mapped {
    due: [VecDeque<(Instant, ProcessId)>; LOADING + 1],
    known: FxHashMap<ProcessId, Known>,
    /// Programs that the processes have executed since they were watched, as the kernel programs count them.
    execs: FxHashMap<ProcessId, u16>,
    /// What has been found since stacks were cut last.
    replaced: Vec<Replaced>,
}

/// The last reading of one process.
#[derive(Clone)]
struct Known {
    ranges: Vec<Range>,
    read: Instant,
    /// Whether another one is due since a stack asked for it.
    is_asked: bool,
    /// Whether another one is due since it loaded a library.
    is_loading: bool,
}

/// An executable mapping, by address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    start: u64,
    end: u64,
    /// Hash of what is mapped there.
    content: u64,
}

/// Ranges of a process that are mapped to something else than they were.
struct Replaced {
    process: ProcessId,
    ranges: Vec<Range>,
}

impl Replaced {
    /// Cuts a stack where it goes through one of the ranges: which of the two it was in cannot be told.
    fn cut(&self, stack: &mut RawUserStack) {
        let is_replaced = |address: &u64| self.ranges.iter().any(|r| (r.start..r.end).contains(address));
        if let Some(cut) = stack.addresses.iter().position(is_replaced) {
            stack.addresses = stack.addresses.iter().take(cut + 1).copied().collect();
            stack.interpreted = Arc::from([]);
            stack.end = StackEnd::NoMapping;
        }
    }
}

impl Mapped {
    pub(super) fn new() -> Self {
        Self {
            due: Default::default(),
            known: FxHashMap::default(),
            execs: FxHashMap::default(),
            replaced: Vec::new(),
        }
    }

    /// The process executed a program.
    pub(super) fn executed(&mut self, process: ProcessId, now: Instant) {
        self.known.remove(&process);
        let execs = self.execs.entry(process).or_default();
        *execs = execs.wrapping_add(1);
        for (queue, delay) in self.due.iter_mut().zip(DELAYS) {
            if queue.len() < MAX_DUE {
                queue.push_back((now + delay, process));
            }
        }
    }

    /// How many programs the process has executed since it is watched.
    pub(super) fn execs(&self, process: ProcessId) -> u16 {
        self.execs.get(&process).copied().unwrap_or_default()
    }

    /// A stack of the process ended at an address that is in no known mapping.
    pub(super) fn asked(&mut self, process: ProcessId, now: Instant) {
        let Some(known) = self.known.get_mut(&process).filter(|k| !k.is_asked) else { return };
        if let Some(queue) = self.due.get_mut(ASKED)
            && queue.len() < MAX_DUE
        {
            known.is_asked = true;
            queue.push_back((now.max(known.read + REST), process));
        }
    }

    /// The process loaded a library, or let go of one.
    pub(super) fn loaded(&mut self, process: ProcessId, now: Instant) {
        let Some(known) = self.known.get_mut(&process).filter(|k| !k.is_loading) else { return };
        if let Some(queue) = self.due.get_mut(LOADING)
            && queue.len() < MAX_DUE
        {
            known.is_loading = true;
            queue.push_back((now.max(known.read + BREATH), process));
        }
    }

    /// The process forked another, which has the same mappings until it executes a program.
    pub(super) fn forked(&mut self, parent: ProcessId, child: ProcessId) {
        if let Some(known) = self.known.get(&parent).cloned() {
            self.known.insert(child, Known { is_asked: false, is_loading: false, ..known });
        }
    }

    /// The process is gone.
    pub(super) fn exited(&mut self, process: ProcessId) {
        self.known.remove(&process);
        self.execs.remove(&process);
    }

    /// Forgets the processes that no agent has any more.
    pub(super) fn keep(&mut self, live: &Live) {
        self.known.retain(|process, _| live.contains(*process));
        self.execs.retain(|process, _| live.contains(*process));
    }

    /// When the next reading is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.iter().filter_map(|queue| queue.front().map(|(at, _)| *at)).min()
    }

    /// Reads what is due.
    pub(super) fn read_due(&mut self, now: Instant, live: &Live, losses: &Losses) -> Vec<Observation> {
        let mut observations = Vec::new();
        for stage in 0..self.due.len() {
            while let Some(process) = self.pop_due(stage, now) {
                if live.contains(process) {
                    observations.extend(self.read(process, losses));
                } else if stage == 0 {
                    losses.count(Loss::MappingsUnread);
                }
            }
        }
        observations
    }

    fn pop_due(&mut self, stage: usize, now: Instant) -> Option<ProcessId> {
        let queue = self.due.get_mut(stage)?;
        queue.front().filter(|(at, _)| *at <= now)?;
        queue.pop_front().map(|(_, process)| process)
    }

    /// Reads a process's mappings now.
    pub(super) fn read(&mut self, process: ProcessId, losses: &Losses) -> Option<Observation> {
        let read = mappings::read(process.pid());
        // Checked after the reading: the pid may have been reused during it.
        let Some(mappings) = read.ok().filter(|m| !m.is_empty()).filter(|_| is_same(process)) else {
            losses.count(Loss::MappingsUnread);
            return None;
        };
        let known =
            Known { ranges: ranges(&mappings), read: Instant::now(), is_asked: false, is_loading: false };
        let replaced = match self.known.get(&process) {
            Some(before) => replaced(&before.ranges, &known.ranges),
            None => Vec::new(),
        };
        if !replaced.is_empty() {
            self.replaced.push(Replaced { process, ranges: replaced });
        }
        self.known.insert(process, known);
        Some(Observation::Mapped { process, execs: self.execs(process), mappings })
    }

    /// Cuts the stacks that were taken while something was mapped in the place of something else.
    pub(super) fn cut<'a>(&mut self, stacks: impl Iterator<Item = (ProcessId, &'a mut RawUserStack)>) {
        if self.replaced.is_empty() {
            return;
        }
        for (process, stack) in stacks {
            self.replaced.iter().filter(|r| r.process == process).for_each(|r| r.cut(stack));
        }
        self.replaced.clear();
    }

    /// Reads the mappings of processes that have run, and tells those that have changed.
    pub(super) fn compare(
        &mut self,
        ran: impl Iterator<Item = ProcessId>,
        now: Instant,
        live: &Live,
        losses: &Losses,
    ) -> Vec<Observation> {
        let read = |process| self.known.get(&process).map(|known| known.read);
        let is_old = |(at, _): &(Instant, ProcessId)| *at + BELIEVED <= now;
        let ran: FxHashSet<ProcessId> = ran.collect();
        let mut old: Vec<(Instant, ProcessId)> =
            ran.into_iter().filter_map(|process| Some((read(process)?, process))).filter(is_old).collect();
        old.sort_unstable();
        old.truncate(MAX_COMPARED);
        old.retain(|(_, process)| live.contains(*process));
        old.into_iter().filter_map(|(_, process)| self.compare_one(process, losses)).collect()
    }

    fn compare_one(&mut self, process: ProcessId, losses: &Losses) -> Option<Observation> {
        let before = self.known.get(&process)?.ranges.clone();
        let observation = self.read(process, losses)?;
        (self.known.get(&process)?.ranges != before).then_some(observation)
    }

    /// Reads the mappings of the processes that have an address on their stacks which they do not know.
    pub(super) fn read_unknown<'a>(
        &mut self,
        stacks: impl Iterator<Item = (ProcessId, &'a RawStack)>,
        live: &Live,
        losses: &Losses,
    ) -> Vec<Observation> {
        let mut stale: Vec<ProcessId> = stacks
            .filter(|(process, stack)| !self.knows(*process, stack))
            .map(|(process, _)| process)
            .collect();
        stale.sort_unstable();
        stale.dedup();
        stale.retain(|process| live.contains(*process));
        stale.into_iter().filter_map(|process| self.read(process, losses)).collect()
    }

    fn knows(&self, process: ProcessId, stack: &RawStack) -> bool {
        let user = &stack.user.addresses;
        let Some(known) = self.known.get(&process) else { return user.is_empty() };
        // A walk stops where it finds no mapping.
        user.iter().take(CHECKED_FRAMES).chain(user.last()).all(|address| {
            let after = known.ranges.partition_point(|range| range.start <= *address);
            after.checked_sub(1).and_then(|i| known.ranges.get(i)).is_some_and(|range| *address < range.end)
        })
    }
}

fn ranges(mappings: &[Mapping]) -> Vec<Range> {
    let mut ranges: Vec<Range> =
        mappings.iter().map(|m| Range { start: m.start, end: m.end, content: content(m) }).collect();
    ranges.sort_unstable();
    ranges
}

/// The ranges of `before` that hold something else in `after`.
fn replaced(before: &[Range], after: &[Range]) -> Vec<Range> {
    let is_replaced = |old: &&Range| {
        let first = after.partition_point(|new| new.end <= old.start);
        let mut overlapping = after.iter().skip(first).take_while(|new| new.start < old.end);
        overlapping.any(|new| new.content != old.content)
    };
    before.iter().filter(is_replaced).copied().collect()
}

/// What is mapped: the file, and which of its bytes would be at address 0. Code of no file is all the same to us.
fn content(mapping: &Mapping) -> u64 {
    if mapping.inode == 0 {
        return 0;
    }
    FxBuildHasher.hash_one((mapping.device, mapping.inode, mapping.offset.wrapping_sub(mapping.start)))
}
