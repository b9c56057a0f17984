//! On-CPU samples: a timer on each CPU asks who runs, and where.

use agent_common::{agent::probe, cpu::CpuKey, loss};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs},
    macros::{map, perf_event},
    maps::PerCpuHashMap,
    programs::PerfEventContext,
};

use crate::{
    agents, epoch,
    layout::{self, PF_EXITING, field, regs},
    stacks::{self, Scratch},
    threads,
    walk::Registers,
};

type Samples = PerCpuHashMap<CpuKey, u64>;

// Preallocated: a sample may interrupt anything, the memory allocator too.
#[map]
static CPU_EVEN: Samples = PerCpuHashMap::with_max_entries(8192, 0);
#[map]
static CPU_ODD: Samples = PerCpuHashMap::with_max_entries(8192, 0);

static ZERO: u64 = 0;

#[perf_event]
fn cpu_sample(ctx: PerfEventContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    let Some(thread) = threads::get(task) else { return 0 };
    if !agents::wants(thread.agent, probe::CPU) {
        return 0;
    }
    // SAFETY: `task` is the current task.
    let exiting = unsafe { field::<u32>(task, &layout::TASK_FLAGS) } & PF_EXITING != 0;
    let in_user_mode = in_user_mode(&ctx);
    let user_stack = if exiting {
        0
    } else {
        // SAFETY: the context begins with the interrupted pt_regs; `task` is the current task.
        let registers = unsafe {
            if in_user_mode {
                Registers::read(ctx.as_ptr().cast())
            } else {
                Registers::read(bpf_task_pt_regs(task.cast()) as *const u64)
            }
        };
        stacks::user(&ctx, task, thread, registers, Scratch::Sample, 0)
    };
    let kernel_stack = if in_user_mode { 0 } else { stacks::kernel(&ctx, Scratch::Sample, 0) };
    let key = CpuKey { process: thread.process, user_stack, kernel_stack, agent: thread.agent, pad: 0 };
    let samples = if epoch::is_odd() {
        epoch::entry(&CPU_ODD, &key, &ZERO, loss::CPU_INSERT)
    } else {
        epoch::entry(&CPU_EVEN, &key, &ZERO, loss::CPU_INSERT)
    };
    if let Some(samples) = samples {
        // SAFETY: a per-CPU value; samples do not interrupt each other.
        unsafe { *samples += 1 }
    }
    0
}

/// Whether the sample interrupted user code.
#[inline(always)]
fn in_user_mode(ctx: &PerfEventContext) -> bool {
    // SAFETY: the context begins with the interrupted pt_regs.
    let cs = unsafe { core::ptr::read_volatile(ctx.as_ptr().cast::<u64>().add(regs::CS)) };
    cs & 3 == 3
}
