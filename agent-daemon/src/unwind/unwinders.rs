//! Unwinders of copied stacks, one per process. A file's unwind information is read when it is first on a stack, and
//! forgotten when no copy came for a while: copies come only while walks lack their tables, or in tests.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use lru::LruCache;
use rustc_hash::FxHashMap;

use super::{
    copy::{CopyFile, CopyFrames, CopyUnwinder, MappedCode, Registers},
    table::TableError,
};
use crate::{kernel::unwind::CopiedStack, model::id::ProcessId};

/// Processes whose code is known here.
const PROCESSES: NonZeroUsize = NonZeroUsize::new(16).unwrap();
/// Unwind information of all files together, bytes: that of the largest programs is a quarter.
const MAX_BYTES: usize = 32 << 20;
/// What was not used for so long is forgotten.
const REST: Duration = Duration::from_secs(5);

/// Tells where the code of processes is, and what it says of unwinding.
pub(super) trait CodeSource {
    /// A number for the mappings of a process, which changes with them; `None` if the process is not known.
    fn space(&self, process: ProcessId) -> Option<u64>;

    /// Its executable mappings, by address, and the files in them.
    fn mappings(&self, process: ProcessId) -> Vec<(MappedCode, Option<u64>)>;

    /// A file's unwind information.
    fn file(&self, id: u64) -> Result<CopyFile, TableError>;
}

/// What was made of a copy.
#[derive(Debug)]
pub(super) struct Unwound {
    pub(super) frames: CopyFrames,
    /// Whether some frame is in no code that the process is known to have.
    pub(super) is_astray: bool,
}

/// Why nothing can be made of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The process is not known.
    UnknownProcess,
    /// A file on the stack cannot be read, or is too large.
    Unread,
}

/// The unwinders.
pub(super) struct CopyUnwinders {
    processes: LruCache<ProcessId, OfProcess>,
    /// What was read of files: nothing, where a file has no unwind information.
    files: FxHashMap<u64, Option<CopyFile>>,
    bytes: usize,
    used: Instant,
}

struct OfProcess {
    space: u64,
    mappings: Vec<Mapped>,
    unwinder: CopyUnwinder,
}

struct Mapped {
    code: MappedCode,
    file: Option<u64>,
    /// Whether the unwinder has been told of the file.
    is_told: bool,
}

impl CopyUnwinders {
    pub(super) fn new() -> Self {
        let processes = LruCache::new(PROCESSES);
        Self { processes, files: FxHashMap::default(), bytes: 0, used: Instant::now() }
    }

    /// Unwinds a copy.
    pub(super) fn unwind(
        &mut self,
        copied: &CopiedStack,
        code: &impl CodeSource,
    ) -> Result<Unwound, Refusal> {
        self.used = Instant::now();
        let mut known = self.process(copied.process, code)?;
        let [ip, sp, fp] = copied.registers;
        let outcome = loop {
            let frames = known.unwinder.unwind(Registers { ip, sp, fp }, sp, &copied.bytes);
            // What lies beyond the first frame in an untold file is a guess: its file is told, and all is unwound anew.
            let Some(i) = known.first_untold(&frames) else {
                break Ok(Unwound { is_astray: known.is_astray(&frames), frames });
            };
            let file = known.mappings.get(i).and_then(|m| m.file);
            match file.map(|id| self.file(id, code)).transpose() {
                Ok(file) => known.tell(i, file.flatten().as_ref()),
                Err(refusal) => break Err(refusal),
            }
        };
        self.processes.put(copied.process, known);
        outcome
    }

    /// Takes a process's unwinder out, or makes one.
    fn process(&mut self, id: ProcessId, code: &impl CodeSource) -> Result<OfProcess, Refusal> {
        let space = code.space(id).ok_or(Refusal::UnknownProcess)?;
        if let Some(known) = self.processes.pop(&id).filter(|k| k.space == space) {
            return Ok(known);
        }
        let mapped = |(code, file): (MappedCode, Option<u64>)| Mapped { code, file, is_told: file.is_none() };
        let mappings = code.mappings(id).into_iter().map(mapped).collect();
        Ok(OfProcess { space, mappings, unwinder: CopyUnwinder::new() })
    }

    fn file(&mut self, id: u64, code: &impl CodeSource) -> Result<Option<CopyFile>, Refusal> {
        if let Some(known) = self.files.get(&id) {
            return Ok(known.clone());
        }
        let file = match code.file(id) {
            Ok(file) => Some(file),
            Err(TableError::NoUnwindInfo) => None,
            Err(_) => return Err(Refusal::Unread),
        };
        let bytes = file.as_ref().map_or(0, CopyFile::bytes);
        if self.bytes.saturating_add(bytes) > MAX_BYTES {
            // The next copy finds room.
            self.forget();
            return Err(Refusal::Unread);
        }
        self.bytes += bytes;
        self.files.insert(id, file.clone());
        Ok(file)
    }

    /// Forgets everything, if no copy came for a while.
    pub(super) fn rest(&mut self) {
        if !self.files.is_empty() && self.used.elapsed() >= REST {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.processes.clear();
        self.files = FxHashMap::default();
        self.bytes = 0;
    }
}

impl OfProcess {
    /// The mapping that holds a frame: of the code that runs, or of the call before a return address.
    fn find(&self, frame: usize, address: u64) -> Option<usize> {
        let pc = address.wrapping_sub(u64::from(frame > 0));
        let after = self.mappings.partition_point(|m| m.code.start <= pc);
        let i = after.checked_sub(1)?;
        self.mappings.get(i).filter(|m| pc < m.code.end).map(|_| i)
    }

    fn first_untold(&self, frames: &CopyFrames) -> Option<usize> {
        let mut found = frames.addresses.iter().enumerate().filter_map(|(n, a)| self.find(n, *a));
        found.find(|i| self.mappings.get(*i).is_some_and(|m| !m.is_told))
    }

    fn is_astray(&self, frames: &CopyFrames) -> bool {
        frames.addresses.iter().enumerate().any(|(n, a)| self.find(n, *a).is_none())
    }

    fn tell(&mut self, i: usize, file: Option<&CopyFile>) {
        let Some(mapped) = self.mappings.get_mut(i) else { return };
        mapped.is_told = true;
        if let Some(file) = file {
            self.unwinder.add_module(&mapped.code, file);
        }
    }
}

#[cfg(test)]
mod tests;
