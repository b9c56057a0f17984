//! Block I/O, by the process that caused it and the device.

use crate::syscalls::BUCKETS;

/// What is done.
pub mod operation {
    /// Read.
    pub const READ: u32 = 0;
    /// Write.
    pub const WRITE: u32 = 1;
    /// Make what was written last; it moves no bytes by itself.
    pub const FLUSH: u32 = 2;
    /// Give blocks back.
    pub const DISCARD: u32 = 3;
}

/// Whose I/O, of what kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DiskKey {
    /// The process.
    pub process: u64,
    /// The agent's slot.
    pub agent: u32,
    /// The kernel's `dev_t`: 12 bits of major number above 20 of minor.
    pub device: u32,
    /// See [`operation`].
    pub operation: u32,
    /// 1 where the kernel wrote in the background what the process had left in memory.
    pub background: u32,
}

/// The I/O, of one CPU. Added to atomically: it completes in interrupts.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DiskValue {
    /// Requests that completed, as they were submitted: before any are merged.
    pub count: u64,
    /// Those that failed.
    pub errors: u64,
    /// Bytes.
    pub bytes: u64,
    /// Time before they were handed to the device, ns.
    pub queue: u64,
    /// Time from then to their completion, ns.
    pub device: u64,
    /// The longest from beginning to end, ns.
    pub max: u64,
    /// Times from beginning to end by log2 of ns.
    pub histogram: [u32; BUCKETS],
}

impl DiskValue {
    /// Nothing counted.
    pub const ZERO: Self =
        Self { count: 0, errors: 0, bytes: 0, queue: 0, device: 0, max: 0, histogram: [0; BUCKETS] };
}

/// A `struct bio` on its way, under its address.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Bio {
    /// Whose it is.
    pub key: DiskKey,
    /// Which of the slot's agents.
    pub generation: u64,
    /// When it was submitted (ns, monotonic).
    pub queued: u64,
    /// When it was handed to the device; 0 before.
    pub issued: u64,
    /// Its length, bytes.
    pub bytes: u64,
}

/// A file, as the kernel writes it back.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// Its inode.
    pub inode: u64,
    /// The device of its file system.
    pub device: u64,
}

/// Who last left something to be written in a file.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Dirtier {
    /// The process.
    pub process: u64,
    /// Which of the slot's agents.
    pub generation: u64,
    /// The agent's slot.
    pub agent: u32,
    /// Explicit padding.
    pub pad: u32,
}

const _: () = assert!(size_of::<DiskKey>() == 24);
const _: () = assert!(size_of::<DiskValue>() == 48 + 4 * BUCKETS);
const _: () = assert!(size_of::<Bio>() == 56);
const _: () = assert!(size_of::<FileKey>() == 16);
const _: () = assert!(size_of::<Dirtier>() == 24);
crate::pod!(DiskKey, DiskValue, Bio, FileKey, Dirtier);
