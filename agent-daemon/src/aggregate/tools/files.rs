//! What one tool call did to files, while it is open. Bounded: [`MAX_PATHS`] paths of a call are told apart; beyond, a file
//! that is changed again counts again.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::{
    file::FileStat,
    operation::{FileEffect, MAX_TOLD, ToolFiles},
};

/// Paths of a call that are told apart.
const MAX_PATHS: usize = 64;

/// The files of a call.
#[derive(Default)]
pub(super) struct CallFiles {
    counts: ToolFiles,
    /// What was done to each, and how much.
    paths: FxHashMap<Arc<str>, (FileEffect, u64)>,
}

impl CallFiles {
    /// Adds what a process of the call did in a window.
    pub(super) fn add(&mut self, stat: &FileStat) {
        let known = self.paths.get(&stat.path).map(|(effect, _)| *effect);
        let counts = &mut self.counts;
        counts.created = counts.created.saturating_add(stat.creates);
        counts.deleted = counts.deleted.saturating_add(stat.deletes);
        counts.renamed = counts.renamed.saturating_add(stat.renames);
        if stat.changes > 0 && stat.creates == 0 && known.is_none_or(|effect| effect == FileEffect::Deleted) {
            counts.changed = counts.changed.saturating_add(1);
        }
        if let Some(effect) = last_effect(stat, known) {
            self.tell(stat, effect);
        }
    }

    fn tell(&mut self, stat: &FileStat, effect: FileEffect) {
        let weight = stat.written_bytes.saturating_add(1);
        if let Some((known, sum)) = self.paths.get_mut(&stat.path) {
            (*known, *sum) = (effect, sum.saturating_add(weight));
        } else if self.paths.len() < MAX_PATHS {
            self.paths.insert(Arc::clone(&stat.path), (effect, weight));
        }
    }

    /// Whether anything is not as it was before.
    pub(super) fn have_effect(&self) -> bool {
        let ToolFiles { created, changed, deleted, renamed, .. } = self.counts;
        [created, changed, deleted, renamed].iter().any(|n| *n > 0)
    }

    /// What the call came to: of its files those with most bytes written.
    pub(super) fn finish(self) -> ToolFiles {
        let mut paths: Vec<_> = self.paths.into_iter().collect();
        paths.sort_unstable_by(|(a, (_, more)), (b, (_, less))| less.cmp(more).then_with(|| a.cmp(b)));
        let top = paths.into_iter().take(MAX_TOLD).map(|(path, (effect, _))| (effect, path)).collect();
        ToolFiles { top, ..self.counts }
    }
}

/// What is left to tell of a file: the order within a window is not known, so that what was both created and deleted
/// counts as deleted.
fn last_effect(stat: &FileStat, known: Option<FileEffect>) -> Option<FileEffect> {
    match stat {
        _ if stat.deletes > 0 => Some(FileEffect::Deleted),
        _ if stat.creates > 0 => Some(FileEffect::Created),
        _ if stat.renames > 0 => Some(FileEffect::Renamed),
        _ if stat.changes > 0 => {
            known.filter(|known| *known != FileEffect::Deleted).or(Some(FileEffect::Changed))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::ProcessId;

    fn stat(path: &str) -> FileStat {
        FileStat::new(ProcessId(1), path.into())
    }

    #[test]
    fn a_file_is_created_once_and_not_changed_beside_that() {
        let mut files = CallFiles::default();
        files.add(&FileStat { creates: 1, changes: 2, written_bytes: 9, ..stat("/new") });
        files.add(&FileStat { changes: 2, ..stat("/new") });
        files.add(&FileStat { changes: 1, written_bytes: 1, ..stat("/old") });
        files.add(&FileStat { changes: 1, ..stat("/old") });
        files.add(&FileStat { creates: 1, deletes: 1, ..stat("/tmp") });
        files.add(&FileStat { renames: 1, ..stat("/to") });
        files.add(&FileStat { read_opens: 1, read_bytes: 100, ..stat("/read") });
        let told = files.finish();
        assert_eq!((told.created, told.changed, told.deleted, told.renamed), (2, 1, 1, 1));
        let top: Vec<_> = told.top.iter().map(|(effect, path)| (effect.name(), &**path)).collect();
        assert_eq!(top, [("created", "/new"), ("changed", "/old"), ("deleted", "/tmp"), ("renamed", "/to")]);
    }

    #[test]
    fn few_of_many_are_told_and_all_counted() {
        let mut files = CallFiles::default();
        for n in 0..1000 {
            files.add(&FileStat { creates: 1, ..stat(&format!("/{n}")) });
        }
        let told = files.finish();
        assert_eq!((told.created, told.top.len()), (1000, MAX_TOLD));
    }
}
