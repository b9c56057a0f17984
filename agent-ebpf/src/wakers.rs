//! Who ends a wait, and when it could have gone on: what `off_cpu` accounts when the thread runs again.

use agent_common::{
    ledger::role,
    thread::{Thread, state},
};
use aya_ebpf::{
    helpers::{
        bpf_ktime_get_ns,
        generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::{
    layout::{self, PF_EXITING, PF_KTHREAD, field, in_syscall},
    ledger, threads,
    wait::{self, Futex},
};

/// Run-queue delay starts here; not at sched_waking, which can precede the sleeper's own switch-out.
#[btf_tracepoint(function = "sched_wakeup")]
fn sched_wakeup(ctx: BtfTracePointContext) -> u32 {
    if let Some(thread) = threads::get(ctx.arg(0))
        && thread.state > state::RUN_QUEUE
        && thread.woken == 0
    {
        // SAFETY: the helper has no preconditions.
        thread.woken = unsafe { bpf_ktime_get_ns() };
        ledger::woken(thread);
    }
    0
}

/// Names the waker. An interrupt borrows whatever task it hits, so a waker must be in a syscall or exiting.
#[btf_tracepoint(function = "sched_waking")]
fn sched_waking(ctx: BtfTracePointContext) -> u32 {
    let Some(thread) = threads::get(ctx.arg(0)) else { return 0 };
    if thread.woken != 0 || !can_be_woken_by_a_process(thread.state) {
        return 0;
    }
    // SAFETY: the current task is trusted.
    unsafe {
        let waker: *mut u8 = bpf_get_current_task_btf().cast();
        let flags: u32 = field(waker, &layout::TASK_FLAGS);
        if flags & PF_KTHREAD != 0 {
            return 0;
        }
        if flags & PF_EXITING == 0 && !in_syscall(bpf_task_pt_regs(waker.cast()) as *const u64) {
            return 0;
        }
        thread.waker = field(waker, &layout::TASK_TGID);
        if thread.state == state::FUTEX || thread.state == state::LOCK {
            thread.futex_waker = field(waker, &layout::TASK_PID);
        }
        look_at(thread, waker);
    }
    0
}

#[inline(always)]
fn can_be_woken_by_a_process(state: u32) -> bool {
    matches!(
        state,
        state::CHILD
            | state::IPC
            | state::NETWORK
            | state::LOCK
            | state::FUTEX
            | state::POLL
            | state::TERMINAL
    )
}

/// What the waker tells of the wait: a futex whose waker has itself waited on it is a lock, which is handed over, not
/// signalled; a helper may have been asked, or have answered.
#[inline(always)]
fn look_at(thread: &mut Thread, waker: *mut u8) {
    let listens =
        thread.role == role::OWN && matches!(thread.state, state::POLL | state::IPC | state::NETWORK);
    if thread.state != state::FUTEX && thread.role != role::HELPER && !listens {
        return;
    }
    let Some(waker) = threads::get(waker) else { return };
    ledger::is_asked_by(thread, waker);
    if thread.state == state::FUTEX && waker.process == thread.process && waker.futex == thread.wait.argument
    {
        wait::learn_lock(Futex { process: thread.process, address: thread.wait.argument });
    }
}
