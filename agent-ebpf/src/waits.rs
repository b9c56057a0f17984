//! Shows what every thread of every agent does or waits for, when somebody asks: an iterator, which costs nothing
//! otherwise.

use core::ffi::c_void;

use agent_common::{loss, waits::ThreadWait};
use aya_ebpf::helpers::generated::bpf_seq_write;

use crate::{
    layout::{self, field},
    losses,
    seed::{seq_of, task_of},
    threads,
};

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn show_waits(ctx: *mut c_void) -> i32 {
    // SAFETY: an iter/task program; `task` is trusted.
    unsafe {
        let Some(task) = task_of(ctx) else { return 0 };
        let Some(thread) = threads::get(task) else { return 0 };
        if thread.agent == 0 {
            return 0;
        }
        let parent: *const u8 = field(task, &layout::TASK_REAL_PARENT);
        let seen = ThreadWait {
            process: thread.process,
            since: thread.since,
            woken: thread.woken,
            accounted: thread.accounted,
            argument: thread.wait.argument,
            tid: field(task, &layout::TASK_PID),
            parent: field(parent, &layout::TASK_TGID),
            agent: thread.agent,
            state: thread.state,
            syscall: thread.wait.syscall,
            descriptor: thread.wait.descriptor,
            futex_waker: thread.futex_waker,
            outside: thread.outside,
            role: u32::from(thread.role),
            pad: 0,
        };
        let length = size_of::<ThreadWait>() as u32;
        if bpf_seq_write(seq_of(ctx), (&raw const seen).cast_mut().cast(), length) != 0 {
            losses::count(loss::SEED_OUTPUT);
        }
    }
    0
}
