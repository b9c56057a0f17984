//! Files by process: what is opened, created, changed, read and written, by open descriptor, when the call returns; and
//! names that are taken away or changed (`names`). Attached only while an agent is watched by this probe, because these
//! hooks tax every process of the host.
//!
//! Only regular files count. What goes through mappings and io_uring is not seen. A file's path is told once in each generation to each of its users (`path`).

mod names;
mod path;

use agent_common::{
    agent::probe,
    files::{FILES, FileKey, FileValue},
    loss,
    thread::Thread,
};
use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_NOEXIST},
    helpers::{bpf_ktime_get_ns, bpf_probe_read_user, generated::bpf_get_current_task_btf},
    macros::{btf_tracepoint, map},
    maps::HashMap,
    programs::BtfTracePointContext,
};

use crate::{
    agents,
    atomics::add,
    descriptors, epoch,
    layout::{self, read, regs},
    losses, threads,
};

type Files = HashMap<FileKey, FileValue>;

#[map]
static FILES_EVEN: Files = HashMap::with_max_entries(FILES, BPF_F_NO_PREALLOC);
#[map]
static FILES_ODD: Files = HashMap::with_max_entries(FILES, BPF_F_NO_PREALLOC);

static ZERO: FileValue = FileValue::ZERO;

/// System calls of x86-64.
mod call {
    pub(super) const READ: u64 = 0;
    pub(super) const WRITE: u64 = 1;
    pub(super) const OPEN: u64 = 2;
    pub(super) const CLOSE: u64 = 3;
    pub(super) const PREAD64: u64 = 17;
    pub(super) const PWRITE64: u64 = 18;
    pub(super) const READV: u64 = 19;
    pub(super) const WRITEV: u64 = 20;
    pub(super) const SENDFILE: u64 = 40;
    pub(super) const FSYNC: u64 = 74;
    pub(super) const FDATASYNC: u64 = 75;
    pub(super) const TRUNCATE: u64 = 76;
    pub(super) const FTRUNCATE: u64 = 77;
    pub(super) const RENAME: u64 = 82;
    pub(super) const CREAT: u64 = 85;
    pub(super) const LINK: u64 = 86;
    pub(super) const UNLINK: u64 = 87;
    pub(super) const SYMLINK: u64 = 88;
    pub(super) const OPENAT: u64 = 257;
    pub(super) const UNLINKAT: u64 = 263;
    pub(super) const RENAMEAT: u64 = 264;
    pub(super) const LINKAT: u64 = 265;
    pub(super) const SYMLINKAT: u64 = 266;
    pub(super) const SPLICE: u64 = 275;
    pub(super) const PREADV: u64 = 295;
    pub(super) const PWRITEV: u64 = 296;
    pub(super) const RENAMEAT2: u64 = 316;
    pub(super) const COPY_FILE_RANGE: u64 = 326;
    pub(super) const PREADV2: u64 = 327;
    pub(super) const PWRITEV2: u64 = 328;
    pub(super) const OPENAT2: u64 = 437;
}

/// What a call does with an open file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Open,
    /// And takes its content away.
    OpenEmpty,
    Read,
    Write,
    Truncate,
    Sync,
    Close,
    /// It failed to change or sync it.
    Fail,
}

/// `f_mode`'s bits.
const FMODE_READ: u32 = 1;
const FMODE_WRITE: u32 = 2;
const FMODE_CREATED: u32 = 1 << 20;
const O_TRUNC: u64 = 0o1000;

/// An open file, by addresses in the kernel.
#[derive(Clone, Copy)]
struct Opened {
    file: u64,
    inode: u64,
    mount: u64,
    dentry: u64,
}

#[btf_tracepoint(function = "sys_enter")]
fn file_enter(ctx: BtfTracePointContext) -> u32 {
    let number: u64 = ctx.arg(1);
    if !matches!(number, call::CLOSE | call::FSYNC | call::FDATASYNC) {
        return 0;
    }
    // SAFETY: the helper has no preconditions.
    let task: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    let Some(thread) = watched(task) else { return 0 };
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if number != call::CLOSE {
        thread.sync_at = now;
        return 0;
    }
    let registers: *const u64 = ctx.arg(0);
    // SAFETY: the tracepoint's first argument is a `struct pt_regs *`.
    let fd = unsafe { *registers.add(regs::DI) };
    // SAFETY: the current task.
    unsafe { used(task, thread, fd, Use::Close, 0, now) };
    0
}

#[btf_tracepoint(function = "sys_exit")]
fn file_exit(ctx: BtfTracePointContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    let Some(thread) = watched(task) else { return 0 };
    let registers: *const u64 = ctx.arg(0);
    let result: i64 = ctx.arg(1);
    // SAFETY: the tracepoint's first argument is a `struct pt_regs *`.
    let number = unsafe { *registers.add(regs::ORIG_AX) };
    // SAFETY: the current task, and its registers.
    unsafe {
        match number {
            call::RENAME
            | call::LINK
            | call::UNLINK
            | call::SYMLINK
            | call::UNLINKAT
            | call::RENAMEAT
            | call::LINKAT
            | call::SYMLINKAT
            | call::RENAMEAT2
            | call::TRUNCATE => {
                if result == 0 {
                    names::changed(task, thread, number, registers);
                }
            }
            _ => by_descriptor(task, thread, number, registers, result),
        }
    }
    0
}

/// The current thread, if its agent is watched by this probe.
#[inline(always)]
fn watched(task: *mut u8) -> Option<&'static mut Thread> {
    if layout::CAN_READ_KERNEL.load() == 0 {
        return None;
    }
    let thread = threads::get(task)?;
    if agents::wants(thread.agent, probe::FILES) { Some(thread) } else { None }
}

/// # Safety
/// `task` is the current task, and `registers` are its own.
#[inline(always)]
unsafe fn by_descriptor(task: *mut u8, thread: &mut Thread, number: u64, registers: *const u64, result: i64) {
    // SAFETY: by contract.
    unsafe {
        let (first, second) = (*registers.add(regs::DI), *registers.add(regs::SI));
        let (third, amount) = (*registers.add(regs::DX), result as u64);
        let now = bpf_ktime_get_ns();
        let mut duration = 0;
        let (fd, purpose) = match number {
            call::READ | call::PREAD64 | call::READV | call::PREADV | call::PREADV2 => (first, Use::Read),
            call::WRITE | call::PWRITE64 | call::WRITEV | call::PWRITEV | call::PWRITEV2 => {
                (first, Use::Write)
            }
            call::SENDFILE => (first, Use::Write),
            call::COPY_FILE_RANGE | call::SPLICE => (third, Use::Write),
            call::FTRUNCATE => (first, Use::Truncate),
            call::OPEN => (amount, opens(second)),
            call::OPENAT => (amount, opens(third)),
            call::CREAT => (amount, Use::OpenEmpty),
            call::OPENAT2 => (amount, opens(bpf_probe_read_user(third as *const u64).unwrap_or(0))),
            call::FSYNC | call::FDATASYNC => {
                if thread.sync_at != 0 {
                    duration = now - thread.sync_at;
                }
                thread.sync_at = 0;
                (first, Use::Sync)
            }
            _ => return,
        };
        if result < 0 {
            if matches!(purpose, Use::Write | Use::Truncate | Use::Sync) {
                used(task, thread, fd, Use::Fail, 0, now);
            }
            return;
        }
        let amount = if matches!(purpose, Use::Sync) { duration } else { amount };
        used(task, thread, fd, purpose, amount, now);
        // What is moved from one to the other, of which one may be no file. Read anew: what is spilled above on some paths
        // alone, the verifier of 6.1 refuses.
        let from = match number {
            call::SENDFILE => regs::SI,
            call::COPY_FILE_RANGE | call::SPLICE => regs::DI,
            _ => return,
        };
        let from = core::ptr::read_volatile(registers.add(from));
        used(task, thread, from, Use::Read, amount, now);
    }
}

#[inline(always)]
fn opens(flags: u64) -> Use {
    if flags & O_TRUNC != 0 { Use::OpenEmpty } else { Use::Open }
}

/// Counts the use of a descriptor, if it is a regular file's.
///
/// # Safety
/// `task` is the current task.
#[inline(always)]
unsafe fn used(task: *mut u8, thread: &Thread, fd: u64, purpose: Use, amount: u64, now: u64) {
    // SAFETY: by contract; each read is checked.
    unsafe {
        let Some(opened) = opened(task, fd) else { return };
        let Some(key) = key(thread, opened) else { return losses::count(loss::FILE_UNREADABLE) };
        let mode: u32 = read(opened.file, &layout::FILE_MODE).unwrap_or(0);
        // A descriptor that only names a file.
        if mode & (FMODE_READ | FMODE_WRITE) == 0 {
            return;
        }
        let epoch = epoch::current();
        let (value, is_new) = entry(&key, epoch);
        let Some(value) = value else { return losses::count(loss::FILE_INSERT) };
        if is_new {
            let place = path::Place { mount: opened.mount, dentry: opened.dentry };
            path::tell(&key, now, epoch, place);
            (*value).first = now;
        }
        (*value).last = now;
        if !matches!(purpose, Use::Read | Use::Write) {
            (*value).size = read(opened.inode, &layout::INODE_SIZE).unwrap_or(0);
        }
        count(&mut *value, purpose, amount, mode);
    }
}

#[inline(always)]
fn count(value: &mut FileValue, purpose: Use, amount: u64, mode: u32) {
    match purpose {
        Use::Open | Use::OpenEmpty => {
            if mode & FMODE_WRITE != 0 {
                add(&mut value.write_opens, 1);
            } else {
                add(&mut value.read_opens, 1);
            }
            if mode & FMODE_CREATED != 0 {
                add(&mut value.creates, 1);
            } else if matches!(purpose, Use::OpenEmpty) {
                add(&mut value.changes, 1);
            }
        }
        Use::Read => add(&mut value.read_bytes, amount),
        Use::Write => {
            add(&mut value.changes, 1);
            add(&mut value.written_bytes, amount);
        }
        Use::Truncate => add(&mut value.changes, 1),
        Use::Sync => {
            add(&mut value.syncs, 1);
            add(&mut value.sync_ns, amount);
        }
        Use::Close => add(&mut value.closes, 1),
        Use::Fail => add(&mut value.errors, 1),
    }
}

/// What the file is counted in, and whether that is new.
#[inline(always)]
fn entry(key: &FileKey, epoch: u32) -> (Option<*mut FileValue>, bool) {
    if epoch & 1 != 0 { entry_of(&FILES_ODD, key) } else { entry_of(&FILES_EVEN, key) }
}

#[inline(always)]
fn entry_of(map: &Files, key: &FileKey) -> (Option<*mut FileValue>, bool) {
    if let Some(value) = map.get_ptr_mut(key) {
        return (Some(value), false);
    }
    let is_new = map.insert(key, &ZERO, u64::from(BPF_NOEXIST)).is_ok();
    (map.get_ptr_mut(key), is_new)
}

/// The regular file behind a descriptor of the current task.
///
/// # Safety
/// `task` is the current task.
#[inline(always)]
unsafe fn opened(task: *const u8, fd: u64) -> Option<Opened> {
    const REGULAR: u16 = 0x8000;
    // SAFETY: by contract; each read is checked.
    unsafe {
        let file = file(task, fd)?;
        let inode: u64 = read(file, &layout::FILE_INODE)?;
        if read::<u16>(inode, &layout::INODE_MODE)? & 0xf000 != REGULAR {
            return None;
        }
        let [mount, dentry] = read::<[u64; 2]>(file, &layout::FILE_PATH)?;
        Some(Opened { file, inode, mount, dentry })
    }
}

/// The `struct file` behind a descriptor, which is 32 bits of the register.
///
/// # Safety
/// As `opened`.
#[inline(always)]
unsafe fn file(task: *const u8, fd: u64) -> Option<u64> {
    // SAFETY: by contract.
    unsafe { descriptors::file(task, fd & 0xffff_ffff) }
}

#[inline(always)]
unsafe fn key(thread: &Thread, opened: Opened) -> Option<FileKey> {
    // SAFETY: each read is checked.
    unsafe {
        let device = read(read(opened.inode, &layout::INODE_SUPER)?, &layout::SUPER_DEVICE)?;
        Some(FileKey {
            process: thread.process,
            agent: thread.agent,
            device,
            inode: read(opened.inode, &layout::INODE_NUMBER)?,
            name: read(opened.dentry, &layout::DENTRY_NAME)?,
        })
    }
}
