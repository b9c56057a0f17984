//! The address spaces that the walker knows: where each one's mappings lie, and which files they hold. Forked
//! processes share their parent's until they map something of their own.

use std::{ops::Range, time::Instant};

use lru::LruCache;
use rustc_hash::FxHashMap;

use super::{
    copy::MappedCode,
    files::Files,
    image::{Code, Region},
    space::Space,
};
use crate::{
    kernel::unwind::{self as walker, Mapping, UnwindMaps},
    model::id::ProcessId,
    telemetry::{Loss, Losses},
};

/// Processes that the walker knows at most.
const MAX_PROCESSES: usize = 16_000;

/// What of a process's code is known, shared by those that were forked from one another.
struct AddressSpace {
    at: Range<u32>,
    /// By address; the walker searches them so.
    mappings: Vec<Placed>,
    users: usize,
}

/// One mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    start: u64,
    end: u64,
    offset: u64,
    file: Option<u64>,
}

/// One process.
struct Known {
    space: u64,
    interpreter: Interpreter,
}

/// What the walker needs to know of a process's interpreter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interpreter {
    pub(super) python: walker::Python,
    pub(super) js_shared: u32,
}

/// The processes that are known.
pub(super) struct Processes {
    known: LruCache<ProcessId, Known>,
    spaces: FxHashMap<u64, AddressSpace>,
    places: Space,
    next: u64,
    /// What the walker does for every process: see `walker::process`.
    flags: u32,
}

impl Processes {
    pub(super) fn new(max_mappings: usize, flags: u32) -> Self {
        Self {
            known: LruCache::unbounded(),
            spaces: FxHashMap::default(),
            places: Space::new(u32::try_from(max_mappings).unwrap_or(u32::MAX)),
            next: 0,
            flags,
        }
    }

    /// Takes note of a process's code, and tells the walker. Whether it is other code than before.
    pub(super) fn mapped(
        &mut self,
        process: ProcessId,
        regions: &[Region],
        files: &mut Files,
        maps: &mut UnwindMaps,
        losses: &Losses,
    ) -> bool {
        // The walker compares addresses as signed numbers. Nothing that a process maps is in the upper half.
        let regions: Vec<&Region> = regions.iter().filter(|r| r.start >> 63 == 0).collect();
        let mut placed: Vec<Placed> = regions.iter().map(|r| Placed::of(r)).collect();
        placed.sort_unstable_by_key(|p| p.start);
        let known = self.known.get(&process);
        let old = known.and_then(|k| self.spaces.get(&k.space)).map_or(&[][..], |space| &space.mappings);
        if known.is_some() && old == placed {
            // The kernel forgets a process that executes a program, be it the same.
            self.tell(process, maps, losses);
            return false;
        }
        // What it runs is looked at next, which takes a while.
        let interpreter = known.filter(|_| are_of_one_program(old, &placed)).map(|k| k.interpreter);
        let length = u32::try_from(placed.len()).unwrap_or(u32::MAX);
        let Some(at) = self.places.take(length, Instant::now()) else {
            losses.count(Loss::UnwindMappingsFull);
            return false;
        };
        for region in &regions {
            if let Code::File(file) = &region.code {
                files.hold(file, losses);
            }
        }
        let mappings: Vec<Mapping> = placed.iter().map(|p| p.mapping(files)).collect();
        maps.write_mappings(at.start as usize, &mappings);
        self.next += 1;
        self.spaces.insert(self.next, AddressSpace { at, mappings: placed, users: 1 });
        let now = Known { space: self.next, interpreter: interpreter.unwrap_or_default() };
        let old = self.known.put(process, now);
        self.tell(process, maps, losses);
        if let Some(old) = old {
            self.let_go(old.space, files);
        }
        while self.known.len() > MAX_PROCESSES
            && let Some((id, oldest)) = self.known.pop_lru()
        {
            losses.count(Loss::MappingsForgotten);
            maps.remove_process(id);
            self.let_go(oldest.space, files);
        }
        true
    }

    /// Tells the walker which interpreter a process runs.
    pub(super) fn set_interpreter(
        &mut self,
        process: ProcessId,
        interpreter: Interpreter,
        maps: &mut UnwindMaps,
        losses: &Losses,
    ) {
        if let Some(known) = self.known.get_mut(&process)
            && known.interpreter != interpreter
        {
            known.interpreter = interpreter;
            self.tell(process, maps, losses);
        }
    }

    /// The child has its parent's code until its own is told.
    pub(super) fn forked(
        &mut self,
        parent: ProcessId,
        child: ProcessId,
        maps: &mut UnwindMaps,
        losses: &Losses,
    ) {
        let Some(&Known { space, interpreter }) = self.known.get(&parent) else { return };
        if self.known.contains(&child) {
            return;
        }
        if let Some(shared) = self.spaces.get_mut(&space) {
            shared.users += 1;
            self.known.put(child, Known { space, interpreter });
            self.tell(child, maps, losses);
        }
    }

    /// The process is gone.
    pub(super) fn exited(&mut self, process: ProcessId, files: &mut Files, maps: &mut UnwindMaps) {
        maps.remove_process(process);
        if let Some(known) = self.known.pop(&process) {
            self.let_go(known.space, files);
        }
    }

    /// The file's table is ready: mappings of it are no longer pending.
    pub(super) fn ready(&self, file: u64, files: &Files, maps: &mut UnwindMaps) {
        for space in self.spaces.values() {
            for (i, placed) in space.mappings.iter().enumerate().filter(|(_, p)| p.file == Some(file)) {
                maps.write_mappings(space.at.start as usize + i, &[placed.mapping(files)]);
            }
        }
    }

    /// A number for what a process has mapped, which changes with it.
    pub(super) fn space(&self, process: ProcessId) -> Option<u64> {
        self.known.peek(&process).map(|k| k.space)
    }

    /// What a process has mapped, by address, and the files in it.
    pub(super) fn mappings(&self, process: ProcessId) -> Vec<(MappedCode, Option<u64>)> {
        let space = self.space(process).and_then(|id| self.spaces.get(&id));
        let mapped = |p: &Placed| (MappedCode { start: p.start, end: p.end, offset: p.offset }, p.file);
        space.map_or_else(Vec::new, |s| s.mappings.iter().map(mapped).collect())
    }

    /// The file that is mapped at an address of a process.
    pub(super) fn file_at(&self, process: ProcessId, address: u64) -> Option<u64> {
        let space = self.spaces.get(&self.known.peek(&process)?.space)?;
        let after = space.mappings.partition_point(|m| m.start <= address);
        let mapping = space.mappings.get(after.checked_sub(1)?)?;
        mapping.file.filter(|_| address < mapping.end)
    }

    fn tell(&self, process: ProcessId, maps: &mut UnwindMaps, losses: &Losses) {
        let Some(known) = self.known.peek(&process) else { return };
        let Some(space) = self.spaces.get(&known.space) else { return };
        let told = walker::Process {
            mappings_at: space.at.start,
            mappings: space.at.end - space.at.start,
            js_shared: known.interpreter.js_shared,
            flags: self.flags,
            python: known.interpreter.python,
        };
        if let Err(error) = maps.set_process(process, told) {
            tracing::debug!(%error, "the walker could not be told of a process");
            losses.count(Loss::UnwindMappingsFull);
        }
    }

    fn let_go(&mut self, space: u64, files: &mut Files) {
        let Some(shared) = self.spaces.get_mut(&space) else { return };
        shared.users -= 1;
        if shared.users > 0 {
            return;
        }
        if let Some(gone) = self.spaces.remove(&space) {
            self.places.give_back(gone.at, Instant::now());
            for file in gone.mappings.iter().filter_map(|p| p.file) {
                files.let_go(file);
            }
        }
    }
}

/// Whether a process maps some file where it did before: not after an exec, which moves everything (but where
/// addresses are not randomized).
fn are_of_one_program(before: &[Placed], now: &[Placed]) -> bool {
    before.iter().any(|placed| placed.file.is_some() && now.contains(placed))
}

impl Placed {
    fn of(region: &Region) -> Self {
        let file = match &region.code {
            Code::File(file) => Some(file.id()),
            Code::Generated => None,
        };
        Self { start: region.start, end: region.end, offset: region.offset, file }
    }

    fn mapping(&self, files: &Files) -> Mapping {
        let Self { start, end, offset, file } = *self;
        match file {
            Some(id) => files.mapping(id, start, end, offset),
            None => Mapping { start, end, kind: walker::mapping::FRAME_POINTERS, ..Mapping::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_loaded_leaves_the_program_what_it_is() {
        let placed = |start, file| Placed { start, end: start + 10, offset: 0, file };
        let program = [placed(100, Some(1)), placed(200, Some(2)), placed(300, None)];
        let more = [placed(50, Some(3)), placed(100, Some(1)), placed(300, None)];
        assert!(are_of_one_program(&program, &more));
        let moved = [placed(110, Some(1)), placed(210, Some(2)), placed(300, None)];
        assert!(!are_of_one_program(&program, &moved), "it executed itself");
        assert!(!are_of_one_program(&[], &program));
    }
}
