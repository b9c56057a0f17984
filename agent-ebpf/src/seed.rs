//! Task iterators: take running processes into an agent, let an agent go, and account the waits that are
//! still going on when a window closes.

use core::ffi::c_void;

use agent_common::{
    agent::probe,
    lifecycle::Seeded,
    loss,
    stack::NOT_WALKED,
    thread::{Thread, state},
};
use aya_ebpf::{
    bindings::seq_file,
    helpers::{bpf_ktime_get_ns, generated::bpf_seq_write},
    macros::map,
    maps::{Array, HashMap},
};

use crate::{
    accounts, agents, cuda,
    layout::{self, field},
    ledger, losses, off_cpu, stacks, threads,
    wait::classify,
    walk,
};

/// Processes (by tgid) that `seed_threads` shall take in, and the agent's slot.
#[map]
static TARGETS: HashMap<u32, u32> = HashMap::with_max_entries(16_384, 0);

/// The slot whose threads `release_threads` shall let go.
#[map]
static RELEASE: Array<u32> = Array::with_max_entries(1, 0);

/// `struct bpf_iter__task`: the iterator's context.
#[repr(C)]
struct IteratorContext {
    meta: *const *mut seq_file,
    task: *mut u8,
}

/// # Safety
/// `ctx` is the context of an iter/task program.
#[inline(always)]
pub(crate) unsafe fn task_of(ctx: *mut c_void) -> Option<*mut u8> {
    // SAFETY: by contract. The last call of a run has no task.
    let task = unsafe { (*ctx.cast::<IteratorContext>()).task };
    if task.is_null() { None } else { Some(task) }
}

/// Where the iterator writes to.
///
/// # Safety
/// As `task_of`.
#[inline(always)]
pub(crate) unsafe fn seq_of(ctx: *mut c_void) -> *mut seq_file {
    // SAFETY: by contract.
    unsafe { *(*ctx.cast::<IteratorContext>()).meta }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn seed_threads(ctx: *mut c_void) -> i32 {
    // SAFETY: an iter/task program; `task` is trusted.
    unsafe {
        let Some(task) = task_of(ctx) else { return 0 };
        walk::find_direct_map(field(task, &layout::TASK_MM));
        let tgid: u32 = field(task, &layout::TASK_TGID);
        let Some(slot) = TARGETS.get_ptr(tgid) else { return 0 };
        let slot = *slot;
        let Some(thread) = threads::create(task) else {
            losses::count(loss::THREAD_STATE);
            return 0;
        };
        if thread.agent != 0 {
            return 0;
        }
        thread.process = threads::process_of(task);
        thread.agent = slot;
        place(task, thread);
        ledger::placed(task, thread);
        if field::<u32>(task, &layout::TASK_PID) == tgid {
            report(ctx, task, thread);
        }
    }
    0
}

/// Sets the state of a thread in the middle of its life. One that moves meanwhile is put right by its own
/// next switch.
///
/// # Safety
/// `task` is trusted.
#[inline(always)]
unsafe fn place(task: *mut u8, thread: &mut Thread) {
    let off_cpu = agents::wants(thread.agent, probe::OFF_CPU);
    if !off_cpu && !agents::wants(thread.agent, probe::LEDGER) {
        return;
    }
    // SAFETY: by contract.
    unsafe {
        let sleep: u32 = field(task, &layout::TASK_STATE);
        if sleep == 0 || field::<u32>(task, &layout::TASK_ON_CPU) != 0 {
            return;
        }
        thread.state = classify(task, sleep, thread);
        if off_cpu {
            thread.kernel_stack = stacks::kernel_of(task);
            thread.user_stack = NOT_WALKED;
            thread.since = bpf_ktime_get_ns();
        }
        if field::<u32>(task, &layout::TASK_STATE) == 0 {
            thread.since = 0;
            thread.state = state::UNSEEN;
        }
    }
}

/// # Safety
/// `ctx` is the iterator's context and `task` its task.
#[inline(always)]
unsafe fn report(ctx: *mut c_void, task: *const u8, thread: &Thread) {
    // SAFETY: by contract.
    unsafe {
        let parent: *const u8 = field(task, &layout::TASK_REAL_PARENT);
        let signal: *const u8 = field(task, &layout::TASK_SIGNAL);
        let seeded = Seeded {
            process: thread.process,
            start: field(task, &layout::TASK_START_BOOTTIME),
            dead: accounts::of_dead_threads(signal),
            parent_pid: field(parent, &layout::TASK_TGID),
            agent: thread.agent,
            comm: field(task, &layout::TASK_COMM),
        };
        let seq = seq_of(ctx);
        if bpf_seq_write(seq, (&raw const seeded).cast_mut().cast(), size_of::<Seeded>() as u32) != 0 {
            losses::count(loss::SEED_OUTPUT);
        }
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn release_threads(ctx: *mut c_void) -> i32 {
    // SAFETY: an iter/task program; `task` is trusted.
    let Some(task) = (unsafe { task_of(ctx) }) else { return 0 };
    let Some(slot) = RELEASE.get(0) else { return 0 };
    if let Some(thread) = threads::get(task)
        && thread.agent == *slot
    {
        threads::remove(task);
    }
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn account_waits(ctx: *mut c_void) -> i32 {
    // SAFETY: an iter/task program; `task` is trusted.
    let Some(task) = (unsafe { task_of(ctx) }) else { return 0 };
    if let Some(thread) = threads::get(task) {
        off_cpu::account_ongoing(task, thread);
        cuda::account_ongoing(thread);
    }
    0
}
