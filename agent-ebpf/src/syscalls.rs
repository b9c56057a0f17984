//! Syscall statistics per process: counts, errors by errno, time, latency histogram. Attached only while
//! some agent wants them, because these two hooks tax every process of the host.

use agent_common::{
    agent::probe,
    loss,
    syscalls::{ErrorKey, SyscallKey, SyscallValue},
};
use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    helpers::{bpf_ktime_get_ns, generated::bpf_get_current_task_btf},
    macros::{btf_tracepoint, map},
    maps::PerCpuHashMap,
    programs::BtfTracePointContext,
};

use crate::{agents, clock::bucket, epoch, layout::regs, threads};

type Calls = PerCpuHashMap<SyscallKey, SyscallValue>;
type Errors = PerCpuHashMap<ErrorKey, u64>;

#[map]
static SYSCALLS_EVEN: Calls = PerCpuHashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);
#[map]
static SYSCALLS_ODD: Calls = PerCpuHashMap::with_max_entries(16_384, BPF_F_NO_PREALLOC);
#[map]
static ERRORS_EVEN: Errors = PerCpuHashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);
#[map]
static ERRORS_ODD: Errors = PerCpuHashMap::with_max_entries(8192, BPF_F_NO_PREALLOC);

static ZERO_CALLS: SyscallValue = SyscallValue::ZERO;
static ZERO_ERRORS: u64 = 0;

const RT_SIGRETURN: u32 = 15;

#[btf_tracepoint(function = "sys_enter")]
fn sys_enter(_ctx: BtfTracePointContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    if let Some(thread) = threads::get(task.cast())
        && agents::wants(thread.agent, probe::SYSCALLS)
    {
        // SAFETY: the helper has no preconditions.
        thread.syscall_at = unsafe { bpf_ktime_get_ns() };
    }
    0
}

#[btf_tracepoint(function = "sys_exit")]
fn sys_exit(ctx: BtfTracePointContext) -> u32 {
    // SAFETY: the helper has no preconditions.
    let task = unsafe { bpf_get_current_task_btf() };
    let Some(thread) = threads::get(task.cast()) else { return 0 };
    let begun = thread.syscall_at;
    if begun == 0 {
        return 0;
    }
    thread.syscall_at = 0;
    // SAFETY: the helper has no preconditions.
    let took = unsafe { bpf_ktime_get_ns() }.wrapping_sub(begun);
    let registers: *const u64 = ctx.arg(0);
    // SAFETY: the tracepoint's first argument is a `struct pt_regs *`.
    let number = unsafe { *registers.add(regs::ORIG_AX) } as u32;
    // rt_sigreturn leaves -1 there, and what it "returns" is the interrupted call's result.
    let (number, result) = if number == u32::MAX { (RT_SIGRETURN, 0) } else { (number, ctx.arg::<i64>(1)) };
    let key = SyscallKey { process: thread.process, agent: thread.agent, number };
    record(&key, took, result);
    0
}

#[inline(always)]
fn record(key: &SyscallKey, took: u64, result: i64) {
    let odd = epoch::is_odd();
    let calls = if odd {
        epoch::entry(&SYSCALLS_ODD, key, &ZERO_CALLS, loss::SYSCALL_INSERT)
    } else {
        epoch::entry(&SYSCALLS_EVEN, key, &ZERO_CALLS, loss::SYSCALL_INSERT)
    };
    if let Some(calls) = calls {
        // SAFETY: a per-CPU value, written only here, where nothing of ours interrupts.
        unsafe { add(&mut *calls, took) }
    }
    if (-4095..0).contains(&result) {
        record_error(key, odd, errno(result));
    }
}

#[inline(always)]
fn add(calls: &mut SyscallValue, took: u64) {
    calls.count += 1;
    calls.total += took;
    if took > calls.max {
        calls.max = took;
    }
    if let Some(bucket) = calls.histogram.get_mut(bucket(took)) {
        *bucket += 1;
    }
}

/// The errno that the program sees. The kernel's own restart codes (512–516) become EINTR.
#[inline(always)]
fn errno(result: i64) -> u64 {
    const EINTR: u64 = 4;
    let errno = result.wrapping_neg() as u64;
    if errno >= 512 && errno <= 516 { EINTR } else { errno }
}

#[inline(always)]
fn record_error(key: &SyscallKey, odd: bool, errno: u64) {
    let key = ErrorKey { process: key.process, agent: key.agent, number: key.number, errno };
    let count = if odd {
        epoch::entry(&ERRORS_ODD, &key, &ZERO_ERRORS, loss::SYSCALL_ERROR_INSERT)
    } else {
        epoch::entry(&ERRORS_EVEN, &key, &ZERO_ERRORS, loss::SYSCALL_ERROR_INSERT)
    };
    if let Some(count) = count {
        // SAFETY: as in `record`.
        unsafe { *count += 1 }
    }
}
