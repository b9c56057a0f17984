//! Tools that turn out to be helpers. When an agent sends a request to its model, a process of a tool all of whose
//! threads wait for input is none that the agent waits for: an MCP server, a language server, a shell that is kept.
//! The daemon looks at the threads (`tool_threads`), decides by process, and has the verdict carried out
//! (`demote_helpers`).

use core::ffi::c_void;

use agent_common::{
    ledger::{ToolThread, bit, role},
    loss,
    thread::Thread,
};
use aya_ebpf::{
    helpers::generated::bpf_seq_write,
    macros::map,
    maps::{Array, HashMap},
};

use super::{
    bit_of, goes, is_watched, now,
    set::{Move, shift},
    state_of, waits_for_input,
};
use crate::{
    losses,
    seed::{seq_of, task_of},
    threads,
};

/// The slot that `tool_threads` looks at.
#[map]
static TOOLS_OF: Array<u32> = Array::with_max_entries(1, 0);

/// Processes that are helpers.
#[map]
static HELPERS: HashMap<u64, u32> = HashMap::with_max_entries(1024, 0);

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
    let seen = ToolThread { process: thread.process, agent: thread.agent, counted: thread.counted };
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
extern "C" fn demote_helpers(ctx: *mut c_void) -> i32 {
    // SAFETY: an iter/task program; `task` is trusted.
    let Some(task) = (unsafe { task_of(ctx) }) else { return 0 };
    let Some(thread) = threads::get(task) else { return 0 };
    if thread.alive != 0 && is_watched(thread) && HELPERS.get_ptr(thread.process).is_some() {
        demote(thread);
    }
    0
}

/// A thread that has gone on meanwhile serves until it next waits for input.
#[inline(always)]
fn demote(thread: &mut Thread) {
    let state = state_of(thread.counted);
    thread.helper = 1;
    if waits_for_input(state) {
        thread.role = role::HELPER;
    }
    let alive = goes(thread);
    let (slot, to) = (thread.agent, bit_of(thread.role, state));
    shift(slot, now(), Some(Move { thread, to }), None, alive, bit::NONE);
}
