//! Processes that turn out to be something else than the tools that they were taken for. When an agent sends a request to
//! its model, a process of a tool all of whose threads wait for input is none that the agent waits for: an MCP server, a
//! language server, a shell that is kept. What a launcher launches is the agent itself, and what a tool leaves behind is
//! nobody's tool any more; both are known to the daemon alone. It looks at the threads (`tool_threads`), decides by
//! process, and has its verdicts carried out (`carry_out_verdicts`).

use core::ffi::c_void;

use agent_common::{
    ledger::{ToolThread, bit, role, verdict},
    loss,
    thread::{Thread, state::CHILD},
};
use aya_ebpf::{
    helpers::generated::bpf_seq_write,
    macros::map,
    maps::{Array, HashMap},
};

use super::{
    counts_as, goes, is_watched, now,
    set::{Move, shift},
    state_of, waits_for_input,
};
use crate::{
    layout::{self, field},
    losses,
    seed::{seq_of, task_of},
    threads,
};

/// The slot that `tool_threads` looks at.
#[map]
static TOOLS_OF: Array<u32> = Array::with_max_entries(1, 0);

/// Processes, and what each was found to be.
#[map]
static VERDICTS: HashMap<u64, u32> = HashMap::with_max_entries(1024, 0);

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn tool_threads(ctx: *mut c_void) -> i32 {
    // SAFETY: an iter/task program; `task` is trusted.
    let Some(task) = (unsafe { task_of(ctx) }) else { return 0 };
    let Some(slot) = TOOLS_OF.get(0) else { return 0 };
    let Some(thread) = threads::get(task) else { return 0 };
    if thread.agent != *slot || thread.alive == 0 {
        return 0;
    }
    // SAFETY: the real parent is never null.
    let parent = unsafe { threads::process_of(field(task, &layout::TASK_REAL_PARENT)) };
    let seen = ToolThread { process: thread.process, parent, agent: thread.agent, counted: thread.counted };
    // SAFETY: the context of this run; `seen` is as long as is said.
    let written = unsafe {
        bpf_seq_write(seq_of(ctx), (&raw const seen).cast_mut().cast(), size_of::<ToolThread>() as u32)
    };
    if written != 0 {
        losses::count(loss::SEED_OUTPUT);
    }
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn carry_out_verdicts(ctx: *mut c_void) -> i32 {
    // SAFETY: an iter/task program; `task` is trusted.
    let Some(task) = (unsafe { task_of(ctx) }) else { return 0 };
    let Some(thread) = threads::get(task) else { return 0 };
    if thread.counted == bit::NONE || !is_watched(thread) {
        return 0;
    }
    let Some(found) = VERDICTS.get_ptr(thread.process) else { return 0 };
    // SAFETY: an element of the map.
    become_other(thread, unsafe { *found });
    0
}

/// A helper's thread that has gone on meanwhile serves until it next waits for input.
#[inline(always)]
fn become_other(thread: &mut Thread, found: u32) {
    let state = state_of(thread.counted);
    match found {
        verdict::OWN => (thread.role, thread.helper) = (role::OWN, 0),
        verdict::LEFT => (thread.role, thread.helper) = (role::HELPER, 1),
        verdict::LAUNCHER => (thread.role, thread.helper) = (role::OWN, 1),
        _ if thread.alive == 0 => return,
        _ => {
            thread.helper = 1;
            // Who waits for a child that is a helper is one.
            if waits_for_input(state) || state == CHILD {
                thread.role = role::HELPER;
            }
        }
    }
    let alive = goes(thread);
    let (slot, to) = (thread.agent, counts_as(thread, state));
    shift(slot, now(), Some(Move { thread, to }), None, alive, bit::NONE);
}
