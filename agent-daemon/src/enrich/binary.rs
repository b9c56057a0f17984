//! The files that are mapped into processes, held open from the moment a process is seen, so that they can
//! still be read when the process has exited and the file is deleted. An open file keeps a file system from
//! being unmounted and a deleted file's blocks from being freed: a file is held only while a process that is
//! remembered maps it, and never more than [`Files::new`] allows.

use std::{
    fs::{File, OpenOptions},
    io,
    num::NonZeroUsize,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;

use super::{elf::Elf, mappings::CodeIds};
use crate::{
    model::{observation::Mapping, stack::Binary},
    telemetry::{Loss, Losses},
    unwind::{CodeFile, table::ReadAt},
};

/// Files remembered by content, open or not.
const KNOWN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// What a file's bytes are, as far as its metadata can tell. The time of modification, not of change: deleting a
/// file changes it, too.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Content {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    path: String,
}

impl Content {
    fn of(file: &File, path: &str) -> io::Result<Self> {
        let m = file.metadata()?;
        Ok(Self {
            device: m.dev(),
            inode: m.ino(),
            size: m.size(),
            modified: (m.mtime(), m.mtime_nsec()),
            path: path.to_owned(),
        })
    }
}

/// A place in the kernel's table of mappings.
#[derive(PartialEq, Eq, Hash)]
struct Place {
    device: u64,
    inode: u64,
    path: String,
}

/// A file that is or was mapped into a process.
pub(super) struct MappedFile {
    /// Identifies the file's content for as long as the daemon runs.
    pub(super) id: u64,
    /// What frames say of it.
    pub(super) binary: Arc<Binary>,
    content: Option<Content>,
    file: Mutex<Option<File>>,
}

impl MappedFile {
    /// The file; `None` where it is not open any more, or never was. The handle is the caller's own, so that
    /// a long read keeps nobody from opening or closing files.
    pub(super) fn handle(&self) -> Option<File> {
        self.lock().as_ref()?.try_clone().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether two mappings of a process show the same code.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let unopened = self.content.is_none() && other.content.is_none();
        self.id == other.id || (unopened && self.binary == other.binary)
    }

    /// Whether the file is open and has not been written to since it was opened.
    fn is_current(&self) -> bool {
        let content = self.lock().as_ref().and_then(|f| Content::of(f, &self.binary.path).ok());
        content.is_some() && content == self.content
    }
}

impl CodeFile for MappedFile {
    fn id(&self) -> u64 {
        self.id
    }

    fn path(&self) -> &str {
        &self.binary.path
    }

    fn open(&self) -> Option<Box<dyn ReadAt>> {
        Some(Box::new(self.handle()?))
    }

    fn file(&self) -> Option<File> {
        self.handle()
    }
}

/// Opens and holds files. Used by one thread.
pub(super) struct Files {
    open: LruCache<Place, Arc<MappedFile>>,
    known: LruCache<Content, Arc<MappedFile>>,
    ids: Arc<CodeIds>,
}

impl Files {
    /// Holds at most `limit` files open.
    pub(super) fn new(limit: NonZeroUsize, ids: Arc<CodeIds>) -> Self {
        Self { open: LruCache::new(limit), known: LruCache::new(KNOWN), ids }
    }

    /// The file behind a mapping of a process, opened if it is not yet. A file that cannot be opened is
    /// counted: it has a path, but gives no names.
    pub(super) fn get(&mut self, pid: u32, mapping: &Mapping, losses: &Losses) -> Arc<MappedFile> {
        let place = Place { device: mapping.device, inode: mapping.inode, path: mapping.path.clone() };
        if let Some(file) = self.open.get(&place).filter(|f| f.is_current()) {
            return Arc::clone(file);
        }
        let Ok((content, file)) =
            open(pid, mapping).and_then(|file| Ok((Content::of(&file, &mapping.path)?, file)))
        else {
            losses.count(Loss::BinaryUnopened);
            return Arc::new(self.file(&mapping.path, None, None));
        };
        let held = self.hold(content, file);
        if let Some((_, evicted)) = self.open.push(place, Arc::clone(&held))
            && !Arc::ptr_eq(&evicted, &held)
        {
            *evicted.lock() = None;
        }
        held
    }

    /// Keeps an open file under the identity its content has, or had when it was open before.
    fn hold(&mut self, content: Content, file: File) -> Arc<MappedFile> {
        let build_id = Elf::read(&file).ok().and_then(|elf| elf.build_id());
        // Package managers set times: a new version can have the inode, the size and the time of an old one.
        if let Some(known) = self.known.get(&content).filter(|k| k.binary.build_id == build_id) {
            *known.lock() = Some(file);
            return Arc::clone(known);
        }
        let mapped = self.file(&content.path, build_id, Some(content.clone()));
        *mapped.lock() = Some(file);
        let mapped = Arc::new(mapped);
        self.known.put(content, Arc::clone(&mapped));
        mapped
    }

    fn file(&self, path: &str, build_id: Option<String>, content: Option<Content>) -> MappedFile {
        let binary = Arc::new(Binary { path: path.to_owned(), build_id });
        MappedFile { id: self.ids.next(), binary, content, file: Mutex::new(None) }
    }

    /// Closes the files that no process maps any more.
    pub(super) fn sweep(&mut self) {
        let unused: Vec<Place> = self
            .open
            .iter()
            .filter(|(_, file)| self.is_unused(file))
            .map(|(place, _)| Place { path: place.path.clone(), ..*place })
            .collect();
        for place in unused {
            if let Some(file) = self.open.pop(&place) {
                *file.lock() = None;
            }
        }
    }

    /// Whether nobody but us refers to the file: in `open`, and in `known` while it is remembered there.
    fn is_unused(&self, file: &Arc<MappedFile>) -> bool {
        let known = file.content.as_ref().and_then(|c| self.known.peek(c));
        Arc::strong_count(file) <= 1 + usize::from(known.is_some_and(|k| Arc::ptr_eq(k, file)))
    }
}

/// Opens the file behind a mapping: by the mapping itself, which works for deleted files but needs
/// CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN; by its path in the process's own root; as the process's executable.
pub(super) fn open(pid: u32, mapping: &Mapping) -> io::Result<File> {
    let Mapping { start, end, path, .. } = mapping;
    open_checked(&format!("/proc/{pid}/map_files/{start:x}-{end:x}"), mapping)
        .or_else(|_| open_checked(&format!("/proc/{pid}/root{path}"), mapping))
        .or_else(|_| open_checked(&format!("/proc/{pid}/exe"), mapping))
}

/// Opens a regular file if it is the mapped one. Looks before it opens: opening a device or a FIFO does things.
fn open_checked(path: &str, mapping: &Mapping) -> io::Result<File> {
    let handle = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    let found = handle.metadata()?;
    let same_device = found.dev() == mapping.device || hides_devices(&handle);
    if !found.is_file() || found.ino() != mapping.inode || !same_device {
        return Err(io::ErrorKind::NotFound.into());
    }
    File::open(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Whether the file lies on a file system whose files say another device than the kernel's table of mappings:
/// overlayfs (containers) and btrfs.
fn hides_devices(file: &File) -> bool {
    // SAFETY: all bytes zero is a valid `statfs`.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open, and `stat` is ours and of the right type.
    let failed = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) } != 0;
    !failed && (stat.f_type == libc::OVERLAYFS_SUPER_MAGIC || stat.f_type == libc::BTRFS_SUPER_MAGIC)
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A mapping of a file that this process could have: at no real place, so that its path is what is opened.
    pub(in crate::enrich) fn mapping(path: &Path) -> Mapping {
        let m = fs::metadata(path).unwrap();
        let path = path.to_str().unwrap().to_owned();
        Mapping { start: 0x1000, end: 0x2000, offset: 0, device: m.dev(), inode: m.ino(), path }
    }

    fn files(limit: usize) -> Files {
        Files::new(NonZeroUsize::new(limit).unwrap(), Arc::new(CodeIds::new()))
    }

    fn get(files: &mut Files, mapping: &Mapping) -> Arc<MappedFile> {
        files.get(std::process::id(), mapping, &Losses::default())
    }

    #[test]
    fn a_file_is_held_while_it_is_mapped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "a").unwrap();
        let (mut files, mapping) = (files(8), mapping(&path));
        let file = get(&mut files, &mapping);
        fs::remove_file(&path).unwrap();
        files.sweep();
        assert!(Arc::ptr_eq(&file, &get(&mut files, &mapping)), "it is open though it is deleted");
        let id = file.id;
        drop(file);
        files.sweep();
        assert_eq!(files.open.len(), 0);
        assert!(get(&mut files, &mapping).handle().is_none(), "nobody can open it now");
        assert_ne!(get(&mut files, &mapping).id, id);
    }

    #[test]
    fn a_content_keeps_its_number_and_another_has_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "a").unwrap();
        let (mut files, mapping) = (files(8), mapping(&path));
        let first = get(&mut files, &mapping).id;
        files.sweep();
        assert_eq!(get(&mut files, &mapping).id, first, "closed and opened again");
        fs::write(&path, "another").unwrap();
        assert_ne!(get(&mut files, &mapping).id, first, "the same inode");
    }

    #[test]
    fn no_more_files_are_open_than_may_be() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = files(3);
        let all: Vec<_> = (0..5)
            .map(|i| {
                let path = directory.path().join(i.to_string());
                fs::write(&path, "a").unwrap();
                get(&mut files, &mapping(&path))
            })
            .collect();
        let open: Vec<_> = all.iter().map(|f| f.handle().is_some()).collect();
        assert_eq!(open, [false, false, true, true, true]);
        let again = get(&mut files, &mapping(&directory.path().join("0")));
        assert!(Arc::ptr_eq(&again, &all[0]) && again.handle().is_some());
    }

    #[test]
    fn only_the_mapped_file_is_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "a").unwrap();
        let right = mapping(&path);
        let losses = Losses::default();
        let opens = |mapping: Mapping| files(8).get(std::process::id(), &mapping, &losses).handle().is_some();
        assert!(opens(right.clone()));
        assert!(!opens(Mapping { inode: right.inode + 1, ..right.clone() }));
        assert!(!opens(Mapping { device: right.device + 1, ..right.clone() }));
        assert!(!opens(mapping(directory.path())), "a directory");
        assert!(!opens(mapping(Path::new("/dev/null"))), "a device");
        assert_eq!(losses.all()["binary_unopened"], 4);
    }
}
