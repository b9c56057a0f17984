//! Which of the files that were used are checkpoints, from open to close or rename.
//!
//! A file is a checkpoint if its path matches a pattern, at last: what is written under another name and renamed then counts
//! from its beginning. One that stays open, as a database does, is told once in each window in which it was synced. A load is
//! every reading of such a file; of one that is mapped, its size stands for what was read.
//!
//! Bounds: [`MAX_OPEN`] files are followed, [`MAX_TAKEN`] checkpoints of a window are told; what is beyond is counted.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::{
    config::{Definition, Found, Glob},
    kernel::{FileKey, FileUse},
    model::{
        file::{Checkpoint, UNKNOWN, Way},
        id::{ProcessId, Slot},
        operation::Defined,
        time::Timestamp,
    },
    telemetry::{Loss, Losses},
};

/// Files that are followed at once.
const MAX_OPEN: usize = 2048;
/// Checkpoints that are told of one window.
const MAX_TAKEN: usize = 1000;
/// Windows without use after which a file is followed no more.
const PATIENCE: u32 = 12;

/// A rename.
pub(super) struct Rename {
    pub(super) process: ProcessId,
    pub(super) from: Arc<str>,
    pub(super) to: Arc<str>,
    pub(super) at_ns: u64,
}

/// The files that are followed.
pub(super) struct Checkpoints {
    patterns: Vec<Arc<Pattern>>,
    open: FxHashMap<File, Open>,
}

/// Which files are followed.
struct Pattern {
    glob: Glob,
    name: Arc<str>,
    /// What they are instead of checkpoints.
    defined: Option<Arc<Defined>>,
}

/// A file, whatever it is called.
type File = (ProcessId, u32, u64);

struct Open {
    slot: Slot,
    path: Arc<str>,
    pattern: Option<Arc<Pattern>>,
    used: FileUse,
    renamed_ns: Option<u64>,
    /// Syncs before this window.
    synced: u64,
    /// Windows since it was used.
    idle: u32,
}

impl Checkpoints {
    /// What the operator defined comes before what is a checkpoint by its name.
    pub(super) fn new(definitions: &[Definition], checkpoints: &[Glob]) -> Self {
        let pattern = |glob: &Glob, defined: Option<&Arc<Defined>>| {
            Arc::new(Pattern { glob: glob.clone(), name: glob.as_str().into(), defined: defined.cloned() })
        };
        let defined = definitions.iter().flat_map(|definition| match &definition.found {
            Found::Paths(globs) => globs.iter().map(|glob| (glob, Some(&definition.defined))).collect(),
            Found::Command(_) => Vec::new(),
        });
        let all = defined.chain(checkpoints.iter().map(|glob| (glob, None)));
        Self {
            patterns: all.map(|(glob, defined)| pattern(glob, defined)).collect(),
            open: FxHashMap::default(),
        }
    }

    fn pattern(&self, path: &str) -> Option<Arc<Pattern>> {
        self.patterns.iter().find(|pattern| pattern.glob.matches(path)).cloned()
    }

    /// A file was used in this window.
    pub(super) fn used(&mut self, key: &FileKey, path: &Arc<str>, used: &FileUse, losses: &Losses) {
        if self.patterns.is_empty() {
            return;
        }
        let file = (key.process, key.device, key.inode);
        let pattern = self.pattern(path);
        if let Some(open) = self.open.get_mut(&file) {
            open.pattern = pattern.or(open.pattern.take());
            // In a generation to which it was not told, it is what it was.
            if **path != *UNKNOWN {
                open.path = Arc::clone(path);
            }
            return open.add(used);
        }
        // What is new may get such a name yet.
        if pattern.is_none() && used.creates == 0 {
            return;
        }
        if self.open.len() >= MAX_OPEN && pattern.is_some() {
            let before = self.open.len();
            self.open.retain(|_, open| open.pattern.is_some());
            losses.add(Loss::CheckpointUnfollowed, (before - self.open.len()) as u64);
        }
        if self.open.len() >= MAX_OPEN {
            let is_one = pattern.is_some();
            losses.count(if is_one { Loss::CheckpointDropped } else { Loss::CheckpointUnfollowed });
            return;
        }
        let path = Arc::clone(path);
        let open = Open { slot: key.slot, path, pattern, used: *used, renamed_ns: None, synced: 0, idle: 0 };
        self.open.insert(file, open);
    }

    /// Files got other names, in this order. Where the directory of one was written otherwise then, its own name has to do, if
    /// no other file of the process has it.
    pub(super) fn renamed(&mut self, renames: &[Rename], losses: &Losses) {
        if renames.is_empty() || self.open.is_empty() {
            return;
        }
        let mut names = Names::of(&self.open);
        for rename in renames {
            let Some(file) = names.find(rename, losses) else { continue };
            let pattern = self.pattern(&rename.to);
            let Some(open) = self.open.get_mut(&file) else { continue };
            names.rename(file, &open.path, &rename.to);
            open.path = Arc::clone(&rename.to);
            open.pattern = pattern;
            open.renamed_ns = Some(rename.at_ns);
        }
    }

    /// Takes the checkpoints that are over, when a window closes.
    pub(super) fn take(
        &mut self,
        is_live: impl Fn(ProcessId) -> bool,
        at: &impl Fn(u64) -> Timestamp,
        losses: &Losses,
    ) -> Vec<(Slot, Checkpoint)> {
        let mut taken = Vec::new();
        self.open.retain(|(process, ..), open| {
            let ends = open.is_over() || !is_live(*process) || open.idle >= PATIENCE;
            let is_synced = open.used.syncs > open.synced && open.idle == 0;
            if (ends || is_synced)
                && let Some(checkpoint) = open.checkpoint(*process, at)
            {
                taken.push((open.slot, checkpoint));
                // Of what stays open, the next one begins here.
                open.used = FileUse { size: open.used.size, closes: 0, ..FileUse::default() };
                open.synced = 0;
                open.renamed_ns = None;
            }
            open.synced = open.used.syncs;
            open.idle += 1;
            // What has been closed under a name that does not match may be renamed in the next window; that may have
            // happened by now, and its process be gone.
            !ends || (open.pattern.is_none() && open.idle < 2)
        });
        taken.sort_by(|(_, a), (_, b)| (a.start, &a.path).cmp(&(b.start, &b.path)));
        losses.add(Loss::CheckpointDropped, taken.len().saturating_sub(MAX_TAKEN) as u64);
        taken.truncate(MAX_TAKEN);
        taken
    }

    /// An agent is let go.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.open.retain(|_, open| open.slot != slot);
    }
}

/// The files that are followed, by their names.
struct Names {
    paths: FxHashMap<(ProcessId, Arc<str>), File>,
    /// By the last part alone: the one that has it, or `None` of several.
    last: FxHashMap<(ProcessId, Arc<str>), Option<File>>,
}

impl Names {
    fn of(open: &FxHashMap<File, Open>) -> Self {
        let mut names = Self { paths: FxHashMap::default(), last: FxHashMap::default() };
        open.iter().for_each(|(file, open)| names.add(*file, &open.path));
        names
    }

    fn add(&mut self, file: File, path: &Arc<str>) {
        self.paths.insert((file.0, Arc::clone(path)), file);
        let alike = self.last.entry((file.0, last(path)));
        alike.and_modify(|known| *known = known.filter(|known| *known == file)).or_insert(Some(file));
    }

    fn rename(&mut self, file: File, from: &Arc<str>, to: &Arc<str>) {
        self.paths.remove(&(file.0, Arc::clone(from)));
        self.add(file, to);
    }

    /// The file that had this name.
    fn find(&self, rename: &Rename, losses: &Losses) -> Option<File> {
        let key = (rename.process, Arc::clone(&rename.from));
        if let Some(file) = self.paths.get(&key) {
            return Some(*file);
        }
        let alike = self.last.get(&(rename.process, last(&rename.from)))?;
        if alike.is_none() {
            losses.count(Loss::CheckpointUnfollowed);
        }
        *alike
    }
}

/// The last part of a path.
fn last(path: &str) -> Arc<str> {
    path.rsplit('/').next().unwrap_or_default().into()
}

impl Open {
    fn add(&mut self, used: &FileUse) {
        let sum = &mut self.used;
        let first_ns = if sum.first_ns == 0 { used.first_ns } else { sum.first_ns.min(used.first_ns) };
        *sum = FileUse {
            read_opens: sum.read_opens.saturating_add(used.read_opens),
            write_opens: sum.write_opens.saturating_add(used.write_opens),
            creates: sum.creates.saturating_add(used.creates),
            changes: sum.changes.saturating_add(used.changes),
            read_bytes: sum.read_bytes.saturating_add(used.read_bytes),
            written_bytes: sum.written_bytes.saturating_add(used.written_bytes),
            syncs: sum.syncs.saturating_add(used.syncs),
            sync_ns: sum.sync_ns.saturating_add(used.sync_ns),
            errors: sum.errors.saturating_add(used.errors),
            closes: sum.closes.saturating_add(used.closes),
            first_ns,
            last_ns: sum.last_ns.max(used.last_ns),
            size: if used.size > 0 { used.size } else { sum.size },
        };
        self.idle = 0;
    }

    fn is_over(&self) -> bool {
        let opens = self.used.read_opens.saturating_add(self.used.write_opens);
        self.used.closes > 0 && self.used.closes >= opens
    }

    /// What it was, if it was used as a checkpoint.
    fn checkpoint(&self, process: ProcessId, at: &impl Fn(u64) -> Timestamp) -> Option<Checkpoint> {
        let (used, pattern) = (&self.used, self.pattern.as_ref()?);
        let is_save = [used.creates, used.changes, used.written_bytes, used.syncs].iter().any(|n| *n > 0);
        let (way, moved) = match is_save {
            true => (Way::Save, used.written_bytes),
            false if used.read_opens > 0 || used.read_bytes > 0 => (Way::Load, used.read_bytes),
            false => return None,
        };
        let by_size = moved < used.size && (moved == 0 || way == Way::Load);
        let end = self.renamed_ns.unwrap_or(used.last_ns);
        Some(Checkpoint {
            process,
            way,
            pattern: Arc::clone(&pattern.name),
            defined: pattern.defined.clone(),
            path: Arc::clone(&self.path),
            start: at(used.first_ns),
            duration_ns: end.saturating_sub(used.first_ns),
            bytes: if by_size { used.size } else { moved },
            by_size,
            sync_ns: used.sync_ns,
            error: (used.errors > 0).then_some("write_failed"),
        })
    }
}

#[cfg(test)]
mod tests;
