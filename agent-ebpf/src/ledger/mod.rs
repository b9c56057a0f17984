//! The ledger: for each agent the set of what its threads do, timed where it changes. A thread is counted under one
//! bit of its agent's set, by its role and its state; in which state it is, `off_cpu` has classified already.
//!
//! `set` moves counts, `helpers` tells helpers from tools, `connections` follows what is asked of models and other hosts.

mod connections;
mod helpers;
mod marks;
mod set;

use agent_common::{
    agent::probe,
    ledger::{OUTSIDE, QUIET, QUIET_AT_TOOL, bit, role},
    thread::{Thread, descriptor, state},
};

pub(crate) use self::marks::mark;
use self::set::{Move, shift, shift_after};
use crate::{
    agents,
    clock::now,
    layout::{self, field},
    threads,
};

/// `task_struct.flags`: the task has executed no program since it was forked.
const PF_FORKNOEXEC: u32 = 0x40;

/// The bit for a role and a state.
#[inline(always)]
fn bit_of(role: u16, state: u32) -> u32 {
    ((role as u32 & 3) << 4) | (state & 15)
}

/// The state of a bit.
#[inline(always)]
fn state_of(bit: u32) -> u32 {
    bit & 15
}

/// Whether a thread in this state may be waiting for somebody to ask it something.
#[inline(always)]
fn waits_for_input(state: u32) -> bool {
    matches!(state, state::IPC | state::POLL | state::TERMINAL | state::FUTEX | OUTSIDE)
}

#[inline(always)]
fn is_watched(thread: &Thread) -> bool {
    agents::wants(thread.agent, probe::LEDGER)
}

/// The bit that a thread of a tool enters beside its own, once.
#[inline(always)]
fn comes_alive(thread: &mut Thread) -> u32 {
    if thread.role == role::TOOL && thread.helper == 0 && thread.alive == 0 {
        thread.alive = 1;
        bit::TOOL_ALIVE
    } else {
        bit::NONE
    }
}

/// The bit that a thread leaves beside its own when it ends, or when its process turns out to be a helper.
#[inline(always)]
fn goes(thread: &mut Thread) -> u32 {
    if thread.alive != 0 {
        thread.alive = 0;
        bit::TOOL_ALIVE
    } else {
        bit::NONE
    }
}

/// A switch, of which each thread's `state` is known by now. Both threads move at once, under one lock, where they
/// are of one agent: else the set would flicker.
#[inline(always)]
pub(crate) fn switched(prev: *mut u8, next: *mut u8) {
    let entering = threads::get(next);
    if let Some(left) = threads::get(prev)
        && is_watched(left)
    {
        let to = leaves_cpu(left);
        let slot = left.agent;
        if let Some(entered) = entering {
            let on_cpu = bit_of(entered.role, state::CPU);
            let entered_slot = entered.agent;
            if entered_slot == slot {
                shift(
                    slot,
                    now(),
                    Some(Move { thread: left, to }),
                    Some(Move { thread: entered, to: on_cpu }),
                    bit::NONE,
                    bit::NONE,
                );
                return;
            }
            if is_watched(entered) {
                shift(
                    entered_slot,
                    now(),
                    Some(Move { thread: entered, to: on_cpu }),
                    None,
                    bit::NONE,
                    bit::NONE,
                );
            }
        }
        shift(slot, now(), Some(Move { thread: left, to }), None, bit::NONE, bit::NONE);
    } else if let Some(entered) = entering
        && is_watched(entered)
    {
        let (slot, to) = (entered.agent, bit_of(entered.role, state::CPU));
        shift(slot, now(), Some(Move { thread: entered, to }), None, bit::NONE, bit::NONE);
    }
}

/// What a thread that has left the CPU counts under. A helper that waits for input again has served, unless it is for what it
/// has itself asked of somebody.
#[inline(always)]
fn leaves_cpu(thread: &mut Thread) -> u32 {
    let state = waits_as(thread);
    if thread.helper != 0 && thread.role == role::TOOL && waits_for_input(state) {
        if state == state::POLL && connections::waits_upstream(thread.process) {
            return bit_of(role::TOOL, state::NETWORK);
        }
        thread.role = role::HELPER;
    }
    counts_as(thread, state)
}

/// The state that the ledger has a waiting thread in. An own thread that waits on a futex for so long at most, and on none that
/// is known for a lock, sleeps: it goes on by itself, whoever else may wake it.
#[inline(always)]
fn waits_as(thread: &Thread) -> u32 {
    match thread.state {
        state::IPC | state::NETWORK if thread.outside != 0 => OUTSIDE,
        state::FUTEX if thread.timed != 0 && thread.role == role::OWN => state::TIMER,
        // An eventfd, inotify, a signal: as if it were polled.
        state::OTHER
            if thread.wait.descriptor == descriptor::ANONYMOUS || waits_for_signal(thread.wait.syscall) =>
        {
            state::POLL
        }
        state => state,
    }
}

/// pause, rt_sigtimedwait, rt_sigsuspend. It may be for the end of a child, as in dash.
#[inline(always)]
fn waits_for_signal(syscall: u32) -> bool {
    matches!(syscall, 34 | 128 | 130)
}

/// The bit of a thread in this state. A launcher waits for the agent itself, which is nothing that the agent waits for.
#[inline(always)]
fn counts_as(thread: &Thread, state: u32) -> u32 {
    let launcher = thread.role == role::OWN && thread.helper != 0;
    bit_of(if launcher && state > state::DISK { role::HELPER } else { thread.role }, state)
}

/// A thread that waited can run. A helper that was asked on the agent's behalf serves from now on: it is a tool.
#[inline(always)]
pub(crate) fn woken(thread: &mut Thread) {
    if state_of(thread.counted) <= state::RUN_QUEUE {
        return;
    }
    if thread.role == role::HELPER && thread.asked != 0 {
        thread.role = role::TOOL;
    }
    thread.asked = 0;
    let (slot, to) = (thread.agent, bit_of(thread.role, state::RUN_QUEUE));
    shift(slot, now(), Some(Move { thread, to }), None, bit::NONE, bit::NONE);
}

/// A helper is asked on the agent's behalf if the agent itself wakes it, or a thread of its own that serves.
#[inline(always)]
pub(crate) fn is_asked_by(thread: &mut Thread, waker: &Thread) {
    let serves = waker.process == thread.process && waker.helper != 0 && waker.role == role::TOOL;
    let agents = waker.agent == thread.agent && waker.role == role::OWN;
    thread.asked = (serves || agents) as u16;
    if waker.helper != 0
        && waker.role == role::TOOL
        && thread.agent == waker.agent
        && thread.role == role::OWN
    {
        connections::has_told(waker.process);
    }
}

/// A thread of an agent was forked. A process has its parent's role until it executes a program.
#[inline(always)]
pub(crate) fn forked(thread: &mut Thread, role: u16, helper: u16) {
    if !is_watched(thread) {
        return;
    }
    (thread.role, thread.helper) = (role, helper);
    let to = bit_of(role, state::RUN_QUEUE);
    let alive = comes_alive(thread);
    let slot = thread.agent;
    shift(slot, now(), Some(Move { thread, to }), None, bit::NONE, alive);
}

/// A process of an agent executed a program: it is a tool, unless it is the agent itself. What a helper runs while nobody
/// asks it is a helper too.
#[inline(always)]
pub(crate) fn executed(thread: &mut Thread) {
    if !is_watched(thread) {
        return;
    }
    let slot = thread.agent;
    if thread.role == role::HELPER {
        thread.helper = 1;
    } else {
        let is_root = thread.process as u32 & PID_MASK == agents::root(slot);
        (thread.role, thread.helper) = (if is_root { thread.role } else { role::TOOL }, 0);
    }
    let to = bit_of(thread.role, state::CPU);
    let alive = comes_alive(thread);
    let quiet = if thread.role == role::TOOL { QUIET_AT_TOOL } else { QUIET };
    shift_after(quiet, slot, now(), Some(Move { thread, to }), None, bit::NONE, alive);
}

/// The bits of a process's identity that are its pid.
const PID_MASK: u32 = (1 << agent_common::thread::PID_BITS) - 1;

/// A running thread was taken into an agent, in the middle of its life. What waits for input by then, other than the
/// agent's own, is taken for a helper.
///
/// # Safety
/// `task` is trusted.
#[inline(always)]
pub(crate) unsafe fn placed(task: *const u8, thread: &mut Thread) {
    if !is_watched(thread) {
        return;
    }
    // SAFETY: by contract; neither the leader nor the real parent is ever null.
    let (on_cpu, forked_only, parent) = unsafe {
        let leader: *const u8 = field(task, &layout::TASK_GROUP_LEADER);
        (
            field::<u32>(task, &layout::TASK_ON_CPU) != 0,
            // A thread has never executed anything by itself: its process has.
            field::<u32>(leader, &layout::TASK_FLAGS) & PF_FORKNOEXEC != 0,
            field::<*mut u8>(task, &layout::TASK_REAL_PARENT),
        )
    };
    let own = thread.process as u32 & PID_MASK == agents::root(thread.agent);
    let of_parent = match threads::get(parent) {
        Some(parent) if forked_only && parent.agent == thread.agent => parent.role,
        _ => role::TOOL,
    };
    thread.role = if own { role::OWN } else { of_parent };
    let state = if on_cpu {
        state::CPU
    } else if thread.state <= state::RUN_QUEUE {
        state::RUN_QUEUE
    } else {
        waits_as(thread)
    };
    if thread.role != role::OWN && waits_for_input(state) {
        (thread.role, thread.helper) = (role::HELPER, 1);
    }
    let to = bit_of(thread.role, state);
    let alive = comes_alive(thread);
    let slot = thread.agent;
    set::enter(slot, now(), Move { thread, to }, alive);
}

/// A thread runs no more.
#[inline(always)]
pub(crate) fn ended(thread: &mut Thread) {
    if thread.counted == bit::NONE {
        return;
    }
    let alive = goes(thread);
    let slot = thread.agent;
    shift(slot, now(), Some(Move { thread, to: bit::NONE }), None, alive, bit::NONE);
}
