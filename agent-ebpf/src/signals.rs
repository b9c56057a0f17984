//! Signals that are sent to processes of agents, or by them: who sent which to whom, and what becomes of it. Those that
//! programs use among themselves all the time are left out: of children, timers, and Go's preemption. Of one agent
//! [`MOST`] are told in a second, and the others counted.

use core::ffi::c_void;

use agent_common::{
    agent::SLOTS,
    lifecycle::{Signal, kind, origin, outcome},
    loss,
};
use aya_ebpf::{
    helpers::{
        bpf_ktime_get_ns,
        generated::{bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_task_pt_regs},
    },
    macros::{btf_tracepoint, map},
    maps::Array,
    programs::BtfTracePointContext,
};

use crate::{
    agents,
    layout::{self, PF_EXITING, PF_KTHREAD, field, in_syscall},
    lifecycle, losses, threads,
};

const SIGKILL: u32 = 9;
const SIGCONT: u32 = 18;
const SIGSTOP: u32 = 19;
/// SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGPIPE, SIGTERM, SIGCONT, SIGSTOP, SIGXCPU
/// and SIGSYS, by number.
const TOLD: u32 = bits([1, 2, 3, 4, 6, 7, 8, 9, 11, 13, 15, SIGCONT, SIGSTOP, 24, 31]);
/// What stands for the `siginfo` of a signal that the kernel itself sends.
const SEND_SIG_PRIV: u64 = 1;
/// Where `struct kernel_siginfo` has `si_code`, which is above 0 where the kernel sends the signal: part of the system-call ABI.
const SI_CODE: u64 = 8;
/// The results of a signal that the target ignores, and of one that was pending already.
const RESULT_IGNORED: u32 = 1;
const RESULT_PENDING: u32 = 2;
/// The handler of a process that has not asked for another, and of one that ignores the signal.
const DEFAULT: u64 = 0;
const IGNORE: u64 = 1;
/// The slot of nobody.
const NO_AGENT: u32 = 0;
/// Signals of an agent that are told in one second of 2^30 ns.
const MOST: u64 = 64;

#[repr(C)]
#[derive(Clone, Copy)]
struct Rate {
    second: u64,
    told: u64,
}

#[map]
static SIGNAL_RATES: Array<Rate> = Array::with_max_entries(SLOTS, 0);

const fn bits<const N: usize>(signals: [u32; N]) -> u32 {
    let (mut bits, mut at) = (0, 0);
    while at < N {
        bits |= 1 << signals[at];
        at += 1;
    }
    bits
}

/// Whether the kernel sends a signal with this `siginfo`: by itself, or for a fault of the target.
///
/// # Safety
/// `info` is the tracepoint's argument.
#[inline(always)]
unsafe fn is_of_kernel(info: u64) -> bool {
    if info <= SEND_SIG_PRIV || layout::CAN_READ_KERNEL.load() == 0 {
        return info == SEND_SIG_PRIV;
    }
    let mut code = 0_i32;
    // SAFETY: the helper checks the address.
    let read = unsafe {
        let to = (&raw mut code).cast();
        bpf_probe_read_kernel(to, size_of::<i32>() as u32, (info + SI_CODE) as *const c_void)
    };
    read == 0 && code > 0
}

/// signal_generate(sig, info, task, group, result)
#[btf_tracepoint(function = "signal_generate")]
fn signal_generate(ctx: BtfTracePointContext) -> u32 {
    let signal: u32 = ctx.arg(0);
    let result: u32 = ctx.arg(4);
    // What is pending already was told when it was sent first.
    if signal > 31 || TOLD >> signal & 1 == 0 || result == RESULT_PENDING {
        return 0;
    }
    let target: *mut u8 = ctx.arg(2);
    // SAFETY: the helper has no preconditions.
    let current: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    let (agent, sender_agent) = (agent_of(target), agent_of(current));
    if agent == NO_AGENT && sender_agent == NO_AGENT {
        return 0;
    }
    // SAFETY: both are tasks: the tracepoint's argument, and the current one.
    let (process, sender) = unsafe { (threads::process_of(target), threads::process_of(current)) };
    // A program that ignores what it does to itself, such as writing to a pipe without a reader, does that often.
    if result == RESULT_IGNORED && process == sender {
        return 0;
    }
    // SAFETY: as above.
    let origin = if unsafe { is_of_kernel(ctx.arg(1)) } {
        origin::KERNEL
    } else if process == sender || unsafe { sends(current) } {
        origin::PROCESS
    } else {
        origin::UNKNOWN
    };
    let sender = if origin == origin::PROCESS { sender } else { 0 };
    // Where no process sends it, the current one need have nothing to do with it.
    if agent == NO_AGENT && sender == 0 {
        return 0;
    }
    // SAFETY: the helper has no preconditions.
    let at = unsafe { bpf_ktime_get_ns() };
    if may_tell(if agent == NO_AGENT { sender_agent } else { agent }, at)
        && let Some(mut event) = lifecycle::reserve::<Signal>()
    {
        let record = event.as_mut_ptr();
        // SAFETY: the record is ours until it is submitted, and every field is written; the tasks are as above.
        unsafe {
            (*record).kind = kind::SIGNAL;
            (*record).signal = signal;
            (*record).at = at;
            (*record).process = process;
            (*record).sender = sender;
            (*record).origin = origin;
            (*record).outcome = outcome(target, signal, result);
            (*record).comm = comm(target);
            (*record).sender_comm = comm(current);
        }
        event.submit(0);
    }
    0
}

/// The slot of the agent that `task` is of.
#[inline(always)]
fn agent_of(task: *mut u8) -> u32 {
    match threads::get(task) {
        Some(thread) if agents::is_live(thread.agent) => thread.agent,
        _ => NO_AGENT,
    }
}

/// Whether the current task sends the signal itself: an interrupt, such as a timer's, borrows whatever task it hits.
///
/// # Safety
/// `current` is the current task.
#[inline(always)]
unsafe fn sends(current: *mut u8) -> bool {
    // SAFETY: by contract.
    unsafe {
        let flags: u32 = field(current, &layout::TASK_FLAGS);
        flags & PF_KTHREAD == 0
            && (flags & PF_EXITING != 0 || in_syscall(bpf_task_pt_regs(current.cast()) as *const u64))
    }
}

/// What becomes of the signal.
///
/// # Safety
/// `target` is the task that it is sent to, whose handlers the kernel holds locked.
#[inline(always)]
unsafe fn outcome(target: *const u8, signal: u32, result: u32) -> u32 {
    match signal {
        // Whoever handles it or not, the process goes on.
        SIGCONT => return outcome::CONTINUES,
        _ if result == RESULT_IGNORED => return outcome::IGNORED,
        SIGKILL => return outcome::ENDS,
        SIGSTOP => return outcome::STOPS,
        _ => {}
    }
    if layout::CAN_READ_KERNEL.load() == 0 {
        return outcome::UNKNOWN;
    }
    let mut handler = 0u64;
    // SAFETY: the helper checks the address; `handler` is as long as what is read.
    let read = unsafe {
        let handlers: u64 = field(target, &layout::TASK_SIGHAND);
        let number = u64::from(signal - 1);
        let at = handlers
            + u64::from(layout::SIGHAND_ACTION.load())
            + number * u64::from(layout::SIGACTION_SIZE.load());
        bpf_probe_read_kernel((&raw mut handler).cast(), 8, at as *const _)
    };
    match handler {
        _ if read != 0 => outcome::UNKNOWN,
        DEFAULT => outcome::ENDS,
        // It is blocked, and will be ignored once it is not.
        IGNORE => outcome::IGNORED,
        _ => outcome::HANDLED,
    }
}

/// The name of the process that `task` is of.
///
/// # Safety
/// `task` is a task.
#[inline(always)]
unsafe fn comm(task: *const u8) -> [u8; 16] {
    // SAFETY: by contract; group_leader is never null.
    unsafe {
        let leader: *const u8 = field(task, &layout::TASK_GROUP_LEADER);
        field(leader, &layout::TASK_COMM)
    }
}

/// Whether one more may be told of the agent in this second. CPUs that count at once may tell some more.
#[inline(always)]
fn may_tell(agent: u32, now: u64) -> bool {
    let Some(rate) = SIGNAL_RATES.get_ptr_mut(agent) else { return false };
    let second = now >> 30;
    // SAFETY: an element of an array map, whose words are written one by one.
    let may = unsafe {
        if (*rate).second != second {
            (*rate).second = second;
            (*rate).told = 0;
        }
        (*rate).told += 1;
        (*rate).told <= MOST
    };
    if !may {
        losses::count(loss::SIGNAL_RATE);
    }
    may
}
