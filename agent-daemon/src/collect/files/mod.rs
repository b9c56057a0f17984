//! What agents do with files: what the kernel side counted by inode, under the paths that its records told; and the
//! checkpoints in it.
//!
//! Paths are made fit to keep as soon as they are read: shapes of known keys hidden as in command lines, what is not text
//! replaced, control characters escaped, [`MAX_PATH`] bytes at most. Long random strings stay: they name files by content.
//!
//! Bounds: [`MAX_NAMES`] paths of each generation; what is beyond becomes `other`, counted.

mod checkpoints;

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;

use self::checkpoints::{Checkpoints, Rename};
use super::{argv, clock::Clock, usage::Live};
use crate::{
    config::{Definition, FilePaths, Files as Config},
    kernel::{FileKey, FileRecord, FileUse, Kernel, Told},
    model::{
        file::{Checkpoint, FileStat, OTHER, UNKNOWN},
        id::{ProcessId, Slot},
        probe::{Probe, ProbeSet},
    },
    telemetry::{Loss, Losses},
};

/// How often the ring is looked into.
pub(super) const EVERY: Duration = Duration::from_millis(100);
/// Paths that are told in one generation, of each sort.
const MAX_NAMES: usize = 20_000;
/// Records that are taken off the ring at once: as many as it has room for.
const MAX_AT_ONCE: usize = 1 << 16;
/// Renames of which the new name is awaited: more than there are CPUs.
const MAX_FROM: usize = 4096;
/// Longest path that is kept, bytes.
const MAX_PATH: usize = 4096;

/// What was told of files since the windows before were closed.
pub(super) struct Files {
    paths: FilePaths,
    /// Two, as the kernel side's maps.
    generations: [Generation; 2],
    /// The old names of renames whose new ones are to follow, by whose and when: CPUs tell them side by side. And how many
    /// windows have closed since.
    from: FxHashMap<(FileKey, u64), (Arc<str>, u32)>,
    checkpoints: Checkpoints,
    unknown: Arc<str>,
    are_watched: bool,
}

/// Whose file, by path.
type Name = (Slot, ProcessId, Arc<str>);

#[derive(Default)]
struct Generation {
    paths: FxHashMap<FileKey, Arc<str>>,
    /// What was done to names.
    names: FxHashMap<Name, FileStat>,
    renames: Vec<Rename>,
}

/// A window's files and checkpoints, by agent.
pub(super) type Closed = (Vec<(Slot, FileStat)>, Vec<(Slot, Checkpoint)>);

impl Files {
    pub(super) fn new(config: &Config, definitions: &[Definition]) -> Self {
        Self {
            paths: config.paths,
            generations: Default::default(),
            from: FxHashMap::default(),
            checkpoints: Checkpoints::new(definitions, &config.checkpoints),
            unknown: UNKNOWN.into(),
            are_watched: false,
        }
    }

    /// The probe, where the operator will have none of it.
    pub(super) fn refused(&self) -> ProbeSet {
        let is_off = self.paths == FilePaths::Off;
        is_off.then_some(Probe::Files).into_iter().collect()
    }

    /// Whether an agent is watched by the probe, of those that are watched by these.
    pub(super) fn set_watched(&mut self, probes: ProbeSet) {
        self.are_watched = probes.contains(Probe::Files);
    }

    /// Whether an agent is watched by the probe.
    pub(super) fn are_watched(&self) -> bool {
        self.are_watched
    }

    /// Takes what was told off the ring; no more at once than it holds, since who writes into it may keep up.
    pub(super) fn drain(&mut self, kernel: &mut Kernel, losses: &Losses) {
        for _ in 0..MAX_AT_ONCE {
            let Some(record) = kernel.next_file() else { return };
            match record {
                Ok(record) => self.told(&record, losses),
                Err(error) => {
                    losses.count(Loss::UndecodableRecord);
                    tracing::debug!(%error, "a record of the ring of files");
                }
            }
        }
    }

    /// Takes a record in.
    fn told(&mut self, record: &FileRecord, losses: &Losses) {
        let path: Arc<str> = argv::fit_path(&record.path, MAX_PATH).into();
        let generation =
            if record.epoch & 1 == 0 { &mut self.generations[0] } else { &mut self.generations[1] };
        let key = record.key;
        match record.told {
            Told::Path if generation.paths.len() < MAX_NAMES => {
                generation.paths.insert(key, path);
            }
            Told::Path => losses.count(Loss::RowsMerged),
            Told::Deleted => generation.count(key, path, |row| row.deletes += 1, losses),
            Told::Linked => generation.count(key, path, |row| row.creates += 1, losses),
            Told::Truncated => generation.count(key, path, |row| row.changes += 1, losses),
            Told::RenamedFrom if self.from.len() < MAX_FROM => {
                self.from.insert((key, record.at_ns), (path, 0));
            }
            Told::RenamedFrom => losses.count(Loss::RowsMerged),
            Told::RenamedTo => {
                generation.count(key, Arc::clone(&path), |row| row.renames += 1, losses);
                // Without it the old name found no room, and is counted as lost.
                let Some((from, _)) = self.from.remove(&(key, record.at_ns)) else { return };
                if generation.renames.len() < MAX_NAMES {
                    let (process, at_ns) = (key.process, record.at_ns);
                    generation.renames.push(Rename { process, from, to: path, at_ns });
                } else {
                    losses.count(Loss::RowsMerged);
                }
            }
        }
    }

    /// Closes a generation whose records have all been told.
    pub(super) fn close(
        &mut self,
        epoch: u32,
        used: Vec<(FileKey, FileUse)>,
        (live, clock): (&Live, &Clock),
        losses: &Losses,
    ) -> Closed {
        let [even, odd] = &mut self.generations;
        let Generation { paths, mut names, renames } =
            std::mem::take(if epoch & 1 == 0 { even } else { odd });
        for (key, used) in used {
            let path = paths.get(&key).unwrap_or(&self.unknown);
            self.checkpoints.used(&key, path, &used, losses);
            let stat = stat(&key, &used);
            // A close alone is nothing to tell.
            if stat.amounts() == [0; 10] {
                continue;
            }
            let row = names.entry((key.slot, key.process, Arc::clone(path)));
            row.or_insert_with(|| FileStat::new(key.process, Arc::clone(path))).merge(&stat);
        }
        self.checkpoints.renamed(&renames, losses);
        // The new name of what is older found no room in the ring, and is counted there.
        self.from.retain(|_, (_, closed)| {
            *closed += 1;
            *closed < 2
        });
        let is_live = |process: ProcessId| live.contains(process);
        let checkpoints = self.checkpoints.take(is_live, &clock.events(), losses);
        let rows = names.into_iter().map(|((slot, ..), row)| (slot, row));
        match self.paths {
            FilePaths::Full => (rows.collect(), checkpoints),
            FilePaths::Directories | FilePaths::Off => {
                let checkpoints = checkpoints.into_iter().map(|(slot, checkpoint)| {
                    let path = directory(&checkpoint.path);
                    (slot, Checkpoint { path, ..checkpoint })
                });
                (by_directory(rows), checkpoints.collect())
            }
        }
    }

    /// An agent is let go.
    pub(super) fn forget(&mut self, slot: Slot) {
        self.checkpoints.forget(slot);
    }
}

impl Generation {
    fn count(&mut self, key: FileKey, path: Arc<str>, add: fn(&mut FileStat), losses: &Losses) {
        let is_full = self.names.len() >= MAX_NAMES;
        let name = (key.slot, key.process, path);
        let name = if is_full && !self.names.contains_key(&name) {
            losses.count(Loss::RowsMerged);
            (key.slot, key.process, OTHER.into())
        } else {
            name
        };
        let path = Arc::clone(&name.2);
        add(self.names.entry(name).or_insert_with(|| FileStat::new(key.process, path)));
    }
}

fn stat(key: &FileKey, used: &FileUse) -> FileStat {
    FileStat {
        read_opens: used.read_opens,
        write_opens: used.write_opens,
        creates: used.creates,
        changes: used.changes,
        read_bytes: used.read_bytes,
        written_bytes: used.written_bytes,
        syncs: used.syncs,
        sync_ns: used.sync_ns,
        ..FileStat::new(key.process, Arc::default())
    }
}

/// The rows with the directory in place of each path.
fn by_directory(rows: impl Iterator<Item = (Slot, FileStat)>) -> Vec<(Slot, FileStat)> {
    let mut sums: FxHashMap<Name, FileStat> = FxHashMap::default();
    for (slot, row) in rows {
        let path = directory(&row.path);
        let sum = sums.entry((slot, row.process, Arc::clone(&path)));
        sum.or_insert_with(|| FileStat::new(row.process, path)).merge(&row);
    }
    sums.into_iter().map(|((slot, ..), row)| (slot, row)).collect()
}

/// The directory, with a slash behind it; what has no place stays.
fn directory(path: &Arc<str>) -> Arc<str> {
    match path.rfind('/').and_then(|end| path.get(..=end)) {
        Some(directory) => directory.into(),
        None => Arc::clone(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESS: ProcessId = ProcessId(1 << 22 | 7);

    fn key(inode: u64) -> FileKey {
        FileKey { process: PROCESS, slot: Slot(1), device: 1, inode, name: 1 }
    }

    fn record(told: Told, inode: u64, epoch: u32, path: &str) -> FileRecord {
        FileRecord { key: key(inode), told, at_ns: 5, epoch, path: path.as_bytes().to_vec() }
    }

    fn files(paths: FilePaths) -> Files {
        Files::new(&Config { paths, ..Config::default() }, &[])
    }

    fn close(files: &mut Files, epoch: u32, used: Vec<(FileKey, FileUse)>) -> Vec<(String, [u64; 10])> {
        let losses = Losses::default();
        let (rows, _) = files.close(epoch, used, (&Live::new(), &Clock::new()), &losses);
        let mut rows: Vec<_> =
            rows.into_iter().map(|(_, row)| (row.path.to_string(), row.amounts())).collect();
        rows.sort();
        rows
    }

    #[test]
    fn paths_meet_counts_of_their_own_generation() {
        let (mut files, losses) = (files(FilePaths::Full), Losses::default());
        files.told(&record(Told::Path, 1, 0, "/a"), &losses);
        files.told(&record(Told::Path, 1, 1, "/late"), &losses);
        files.told(&record(Told::Deleted, 0, 0, "/a"), &losses);
        let used = FileUse { creates: 1, read_bytes: 7, ..FileUse::default() };
        let rows = close(&mut files, 0, vec![(key(1), used), (key(2), used)]);
        let amounts = [0, 0, 1, 0, 0, 0, 7, 0, 0, 0];
        let mut with_delete = amounts;
        with_delete[4] = 1;
        assert_eq!(rows, [("/a".to_owned(), with_delete), (UNKNOWN.to_owned(), amounts)]);
        assert_eq!(close(&mut files, 1, vec![(key(1), used)]), [("/late".to_owned(), amounts)]);
    }

    #[test]
    fn renames_that_are_told_side_by_side_find_their_names() {
        let (mut files, losses) = (files(FilePaths::Full), Losses::default());
        let of = |told, inode, at_ns, path| FileRecord { at_ns, ..record(told, inode, 0, path) };
        for (told, inode, at_ns, path) in [
            (Told::RenamedFrom, 1, 5, "/a"),
            (Told::RenamedFrom, 2, 6, "/b"),
            (Told::RenamedTo, 2, 6, "/to-b"),
            (Told::RenamedTo, 1, 5, "/to-a"),
            (Told::RenamedFrom, 3, 7, "/without a new name"),
        ] {
            files.told(&of(told, inode, at_ns, path), &losses);
        }
        let renames: Vec<_> = files.generations[0].renames.iter().map(|r| (&*r.from, &*r.to)).collect();
        assert_eq!(renames, [("/b", "/to-b"), ("/a", "/to-a")]);
        close(&mut files, 0, Vec::new());
        assert_eq!(files.from.len(), 1, "it may be on its way");
        close(&mut files, 1, Vec::new());
        assert!(files.from.is_empty());
    }

    #[test]
    fn directories_alone_are_kept_where_that_is_asked_for() {
        let (mut files, losses) = (files(FilePaths::Directories), Losses::default());
        for (inode, path) in [(1, "/d/secret-1"), (2, "/d/secret-2"), (3, "/e"), (4, "memfd:m")] {
            files.told(&record(Told::Path, inode, 0, path), &losses);
        }
        let used = FileUse { read_opens: 1, ..FileUse::default() };
        let rows = close(&mut files, 0, (1..5).map(|inode| (key(inode), used)).collect());
        let rows: Vec<_> = rows.iter().map(|(path, amounts)| (path.as_str(), amounts[0])).collect();
        assert_eq!(rows, [("/", 1), ("/d/", 2), ("memfd:m", 1)]);
    }

    #[test]
    fn what_finds_no_room_becomes_one_row_and_is_counted() {
        let (mut files, losses) = (files(FilePaths::Full), Losses::default());
        for n in 0..MAX_NAMES + 5 {
            files.told(&record(Told::Deleted, 0, 0, &format!("/{n}")), &losses);
        }
        let rows = close(&mut files, 0, Vec::new());
        assert_eq!(rows.len(), MAX_NAMES + 1);
        assert_eq!(rows.last(), Some(&(OTHER.to_owned(), [0, 0, 0, 0, 5, 0, 0, 0, 0, 0])));
        assert_eq!(losses.all().get(Loss::RowsMerged.name()), Some(&5));
    }
}
