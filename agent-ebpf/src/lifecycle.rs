//! Life cycle: membership passes on at fork; fork, exec and exit are reported with what cannot be asked
//! later, since a child may live for a millisecond.

use agent_common::{
    agent::probe,
    lifecycle::{
        ARGS_BYTES, Account, Exec, Exit, ForeignExec, Fork, LibraryLoaded, ModelRequest, NewStack,
        PATH_BYTES, ThreadExit, kind,
    },
    loss,
    thread::{NO_SYSCALL, Thread, state},
};
use aya_ebpf::{
    helpers::{
        bpf_ktime_get_ns,
        generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user},
    },
    macros::{btf_tracepoint, map},
    maps::{RingBuf, ring_buf::RingBufEntry},
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;

use crate::{
    accounts, agents,
    layout::{self, field},
    ledger, losses, threads, walk, wire,
};

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// `signal_struct.flags`: the group exits with `group_exit_code`.
const SIGNAL_GROUP_EXIT: u32 = 4;
const PAGE_SIZE: u64 = 4096;
/// Size of a counter of `mm_struct.rss_stat` that is no `percpu_counter`.
const PLAIN_COUNTER: u32 = 8;

/// Room for an event of another file; counts where there is none.
#[inline(always)]
pub(crate) fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    let event = EVENTS.reserve::<T>(0);
    if event.is_none() {
        losses::count(loss::EVENT_RING_FULL);
    }
    event
}

#[btf_tracepoint(function = "sched_process_fork")]
fn process_fork(ctx: BtfTracePointContext) -> u32 {
    let (parent, child): (*mut u8, *mut u8) = (ctx.arg(0), ctx.arg(1));
    let Some(forker) = threads::get(parent) else { return 0 };
    let (agent, forker_process, execs) = (forker.agent, forker.process, forker.execs);
    let (role, helper) = (forker.role, forker.helper);
    if !agents::is_live(agent) {
        return 0;
    }
    let Some(thread) = threads::create(child) else {
        losses::count(loss::THREAD_STATE);
        return 0;
    };
    // SAFETY: the tracepoint's arguments are tasks; the helper has no preconditions.
    let (now, process) = unsafe { (bpf_ktime_get_ns(), threads::process_of(child)) };
    thread.process = process;
    thread.agent = agent;
    thread.state = state::RUN_QUEUE;
    thread.execs = if process == forker_process { execs } else { 0 };
    thread.wait.syscall = NO_SYSCALL;
    thread.woken = now;
    thread.since = if agents::wants(agent, probe::OFF_CPU) { now } else { 0 };
    ledger::forked(thread, role, if process == forker_process { helper } else { 0 });
    if process != forker_process {
        debug!(&ctx, "fork {} of {}", process as u32 & 0x3f_ffff, forker_process as u32 & 0x3f_ffff);
        report_fork(child, agent, now, process, forker_process);
    }
    0
}

#[inline(always)]
fn report_fork(child: *const u8, agent: u32, at: u64, process: u64, parent: u64) {
    let Some(mut event) = EVENTS.reserve::<Fork>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    // SAFETY: `child` is a task; its real parent is never null.
    unsafe {
        let real_parent: *const u8 = field(child, &layout::TASK_REAL_PARENT);
        event.write(Fork {
            kind: kind::FORK,
            agent,
            at,
            process,
            parent,
            parent_pid: field(real_parent, &layout::TASK_TGID),
            pad: 0,
            comm: field(child, &layout::TASK_COMM),
        });
    }
    event.submit(0);
}

#[btf_tracepoint(function = "sched_process_exec")]
fn process_exec(ctx: BtfTracePointContext) -> u32 {
    let (task, old, bprm): (*mut u8, u32, *const u8) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    threads::rename(old, task);
    match threads::get(task) {
        Some(thread) => {
            walk::forget(thread.process);
            thread.python_state = 0;
            thread.cuda_at = 0;
            thread.execs = thread.execs.wrapping_add(1);
            agents::executes(thread.agent);
            ledger::executed(thread);
            report_exec(task, bprm, thread);
        }
        None => report_foreign_exec(task),
    }
    0
}

#[inline(always)]
fn report_foreign_exec(task: *const u8) {
    let Some(mut event) = EVENTS.reserve::<ForeignExec>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    // SAFETY: the tracepoint's argument is a task.
    event.write(ForeignExec { kind: kind::FOREIGN_EXEC, pid: unsafe { field(task, &layout::TASK_TGID) } });
    event.submit(0);
}

#[inline(always)]
fn report_exec(task: *const u8, bprm: *const u8, thread: &Thread) {
    let Some(mut event) = EVENTS.reserve::<Exec>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    let exec = event.as_mut_ptr();
    // SAFETY: the record is ours until it is submitted, and every field is written; `task` and `bprm` are
    // the tracepoint's arguments, and a task that execs has a memory map.
    unsafe {
        (*exec).kind = kind::EXEC;
        (*exec).agent = thread.agent;
        (*exec).at = bpf_ktime_get_ns();
        (*exec).process = thread.process;
        (*exec).comm = field(task, &layout::TASK_COMM);
        (*exec).path_length = read_path(bprm, &raw mut (*exec).path);
        read_args(task, exec);
    }
    event.submit(0);
}

/// Reads the path of the mapped file; returns the bytes read, without the final NUL.
///
/// # Safety
/// `bprm` is a `struct linux_binprm *`, `path` writable.
#[inline(always)]
unsafe fn read_path(bprm: *const u8, path: *mut [u8; PATH_BYTES]) -> u32 {
    if layout::CAN_READ_KERNEL.load() == 0 {
        return 0;
    }
    // SAFETY: by contract.
    let n = unsafe {
        let interp: u64 = field(bprm, &layout::BPRM_INTERP);
        bpf_probe_read_kernel_str(path.cast(), PATH_BYTES as u32, interp as *const _)
    };
    if n <= 0 {
        losses::count(loss::EXEC_PATH);
        return 0;
    }
    n as u32 - 1
}

/// Reads the command line from the new image's stack.
///
/// # Safety
/// `task` is the current task and `exec` writable.
#[inline(always)]
unsafe fn read_args(task: *const u8, exec: *mut Exec) {
    // SAFETY: by contract; the loads are of BTF pointers, the copy is bounded by the field's length.
    unsafe {
        let mm: *const u8 = field(task, &layout::TASK_MM);
        (*exec).args_length = 0;
        (*exec).args_total = 0;
        if mm.is_null() {
            return;
        }
        let start: u64 = field(mm, &layout::MM_ARG_START);
        let total = field::<u64>(mm, &layout::MM_ARG_END).wrapping_sub(start);
        (*exec).args_total = total;
        let mut n = if total < ARGS_BYTES as u64 { total } else { ARGS_BYTES as u64 };
        // The bound must hold of the very register that the helper is given.
        core::arch::asm!("{0} += 0", inout(reg) n);
        if n > ARGS_BYTES as u64 {
            return;
        }
        if bpf_probe_read_user((&raw mut (*exec).args).cast(), n as u32, start as *const _) == 0 {
            (*exec).args_length = n as u32;
        } else {
            losses::count(loss::EXEC_ARGS);
        }
    }
}

/// Notes, in the process's last thread, what is gone by the thread's last switch.
#[btf_tracepoint(function = "sched_process_exit")]
fn process_exit(ctx: BtfTracePointContext) -> u32 {
    let task: *mut u8 = ctx.arg(0);
    let Some(thread) = threads::get(task) else { return 0 };
    // SAFETY: the tracepoint's argument is the current task; its signal_struct outlives it.
    unsafe {
        let signal: *const u8 = field(task, &layout::TASK_SIGNAL);
        if field::<u32>(signal, &layout::SIGNAL_LIVE) != 0 {
            return 0;
        }
        thread.last = 1;
        thread.exit_status = if field::<u32>(signal, &layout::SIGNAL_FLAGS) & SIGNAL_GROUP_EXIT != 0 {
            field(signal, &layout::SIGNAL_GROUP_EXIT_CODE)
        } else {
            let leader: *const u8 = field(task, &layout::TASK_GROUP_LEADER);
            field(leader, &layout::TASK_EXIT_CODE)
        };
        thread.peak_rss = peak_rss(task, signal);
    }
    wire::stdio::exited(thread);
    0
}

/// Peak resident set in bytes: the memory map's own mark or present size while it is there, else the mark
/// that the kernel left in the signal_struct (which outlives exec, so after vfork it may be the parent's).
///
/// # Safety
/// `task` is the current task, `signal` its signal_struct.
#[inline(always)]
unsafe fn peak_rss(task: *const u8, signal: *const u8) -> u64 {
    // SAFETY: by contract; the memory map is null-checked.
    unsafe {
        let mm: *const u8 = field(task, &layout::TASK_MM);
        if mm.is_null() {
            return field::<u64>(signal, &layout::SIGNAL_MAXRSS) * PAGE_SIZE;
        }
        let (file, anonymous, shared) = (0, 1, 3);
        let now = rss(mm, file) + rss(mm, anonymous) + rss(mm, shared);
        let mark: u64 = field(mm, &layout::MM_HIWATER_RSS);
        (if mark > now { mark } else { now }) * PAGE_SIZE
    }
}

/// One counter of `mm_struct.rss_stat`, in pages. Its CPU-local part is not in it: a few pages are missing.
///
/// # Safety
/// `mm` is a memory map.
#[inline(always)]
unsafe fn rss(mm: *const u8, counter: u32) -> u64 {
    let at = layout::MM_RSS_STAT.load()
        + counter * layout::RSS_COUNTER_SIZE.load()
        + layout::RSS_COUNTER_VALUE.load();
    let mut pages = 0i64;
    if layout::RSS_COUNTER_SIZE.load() != PLAIN_COUNTER {
        // SAFETY: by contract.
        pages = unsafe { *mm.add(at as usize).cast::<i64>() };
    } else if layout::CAN_READ_KERNEL.load() != 0 {
        // Before 6.2 the counters stand in an array that the verifier lets nobody read directly.
        // SAFETY: `pages` is as long as what is read; a fault leaves it as it is.
        unsafe { bpf_probe_read_kernel((&raw mut pages).cast(), 8, mm.add(at as usize).cast()) };
    }
    if pages > 0 { pages as u64 } else { 0 }
}

/// Tells of a user stack that was stored for the first time. Called by `stacks`.
#[inline(always)]
pub(crate) fn report_stack(process: u64, stack: u64) {
    let Some(mut event) = EVENTS.reserve::<NewStack>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    event.write(NewStack { kind: kind::NEW_STACK, pad: 0, process, stack });
    event.submit(0);
}

/// Tells that a process loaded a library. Called by `loader`.
#[inline(always)]
pub(crate) fn report_library(process: u64) {
    let Some(mut event) = EVENTS.reserve::<LibraryLoaded>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    event.write(LibraryLoaded { kind: kind::LIBRARY_LOADED, pad: 0, process });
    event.submit(0);
}

/// Tells that a thread of an agent sent a request to a model. Called by `ledger`.
#[inline(always)]
pub(crate) fn report_model_request(thread: &Thread, at: u64, connect: u64) {
    let Some(mut event) = EVENTS.reserve::<ModelRequest>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    let (agent, process, role) = (thread.agent, thread.process, u32::from(thread.role));
    let connect_us = core::cmp::min(connect / 1000, u64::from(u32::MAX)) as u32;
    event.write(ModelRequest { kind: kind::MODEL_REQUEST, agent, process, at, role, connect_us });
    event.submit(0);
}

/// A thread's last switch, after which its account is complete. Called by `off_cpu`'s switch program.
#[inline(always)]
pub(crate) fn thread_dead(task: *mut u8, thread: &mut Thread, now: u64) {
    // SAFETY: `task` is the task that is switched out.
    let account = unsafe { accounts::of_thread(task) };
    if thread.last != 0 {
        report_exit(task, thread, now, account);
    } else {
        report_thread_exit(thread, account);
    }
    ledger::ended(thread);
    threads::remove(task);
}

#[inline(always)]
fn report_exit(task: *const u8, thread: &Thread, at: u64, account: Account) {
    let Some(mut event) = EVENTS.reserve::<Exit>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    // SAFETY: `task` is the task that is switched out; its signal_struct lives as long as it. The mark is looked at this
    // late because the kernel sets it after it has sent the signal that kills.
    let marked: u64 = unsafe {
        let signal: *const u8 = field(task, &layout::TASK_SIGNAL);
        field(signal, &layout::SIGNAL_OOM_MM)
    };
    event.write(Exit {
        kind: kind::EXIT,
        agent: thread.agent,
        at,
        process: thread.process,
        account,
        peak_rss: thread.peak_rss,
        status: thread.exit_status,
        out_of_memory: u32::from(marked != 0),
    });
    event.submit(0);
}

#[inline(always)]
fn report_thread_exit(thread: &Thread, account: Account) {
    let Some(mut event) = EVENTS.reserve::<ThreadExit>(0) else {
        losses::count(loss::EVENT_RING_FULL);
        return;
    };
    event.write(ThreadExit {
        kind: kind::THREAD_EXIT,
        agent: thread.agent,
        process: thread.process,
        account,
    });
    event.submit(0);
}
