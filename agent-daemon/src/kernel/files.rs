//! Files that were counted, and the ring of records that tell their paths and what was done to names.
//!
//! Paths are bytes here: whoever keeps them makes them fit to be kept.

use agent_common::files::{FileKey as RawKey, FileRecord as Head, FileValue, flag, record};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};

use super::{batch::read, counts::drain_whole, decode::DecodeError, error::KernelError};
use crate::model::{
    id::{ProcessId, Slot},
    probe::{Probe, ProbeSet, ProbeState, ProbeStatus},
};

/// What stands behind a path whose name was taken away, as /proc writes it.
const DELETED: &[u8] = b" (deleted)";
/// Where a path leads from whose beginning is not known.
const NOWHERE: &[u8] = b"?";

/// A file as one process used it: it holds for one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// Who.
    pub process: ProcessId,
    /// Whose agent.
    pub slot: Slot,
    /// The file system's device.
    pub device: u32,
    /// The inode.
    pub inode: u64,
    /// Its name's hash.
    pub name: u64,
}

/// What was done with a file. Times are of the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileUse {
    /// Opened for reading alone.
    pub read_opens: u64,
    /// Opened for writing.
    pub write_opens: u64,
    /// Created by open.
    pub creates: u64,
    /// Writes and truncations.
    pub changes: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
    /// Calls of fsync and fdatasync.
    pub syncs: u64,
    /// Time in these, ns.
    pub sync_ns: u64,
    /// Writes, truncations and syncs that failed.
    pub errors: u64,
    /// Descriptors that were closed.
    pub closes: u64,
    /// When it was first used, ns.
    pub first_ns: u64,
    /// When it was last used, ns.
    pub last_ns: u64,
    /// Its size at last, bytes.
    pub size: u64,
}

/// What a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The path of a file that is counted.
    Path,
    /// A name was taken away.
    Deleted,
    /// The name that a file had until it was renamed; its new one follows.
    RenamedFrom,
    /// The name that a file got.
    RenamedTo,
    /// A name came to be by a link.
    Linked,
    /// A file was truncated by its name.
    Truncated,
}

/// A record of the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Whose, and of [`Told::Path`] which file.
    pub key: FileKey,
    /// What.
    pub told: Told,
    /// When (ns, monotonic).
    pub at_ns: u64,
    /// The generation in which it counts.
    pub epoch: u32,
    /// The path: as its process's mount namespace has it, or beginning with `?` where it is not known where it leads from.
    pub path: Vec<u8>,
}

/// The ring.
pub(super) struct FileRing(RingBuf<MapData>);

impl FileRing {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        const NAME: &str = "FILE_RECORDS";
        Ok(Self(RingBuf::try_from(ebpf.take_map(NAME).ok_or(KernelError::NoMap(NAME))?)?))
    }

    /// The next record; an error where it is none.
    pub(super) fn next(&mut self) -> Option<Result<FileRecord, DecodeError>> {
        self.0.next().map(|bytes| decode(&bytes).ok_or_else(|| DecodeError::of(&bytes)))
    }
}

/// Whether the programs can look up what file a descriptor is.
pub(super) fn paths(confidential: bool) -> ProbeStatus {
    let reason = "the kernel is locked down to confidentiality; files behind descriptors cannot be looked up";
    ProbeStatus {
        name: "file_paths",
        purpose: "which file a descriptor is, and its path",
        probes: ProbeSet::from_iter([Probe::Files]),
        state: if confidential { ProbeState::Unavailable } else { ProbeState::Ready },
        attached: false,
        reason: confidential.then(|| reason.to_owned()),
    }
}

/// Takes every file out of the map.
pub(super) fn files(ebpf: &Ebpf, map: &'static str) -> Result<Vec<(FileKey, FileUse)>, KernelError> {
    let mut files = Vec::new();
    drain_whole(ebpf, map, |key: RawKey, value: FileValue| files.push((key.into(), value.into())))?;
    Ok(files)
}

impl From<RawKey> for FileKey {
    fn from(RawKey { process, agent, device, inode, name }: RawKey) -> Self {
        Self { process: ProcessId(process), slot: Slot(agent), device, inode, name }
    }
}

impl From<FileValue> for FileUse {
    fn from(value: FileValue) -> Self {
        let FileValue { read_opens, write_opens, creates, changes, read_bytes, written_bytes, .. } = value;
        let FileValue { syncs, sync_ns, errors, closes, first, last, size, .. } = value;
        Self {
            read_opens,
            write_opens,
            creates,
            changes,
            read_bytes,
            written_bytes,
            syncs,
            sync_ns,
            errors,
            closes,
            first_ns: first,
            last_ns: last,
            size,
        }
    }
}

fn decode(bytes: &[u8]) -> Option<FileRecord> {
    let (head, rest) = bytes.split_at_checked(size_of::<Head>())?;
    let head: Head = read(head);
    let told = match head.kind {
        record::PATH => Told::Path,
        record::DELETE => Told::Deleted,
        record::RENAME_FROM => Told::RenamedFrom,
        record::RENAME_TO => Told::RenamedTo,
        record::LINK => Told::Linked,
        record::TRUNCATE => Told::Truncated,
        _ => return None,
    };
    let rest = rest.get(..head.length as usize)?;
    let (written, components) = rest.split_at_checked(head.written as usize)?;
    let written = written.split(|byte| *byte == 0).next().unwrap_or_default();
    let path = path(written, components, head.flags);
    Some(FileRecord { key: head.key.into(), told, at_ns: head.at, epoch: head.epoch, path })
}

/// The path: what was written, behind the directory that it is relative to.
fn path(written: &[u8], components: &[u8], flags: u32) -> Vec<u8> {
    let mut path = Vec::with_capacity(written.len() + components.len() + 2);
    if !written.starts_with(b"/") {
        let names = components.strip_suffix(b"\0").unwrap_or(components).split(|byte| *byte == 0);
        let names: Vec<&[u8]> = names.filter(|name| !name.is_empty()).collect();
        if flags & flag::DETACHED != 0 {
            path.extend(names.first().copied().unwrap_or_default());
            return path;
        }
        if flags & flag::ROOTED == 0 {
            path.extend(NOWHERE);
        }
        for name in names.into_iter().rev() {
            path.push(b'/');
            path.extend(name);
        }
    }
    resolve(&mut path, written);
    if flags & flag::DELETED != 0 {
        path.extend(DELETED);
    }
    path
}

/// Goes on from `path` by what was written. Links are not looked at.
fn resolve(path: &mut Vec<u8>, written: &[u8]) {
    for name in written.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => path.truncate(path.iter().rposition(|byte| *byte == b'/').unwrap_or(0)),
            name => {
                path.push(b'/');
                path.extend(name);
            }
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(written: &str, components: &str, flags: u32) -> String {
        String::from_utf8(path(written.as_bytes(), components.as_bytes(), flags)).unwrap()
    }

    #[test]
    fn components_lead_from_the_root() {
        assert_eq!(text("", "c\0b\0a\0", flag::ROOTED), "/a/b/c");
        assert_eq!(text("", "", flag::ROOTED), "/");
        assert_eq!(text("", "c\0b\0a\0", flag::ROOTED | flag::DELETED), "/a/b/c (deleted)");
        assert_eq!(text("", "memfd:x\0", flag::DETACHED), "memfd:x");
        assert_eq!(text("", "c\0b\0", 0), "?/b/c");
    }

    #[test]
    fn what_was_written_goes_on_from_its_directory() {
        assert_eq!(text("/a//b/./c", "", 0), "/a/b/c");
        assert_eq!(text("x", "b\0a\0", flag::ROOTED), "/a/b/x");
        assert_eq!(text("../x/", "b\0a\0", flag::ROOTED), "/a/x");
        assert_eq!(text("../../../x", "b\0a\0", flag::ROOTED), "/x");
        assert_eq!(text("..", "", flag::ROOTED), "/");
        assert_eq!(text("x", "", 0), "?/x");
    }

    #[test]
    fn records_are_read_or_refused() {
        let head =
            Head { kind: record::DELETE, written: 3, length: 7, flags: flag::ROOTED, ..Head::default() };
        // SAFETY: a head is integers without padding.
        let bytes = |head: Head| unsafe { std::mem::transmute::<Head, [u8; size_of::<Head>()]>(head) };
        let record = [&bytes(head)[..], b"xy\0b\0a\0"].concat();
        let read = decode(&record).unwrap();
        assert_eq!((read.told, read.path), (Told::Deleted, b"/a/b/xy".to_vec()));
        assert_eq!(decode(&record[..record.len() - 1]), None);
        for head in [Head { kind: 9, ..head }, Head { written: 8, ..head }, Head { length: 8, ..head }] {
            assert_eq!(decode(&[&bytes(head)[..], b"xy\0b\0a\0"].concat()), None, "{head:?}");
        }
    }
}
