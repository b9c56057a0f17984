//! Files: what is counted by file, and the records that tell paths.

/// Entries of each generation of the map of files.
pub const FILES: u32 = 16_384;
/// Bytes of the ring of records.
pub const RING_BYTES: u32 = 4 << 20;
/// Bytes of a record after its head, at most.
pub const MOST_BYTES: u32 = 8192 + 256;
/// Components of a path that are walked, at most.
pub const MAX_COMPONENTS: u32 = 128;

/// Whose use of which file. A file that is renamed, or made anew under another name in the same inode, is another one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The process.
    pub process: u64,
    /// The agent's slot.
    pub agent: u32,
    /// The file system's device.
    pub device: u32,
    /// The inode.
    pub inode: u64,
    /// The kernel's hash of the name and its directory, and the name's length.
    pub name: u64,
}

/// What was done with it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileValue {
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
    /// When it was first used (ns, monotonic).
    pub first: u64,
    /// When it was last used.
    pub last: u64,
    /// Its size when it was last opened, synced or closed, bytes.
    pub size: u64,
}

impl FileValue {
    /// Nothing done.
    pub const ZERO: Self = Self {
        read_opens: 0,
        write_opens: 0,
        creates: 0,
        changes: 0,
        read_bytes: 0,
        written_bytes: 0,
        syncs: 0,
        sync_ns: 0,
        errors: 0,
        closes: 0,
        first: 0,
        last: 0,
        size: 0,
    };
}

/// What a record tells.
pub mod record {
    /// The path of a file that is counted.
    pub const PATH: u32 = 0;
    /// A name was taken away.
    pub const DELETE: u32 = 1;
    /// The name that a file had until it was renamed; its new one follows.
    pub const RENAME_FROM: u32 = 2;
    /// The name that a file got.
    pub const RENAME_TO: u32 = 3;
    /// A name came to be by a link.
    pub const LINK: u32 = 4;
    /// A file was truncated by its name.
    pub const TRUNCATE: u32 = 5;
}

/// Bits of [`FileRecord::flags`].
pub mod flag {
    /// The components lead to the root of the process's mount namespace.
    pub const ROOTED: u32 = 1;
    /// The file has no place: its components are its name alone.
    pub const DETACHED: u32 = 2;
    /// The file's name was taken away before it was seen.
    pub const DELETED: u32 = 4;
}

/// The head of a record of the ring. The bytes follow: the path as the program wrote it, if the record has one, with its
/// NUL; then the components that lead to the file, or to what that path is relative to, each with its NUL, innermost first.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRecord {
    /// When (ns, monotonic).
    pub at: u64,
    /// Whose, and of [`record::PATH`] which file.
    pub key: FileKey,
    /// What: see [`record`].
    pub kind: u32,
    /// See [`flag`].
    pub flags: u32,
    /// The epoch in which it counts.
    pub epoch: u32,
    /// Bytes of the path as the program wrote it, with its NUL; 0 if there is none.
    pub written: u32,
    /// All bytes that follow.
    pub length: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<FileKey>() == 32);
const _: () = assert!(size_of::<FileValue>() == 104);
const _: () = assert!(size_of::<FileRecord>() == 64);
crate::pod!(FileKey, FileValue, FileRecord);
