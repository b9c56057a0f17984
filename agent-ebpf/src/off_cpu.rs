//! Off-CPU time: every stretch that a thread of an agent spends off the CPU is accounted by duration, to
//! what it waited for, who ended the wait and where it stood. Run-queue delay stands apart from blocking.
//!
//! A stretch is claimed by an atomic exchange of `Thread::since`, because the iterator that closes windows
//! accounts waits that are still going on.

use agent_common::{
    agent::probe,
    loss,
    off_cpu::{OffCpuKey, OffCpuValue},
    stack::{NOT_WALKED, TAKE_AGAIN},
    thread::{NO_SYSCALL, Thread, descriptor, state},
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::{bpf_ktime_get_ns, generated::bpf_task_pt_regs},
    macros::{btf_tracepoint, map},
    maps::{PerCpuHashMap, ProgramArray},
    programs::BtfTracePointContext,
};

use crate::{
    agents,
    atomics::{add, compare_exchange, exchange},
    cuda, epoch,
    layout::{self, PF_EXITING, field},
    ledger, lifecycle, losses,
    stacks::{self, Scratch},
    threads,
    wait::classify,
    walk::Registers,
};

type Waits = PerCpuHashMap<OffCpuKey, OffCpuValue>;

#[map]
static OFF_CPU_EVEN: Waits = PerCpuHashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);
#[map]
static OFF_CPU_ODD: Waits = PerCpuHashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);

static ZERO: OffCpuValue = OffCpuValue::ZERO;

/// `task_struct.__state` of a thread that will never run again.
const TASK_DEAD: u32 = 0x80;

/// sched_switch(preempt, prev, next, prev_state); the current task is still `prev`. Where that has a stack to be
/// walked, `walk_switch` goes on; where `next` comes back from a long wait without one, `late_switch`.
#[btf_tracepoint(function = "sched_switch")]
fn sched_switch(ctx: BtfTracePointContext) -> u32 {
    let prev: *mut u8 = ctx.arg(1);
    // One reading for both threads; none where neither is an agent's.
    let mut now = 0;
    if let Some(thread) = threads::get(prev) {
        // SAFETY: the helper has no preconditions.
        now = unsafe { bpf_ktime_get_ns() };
        if thread.since != 0 {
            enter_cpu_unseen(prev, thread, now);
        }
        let preempted = ctx.arg::<u32>(0) & 1 != 0;
        if leave_cpu(&ctx, prev, thread, if preempted { 0 } else { ctx.arg(3) }, now) {
            // SAFETY: a program of this kind.
            unsafe { WALK.tail_call(&ctx, 0) };
            // It is missing.
            thread.user_stack = NOT_WALKED;
        }
    }
    next_enters(&ctx, now);
    0
}

/// What `sched_switch` goes on as: programs of their own, since the verifier looks at what follows a walk once for
/// each way through it.
#[map]
static WALK: ProgramArray = ProgramArray::with_max_entries(1, 0);
#[map]
static LATE: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Walks the stack of the thread that leaves, and pays for it.
#[btf_tracepoint(function = "sched_switch")]
fn walk_switch(ctx: BtfTracePointContext) -> u32 {
    let prev: *mut u8 = ctx.arg(1);
    let mut now = 0;
    if let Some(thread) = threads::get(prev) {
        // SAFETY: the helper has no preconditions.
        now = unsafe { bpf_ktime_get_ns() };
        // SAFETY: `prev` is the current task.
        let registers = unsafe { Registers::read(bpf_task_pt_regs(prev.cast()) as *const u64) };
        let known = thread.user_stack;
        thread.user_stack = stacks::user(&ctx, prev, thread, registers, Scratch::Switch, known);
        // SAFETY: the helper has no preconditions.
        let done = unsafe { bpf_ktime_get_ns() };
        // What was walked before is paid for by then.
        let paid = if thread.walk_paid > now { thread.walk_paid } else { now };
        thread.walk_paid = paid + (done - now) * CREDIT_PER_NS;
        // The walk is the thread's own CPU time still, as the scheduler sees it. Where a window was closed
        // meanwhile, that has accounted some of it already.
        let since = thread.since;
        if since <= now {
            compare_exchange(&mut thread.since, since, done);
        }
        now = done;
    }
    next_enters(&ctx, now);
    0
}

#[btf_tracepoint(function = "sched_switch")]
fn late_switch(ctx: BtfTracePointContext) -> u32 {
    let next: *mut u8 = ctx.arg(2);
    if let Some(thread) = threads::get(next) {
        // SAFETY: the helper has no preconditions.
        let now = unsafe { bpf_ktime_get_ns() };
        thread.user_stack = late_stack(next, thread, Scratch::Switch);
        enter_cpu(thread, now);
        ledger::switched(ctx.arg(1), next);
    }
    0
}

/// The second half of a switch. `now` is 0 if the clock has not been read yet: then `prev` is nobody's.
#[inline(always)]
fn next_enters(ctx: &BtfTracePointContext, now: u64) {
    let mut concerned = now != 0;
    if let Some(thread) = threads::get(ctx.arg(2)) {
        concerned = true;
        // SAFETY: the helper has no preconditions.
        let now = if now == 0 { unsafe { bpf_ktime_get_ns() } } else { now };
        if needs_late_stack(thread, now) {
            // SAFETY: a program of this kind. Where it is missing, this one goes on.
            unsafe { LATE.tail_call(ctx, 0) };
        }
        enter_cpu(thread, now);
    }
    if concerned {
        ledger::switched(ctx.arg(1), ctx.arg(2));
    }
}

/// The thread leaves the CPU in the task state `sleep`: 0 means that it could run on. Whether its stack is to be walked
/// before its wait begins.
#[inline(always)]
fn leave_cpu(ctx: &BtfTracePointContext, task: *mut u8, thread: &mut Thread, sleep: u32, now: u64) -> bool {
    if sleep & TASK_DEAD != 0 {
        lifecycle::thread_dead(task, thread, now);
        return false;
    }
    let off_cpu = agents::wants(thread.agent, probe::OFF_CPU);
    if !off_cpu && !agents::wants(thread.agent, probe::LEDGER) {
        thread.since = 0;
        thread.state = state::UNSEEN;
        return false;
    }
    thread.accounted = 0;
    thread.waker = 0;
    if sleep == 0 {
        thread.state = state::RUN_QUEUE;
        thread.wait.syscall = NO_SYSCALL;
        thread.wait.descriptor = descriptor::NONE;
        thread.woken = now;
    } else {
        // SAFETY: `task` is the current task.
        let state = unsafe { classify(task, sleep, thread) };
        thread.state = if cuda::waits(thread) { state::GPU } else { state };
        thread.woken = 0;
        if thread.state == state::FUTEX || thread.state == state::LOCK {
            thread.futex = thread.wait.argument;
        }
    }
    if !off_cpu {
        thread.since = 0;
        return false;
    }
    forget_stacks_of_other_epochs(thread);
    thread.kernel_stack = stacks::kernel(ctx, Scratch::Switch, thread.kernel_stack);
    // SAFETY: `task` is the current task.
    let exiting = unsafe { field::<u32>(task, &layout::TASK_FLAGS) } & PF_EXITING != 0;
    if !exiting && has_credit(thread, now) {
        // Who wakes it meanwhile sees that it waits.
        thread.since = now;
        return true;
    }
    thread.user_stack = if exiting { 0 } else { NOT_WALKED };
    // The thread has had the CPU while we worked.
    // SAFETY: the helper has no preconditions.
    thread.since = unsafe { bpf_ktime_get_ns() };
    false
}

/// Walking at switch-out may take 1 % of a thread's time: each nanosecond of it is paid for with a hundred of
/// credit.
const CREDIT_PER_NS: u64 = 100;
/// Credit that a thread can save up, ns: 10 ms of walking.
const MAX_CREDIT: u64 = 1_000_000_000;
/// A wait of at least this gets its stack whatever the budget says, ns.
const LONG_WAIT: u64 = 10_000_000;

/// Whether what was walked for the thread is, but for its credit, paid for.
#[inline(always)]
fn has_credit(thread: &Thread, now: u64) -> bool {
    thread.walk_paid <= now + MAX_CREDIT
}

/// A thread often waits again where it waited last. What was stored in this epoch needs no look-up; what was stored in
/// another one may be gone.
#[inline(always)]
fn forget_stacks_of_other_epochs(thread: &mut Thread) {
    let epoch = epoch::current();
    if thread.stacks_epoch != epoch {
        thread.user_stack = 0;
        thread.kernel_stack = 0;
        thread.stacks_epoch = epoch;
    }
}

/// Whether a thread's wait has become too long to go without its stack, or with what could be had of it when
/// it began.
#[inline(always)]
fn needs_late_stack(thread: &Thread, now: u64) -> bool {
    let since = thread.since;
    thread.user_stack & TAKE_AGAIN != 0
        && since != 0
        && thread.accounted + now.wrapping_sub(since) >= LONG_WAIT
}

/// The stack of `task`, which does not run: it has not changed since the wait began, but the current address
/// space is another's.
#[inline(always)]
fn late_stack(task: *mut u8, thread: &mut Thread, scratch: Scratch) -> u64 {
    // SAFETY: `task` is the tracepoint's or the iterator's.
    let id = unsafe {
        let mm: *const u8 = field(task, &layout::TASK_MM);
        if mm.is_null() {
            return thread.user_stack;
        }
        let registers = Registers::read(bpf_task_pt_regs(task.cast()) as *const u64);
        stacks::user_of(task, mm, thread, registers, scratch)
    };
    if id != 0 {
        return id;
    }
    losses::count(loss::LATE_STACK);
    thread.user_stack
}

#[inline(always)]
fn enter_cpu(thread: &mut Thread, now: u64) {
    let since = exchange(&mut thread.since, 0);
    if since != 0 {
        // Where a window was closed on another CPU since the clock was read, nothing is left to account.
        let end = if now > since { now } else { since };
        let key = key(thread);
        thread.accounted = account(&key, thread.woken, thread.accounted, Stretch { since, end, ended: true });
    }
    thread.state = state::CPU;
}

/// The thread came onto the CPU without a call of `sched_switch`, as is found when it leaves: tracing is off in some
/// contexts (a program does not interrupt itself, and hosts hide threads of their own, from which it then seems
/// that nobody takes over). How long it has run is the scheduler's own account.
#[inline(always)]
fn enter_cpu_unseen(task: *const u8, thread: &mut Thread, now: u64) {
    // SAFETY: `task` is the tracepoint's.
    let (before, runtime): (u64, u64) =
        unsafe { (field(task, &layout::TASK_RUNTIME_AT_SWITCH), field(task, &layout::TASK_RUNTIME)) };
    let entered = now.wrapping_sub(runtime.wrapping_sub(before));
    // Runtime at the switch is the fair scheduler's alone.
    let entered = if entered > thread.woken { entered } else { thread.woken };
    // A thread that the seeding took for asleep, when it was not, has not waited.
    if entered > thread.since || thread.accounted != 0 {
        if needs_late_stack(thread, entered) {
            losses::count(loss::LATE_STACK);
        }
        enter_cpu(thread, entered);
    }
}

/// A stretch of time off the CPU; `ended` if the thread runs again.
struct Stretch {
    since: u64,
    end: u64,
    ended: bool,
}

/// What the thread's present wait is accounted under.
#[inline(always)]
fn key(thread: &Thread) -> OffCpuKey {
    OffCpuKey {
        process: thread.process,
        user_stack: thread.user_stack,
        kernel_stack: thread.kernel_stack,
        agent: thread.agent,
        state: thread.state,
        syscall: thread.wait.syscall,
        descriptor: thread.wait.descriptor,
        waker: thread.waker,
        pad: 0,
    }
}

/// Accounts a stretch of a wait of which `accounted` has been accounted already; returns the two together.
#[inline(always)]
fn account(key: &OffCpuKey, woken: u64, accounted: u64, stretch: Stretch) -> u64 {
    let Stretch { since, end, ended } = stretch;
    let runnable = if woken == 0 || woken > end {
        end
    } else if woken > since {
        woken
    } else {
        since
    };
    let waits = if epoch::is_odd() {
        epoch::entry(&OFF_CPU_ODD, key, &ZERO, loss::OFF_CPU_INSERT)
    } else {
        epoch::entry(&OFF_CPU_EVEN, key, &ZERO, loss::OFF_CPU_INSERT)
    };
    let length = accounted + (end - since);
    let Some(waits) = waits else { return length };
    // SAFETY: a per-CPU value. A switch cannot be interrupted by the other programs that write it; the iterator
    // can, by a switch, and so adds in one instruction.
    let waits = unsafe { &mut *waits };
    if ended {
        waits.blocked += runnable - since;
        waits.run_queue += end - runnable;
        waits.count += 1;
    } else {
        add(&mut waits.blocked, runnable - since);
        add(&mut waits.run_queue, end - runnable);
    }
    if length > waits.max {
        waits.max = length;
    }
    length
}

/// Accounts the wait that `thread` is still in, up to now. Called by the iterator that closes windows.
#[inline(always)]
pub(crate) fn account_ongoing(task: *mut u8, thread: &mut Thread) {
    let since = thread.since;
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if since == 0 || since >= now {
        return;
    }
    // All of it is read before the time is claimed: then the thread may move on to another wait.
    let mut key = key(thread);
    let (woken, accounted, stack) = (thread.woken, thread.accounted, thread.user_stack);
    if needs_late_stack(thread, now) {
        key.user_stack = late_stack(task, thread, Scratch::Iterator);
    }
    // Where the thread moved meanwhile, it accounts itself.
    if !compare_exchange(&mut thread.since, since, now) {
        return;
    }
    let length = account(&key, woken, accounted, Stretch { since, end: now, ended: false });
    if thread.since == now {
        thread.accounted = length;
        compare_exchange(&mut thread.user_stack, stack, key.user_stack);
    }
}
