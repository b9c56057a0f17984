//! Names that are taken away, given and changed. The kernel's entry is out of reach by then, so that the path goes up as
//! the program wrote it, with the directory that it is relative to: links in it stay as they are written.

use agent_common::{
    files::{FileKey, record},
    thread::Thread,
};
use aya_ebpf::helpers::bpf_ktime_get_ns;

use super::{call, file, path};
use crate::layout::{self, field, read, regs};

/// `AT_FDCWD`, as 32 bits.
const CURRENT: u32 = -100_i32 as u32;
const AT_REMOVEDIR: u64 = 0x200;

/// A call that changed names has returned 0.
///
/// # Safety
/// `task` is the current task, and `registers` are its own.
#[inline(always)]
pub(super) unsafe fn changed(task: *mut u8, thread: &Thread, number: u64, registers: *const u64) {
    // SAFETY: by contract.
    unsafe {
        let argument = |word: usize| *registers.add(word);
        let [first, second, third, fourth] =
            [argument(regs::DI), argument(regs::SI), argument(regs::DX), argument(regs::R10)];
        let current = u64::from(CURRENT);
        // The directory and the path of what is gone, and of what has come.
        let (kind, directory, text) = match number {
            call::UNLINK => (record::DELETE, current, first),
            call::UNLINKAT if third & AT_REMOVEDIR != 0 => return,
            call::UNLINKAT => (record::DELETE, first, second),
            call::TRUNCATE => (record::TRUNCATE, current, first),
            call::RENAME => (record::RENAME_FROM, current, first),
            call::RENAMEAT | call::RENAMEAT2 => (record::RENAME_FROM, first, second),
            call::LINK | call::SYMLINK => (record::LINK, current, second),
            call::SYMLINKAT => (record::LINK, second, third),
            _ => (record::LINK, third, fourth),
        };
        let key = FileKey { process: thread.process, agent: thread.agent, device: 0, inode: 0, name: 0 };
        let now = bpf_ktime_get_ns();
        path::tell_written(&key, now, kind, text, place(task, directory));
        if kind == record::RENAME_FROM {
            let (directory, text) = if number == call::RENAME { (current, second) } else { (third, fourth) };
            path::tell_written(&key, now, record::RENAME_TO, text, place(task, directory));
        }
    }
}

/// What a path is relative to: a directory's descriptor, or the current one.
///
/// # Safety
/// `task` is the current task.
#[inline(always)]
unsafe fn place(task: *const u8, directory: u64) -> Option<path::Place> {
    // SAFETY: by contract; each read is checked.
    unsafe {
        let [mount, dentry] = if directory as u32 == CURRENT {
            let fs: u64 = field(task, &layout::TASK_FS);
            read::<[u64; 2]>(fs, &layout::FS_PWD)?
        } else {
            read::<[u64; 2]>(file(task, directory)?, &layout::FILE_PATH)?
        };
        Some(path::Place { mount, dentry })
    }
}
