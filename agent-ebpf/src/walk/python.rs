//! Reads the frames of CPython: finds the thread's `PyThreadState`, and follows its list of frames. These do not
//! depend on the native walk, and are kept where that one fails.

use core::ffi::c_void;

use agent_common::{
    loss,
    stack::interpreter,
    thread::Thread,
    unwind::{NO_CFRAME, PYTHON_FRAME_BYTES, Process, Python},
};
use aya_ebpf::helpers::generated::bpf_probe_read_user;

use super::{Walk, memory, note, parts, run};
use crate::{
    epoch,
    layout::{self, field},
    losses,
};

/// Thread states looked at to find the thread's own, of all interpreters together.
const MAX_THREADS: u32 = 512;
const MAX_STEPS: u32 = 64;
const OWNER_SHIFT: u32 = 48;

/// Where the search for a thread's state stands, and the frame that it led to.
#[repr(C)]
pub(super) struct Search {
    interpreter: u64,
    state: u64,
    /// 1 if `state` is the thread's own.
    found: u64,
    fs_base: u64,
    frame: u64,
    words: [u64; PYTHON_FRAME_BYTES / 8],
}

/// Puts the Python frames of the thread on the stack.
#[inline(always)]
pub(super) fn read<const REMOTE: bool>(
    walk: &mut Walk,
    process: &Process,
    task: *mut u8,
    thread: &mut Thread,
) {
    // SAFETY: `task` is a task.
    walk.python.fs_base = unsafe { field(task, &layout::TASK_FS_BASE) };
    if !find_state::<REMOTE>(walk, process, thread) {
        return;
    }
    let python = &process.python;
    if !memory::read::<REMOTE>(walk, walk.python.state + u64::from(python.frame), 1) {
        return;
    }
    if python.cframe != NO_CFRAME {
        let cframe = walk.words[0];
        if cframe == 0 || !memory::read::<REMOTE>(walk, cframe + u64::from(python.cframe), 1) {
            return;
        }
    }
    walk.python.frame = walk.words[0];
    walk.stack.interpreter_kind = interpreter::PYTHON;
    run(MAX_STEPS, frame::<REMOTE>, walk, process);
}

/// Finds the thread's state: the one it had when last seen, or else the one that names the thread.
#[inline(always)]
fn find_state<const REMOTE: bool>(walk: &mut Walk, process: &Process, thread: &mut Thread) -> bool {
    let id = u64::from(process.python.thread_id);
    let known = thread.python_state;
    // An odd value is the epoch in which the thread turned out to have none.
    if known == u64::from(epoch::current()) << 1 | 1 {
        return false;
    }
    if known != 0
        && known & 1 == 0
        && memory::read::<REMOTE>(walk, known + id, 1)
        && walk.words[0] == walk.python.fs_base
    {
        walk.python.state = known;
        return true;
    }
    walk.python.state = 0;
    walk.python.interpreter = 0;
    walk.python.found = 0;
    let looked_at = run(MAX_THREADS, next_state::<REMOTE>, walk, process);
    if walk.python.found != 0 {
        thread.python_state = walk.python.state;
        return true;
    }
    thread.python_state = u64::from(epoch::current()) << 1 | 1;
    if looked_at >= i64::from(MAX_THREADS) {
        losses::count(loss::PYTHON_STATE);
    }
    false
}

extern "C" fn next_state<const REMOTE: bool>(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `run`.
    let (walk, process) = unsafe { parts(context) };
    i64::from(try_next_state::<REMOTE>(walk, &process.python))
}

/// Looks at one more thread state; true ends the search.
#[inline(always)]
fn try_next_state<const REMOTE: bool>(walk: &mut Walk, python: &Python) -> bool {
    let (from, offset) = if walk.python.state != 0 {
        (walk.python.state, python.next_thread)
    } else if walk.python.interpreter != 0 {
        (walk.python.interpreter, python.threads)
    } else {
        (python.runtime, python.interpreters)
    };
    let began = walk.python.interpreter == 0;
    if !memory::read::<REMOTE>(walk, from + u64::from(offset), 1) {
        walk.python.state = 0;
        return true;
    }
    let next = walk.words[0];
    if began {
        walk.python.interpreter = next;
        return next == 0;
    }
    walk.python.state = next;
    if next == 0 {
        // This interpreter has no more threads.
        if !memory::read::<REMOTE>(walk, walk.python.interpreter + u64::from(python.next_interpreter), 1) {
            return true;
        }
        walk.python.interpreter = walk.words[0];
        return walk.words[0] == 0;
    }
    if !memory::read::<REMOTE>(walk, next + u64::from(python.thread_id), 1) {
        walk.python.state = 0;
        return true;
    }
    walk.python.found = u64::from(walk.words[0] == walk.python.fs_base);
    walk.python.found != 0
}

extern "C" fn frame<const REMOTE: bool>(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `run`.
    let (walk, process) = unsafe { parts(context) };
    let python = &process.python;
    if walk.python.frame == 0 || !read_frame::<REMOTE>(walk) {
        return 1;
    }
    let code = word(walk, python.code) & !u64::from(python.code_tag);
    let position = if python.position_bits == 32 {
        word(walk, python.position) >> ((python.position & 4) * 8) & 0xffff_ffff
    } else {
        word(walk, python.position) & ((1 << OWNER_SHIFT) - 1)
    };
    let owner =
        if python.owner == 0 { 0 } else { word(walk, python.owner) >> ((python.owner & 7) * 8) & 0xff };
    if !note(walk, code, position | owner << OWNER_SHIFT) {
        return 1;
    }
    walk.python.frame = word(walk, python.previous);
    0
}

/// One read for the whole frame, where that is the current address space's.
#[inline(always)]
fn read_frame<const REMOTE: bool>(walk: &mut Walk) -> bool {
    let at = walk.python.frame;
    if REMOTE {
        let mut i = 0;
        while i < PYTHON_FRAME_BYTES / 32 {
            if !memory::read::<REMOTE>(walk, at + i as u64 * 32, 4) {
                return false;
            }
            let mut j = 0;
            while j < 4 {
                walk.python.words[i * 4 + j] = walk.words[j];
                j += 1;
            }
            i += 1;
        }
        return true;
    }
    // SAFETY: `words` is as long as what is read.
    unsafe {
        bpf_probe_read_user(
            (&raw mut walk.python.words).cast(),
            PYTHON_FRAME_BYTES as u32,
            at as *const c_void,
        ) == 0
    }
}

#[inline(always)]
fn word(walk: &Walk, offset: u32) -> u64 {
    walk.python.words[(offset >> 3) as usize & (PYTHON_FRAME_BYTES / 8 - 1)]
}
