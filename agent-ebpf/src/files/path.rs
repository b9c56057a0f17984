//! Paths: from a directory entry to the root of the mount namespace, component by component, and up to the daemon.
//!
//! The walk follows the kernel's own structures without their locks: a rename meanwhile may mix two paths, which the
//! kernel's own lockless walk would notice. It reads only, and every read is checked.

use core::ffi::c_void;

use agent_common::{
    files::{FileKey, FileRecord, MAX_COMPONENTS, MOST_BYTES, RING_BYTES, flag, record},
    loss,
};
use aya_ebpf::{
    helpers::generated::{bpf_loop, bpf_probe_read_kernel_str, bpf_probe_read_user_str},
    macros::map,
    maps::{PerCpuArray, RingBuf},
};

use crate::{
    epoch,
    layout::{self, read},
    losses,
};

/// What goes up.
#[map]
static FILE_RECORDS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// Where a record is made: these programs do not interrupt each other.
#[map]
static FILE_SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// `BPF_RB_NO_WAKEUP`: nobody sleeps on the ring.
const NO_WAKEUP: u64 = 1;
/// Longest path that a program may write, with its NUL.
const PATH_MAX: u32 = 4096;
/// Longest name, with its NUL.
const NAME_MAX: u32 = 256;
/// Where no name may begin any more.
const FULL: u32 = MOST_BYTES - NAME_MAX;

#[repr(C)]
struct Scratch {
    head: FileRecord,
    bytes: [u8; MOST_BYTES as usize],
}

/// A directory entry and the `struct vfsmount` that it is seen in.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) mount: u64,
    pub(super) dentry: u64,
}

/// A walk to the root.
struct Walk {
    scratch: *mut Scratch,
    /// Of the `struct mount`.
    mount: u64,
    dentry: u64,
}

/// Tells the path of a file that is counted.
#[inline(always)]
pub(super) fn tell(key: &FileKey, at: u64, epoch: u32, place: Place) {
    let Some(scratch) = begin(key, at, record::PATH, epoch) else { return };
    // SAFETY: the helper checks the address. An entry that is hashed nowhere has lost its name.
    let is_deleted = unsafe { read::<u64>(place.dentry, &layout::DENTRY_HASHED) } == Some(0);
    if is_deleted {
        scratch.head.flags |= flag::DELETED;
    }
    walk(scratch, place);
    send(scratch);
}

/// Tells a path as the program wrote it, and where it leads from: `from` is `None` where it cannot be told.
#[inline(always)]
pub(super) fn tell_written(key: &FileKey, at: u64, kind: u32, text: u64, from: Option<Place>) {
    let Some(scratch) = begin(key, at, kind, epoch::current()) else { return };
    let bytes = scratch.bytes.as_mut_ptr();
    // SAFETY: there is room for a path; the read is checked.
    let length = unsafe { bpf_probe_read_user_str(bytes.cast(), PATH_MAX, text as *const c_void) };
    if length <= 1 || length > i64::from(PATH_MAX) {
        return losses::count(loss::FILE_UNREADABLE);
    }
    scratch.head.written = length as u32;
    scratch.head.length = length as u32;
    // SAFETY: the first byte of what was read.
    if unsafe { *bytes } != b'/'
        && let Some(place) = from
    {
        walk(scratch, place);
    }
    send(scratch);
}

#[inline(always)]
fn begin(key: &FileKey, at: u64, kind: u32, epoch: u32) -> Option<&'static mut Scratch> {
    // SAFETY: a scratch buffer of ours alone: one for each CPU.
    let scratch = unsafe { &mut *FILE_SCRATCH.get_ptr_mut(0)? };
    let head = &mut scratch.head;
    head.at = at;
    head.key.process = key.process;
    head.key.agent = key.agent;
    head.key.device = key.device;
    head.key.inode = key.inode;
    head.key.name = key.name;
    head.kind = kind;
    head.flags = 0;
    head.epoch = epoch;
    head.written = 0;
    head.length = 0;
    head.pad = 0;
    Some(scratch)
}

#[inline(always)]
fn walk(scratch: &mut Scratch, place: Place) {
    let mount = place.mount.wrapping_sub(u64::from(layout::MOUNT_MNT.load()));
    let mut walk = Walk { scratch, mount, dentry: place.dentry };
    // SAFETY: the callback gets the context that it expects, which outlives the call.
    unsafe { bpf_loop(MAX_COMPONENTS, step as *mut c_void, (&raw mut walk).cast(), 0) };
}

/// Puts down one component, or crosses one mount; returns 1 at the end.
extern "C" fn step(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `walk`, whose context it is.
    let walk = unsafe { &mut *context.cast::<Walk>() };
    // SAFETY: it points to the scratch buffer, which outlives the loop.
    let scratch = unsafe { &mut *walk.scratch };
    match up(walk, scratch) {
        Some(true) => 0,
        Some(false) => 1,
        None => {
            losses::count(loss::FILE_UNREADABLE);
            1
        }
    }
}

/// Whether the walk goes on; `None` where something could not be read.
#[inline(always)]
fn up(walk: &mut Walk, scratch: &mut Scratch) -> Option<bool> {
    // SAFETY: each read is checked.
    unsafe {
        let root: u64 = read(walk.mount, &layout::MOUNT_ROOT)?;
        if walk.dentry == root {
            let parent: u64 = read(walk.mount, &layout::MOUNT_PARENT)?;
            if parent == walk.mount {
                scratch.head.flags |= flag::ROOTED;
                return Some(false);
            }
            walk.dentry = read(walk.mount, &layout::MOUNT_POINT)?;
            walk.mount = parent;
            return Some(true);
        }
        let parent: u64 = read(walk.dentry, &layout::DENTRY_PARENT)?;
        let name: u64 = read(walk.dentry, &layout::DENTRY_NAME_TEXT)?;
        put(scratch, name)?;
        if parent == walk.dentry {
            scratch.head.flags |= flag::DETACHED;
            return Some(false);
        }
        walk.dentry = parent;
        Some(true)
    }
}

#[inline(always)]
fn put(scratch: &mut Scratch, name: u64) -> Option<()> {
    let at = scratch.head.length;
    if at > FULL {
        return None;
    }
    // SAFETY: there is room for a name after every place that is not full; the read is checked.
    let length = unsafe {
        let to = scratch.bytes.as_mut_ptr().add(at as usize);
        bpf_probe_read_kernel_str(to.cast(), NAME_MAX, name as *const c_void)
    };
    if length <= 0 || length > i64::from(NAME_MAX) {
        return None;
    }
    scratch.head.length = at + length as u32;
    Some(())
}

#[inline(always)]
fn send(scratch: &Scratch) {
    let mut length = u64::from(scratch.head.length);
    // SAFETY: opaque to the optimiser, so that the bound below is tested on the register that the helper gets.
    unsafe { core::arch::asm!("{0} += 0", inout(reg) length) };
    if length > u64::from(MOST_BYTES) {
        return losses::count(loss::FILE_UNREADABLE);
    }
    let bytes = size_of::<FileRecord>() + length as usize;
    // SAFETY: the scratch buffer is that long.
    let record = unsafe { core::slice::from_raw_parts(core::ptr::from_ref(scratch).cast::<u8>(), bytes) };
    if FILE_RECORDS.output::<[u8]>(record, NO_WAKEUP).is_err() {
        losses::count(loss::FILE_RING_FULL);
    }
}
