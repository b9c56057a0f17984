//! Calls of CUDA's driver API, by probes that are attached to single processes. What does not wait is counted when it
//! is called, which costs one probe; what waits, and what takes memory, when it returns. Programs of this kind can be
//! preempted, so that sums are added to atomically.

use agent_common::{
    agent::probe,
    cuda::{Cookie, CudaKey, CudaValue},
    loss,
    thread::Thread,
};
use aya_ebpf::{
    EbpfContext,
    bindings::BPF_F_NO_PREALLOC,
    helpers::{
        bpf_ktime_get_ns,
        generated::{bpf_get_attach_cookie, bpf_get_current_task_btf},
    },
    macros::{map, uprobe, uretprobe},
    maps::PerCpuHashMap,
    programs::{ProbeContext, RetProbeContext},
};

use crate::{
    agents,
    atomics::{add, compare_exchange, exchange},
    epoch,
    layout::regs,
    threads,
};

type Calls = PerCpuHashMap<CudaKey, CudaValue>;

#[map]
static CUDA_EVEN: Calls = PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);
#[map]
static CUDA_ODD: Calls = PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

static ZERO: CudaValue = CudaValue::ZERO;

/// On what is counted when it is called.
#[uprobe]
fn cuda_call(ctx: ProbeContext) -> u32 {
    if let Some(thread) = caller() {
        let cookie = cookie(&ctx);
        if let Some(calls) = calls(thread, cookie) {
            add(&mut calls.calls, 1);
            add(&mut calls.bytes, bytes(&ctx, cookie));
        }
    }
    0
}

/// On the first instruction of what is counted when it returns.
#[uprobe]
fn cuda_enter(ctx: ProbeContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    let stack = register::<{ regs::SP }, _>(&ctx);
    // A call within a call is a part of it. One that began no deeper than this has ended unseen.
    if thread.cuda_at != 0 && stack < thread.cuda_stack {
        return 0;
    }
    let cookie = cookie(&ctx);
    thread.cuda_stack = stack;
    thread.cuda_bytes = bytes(&ctx, cookie);
    thread.cuda_cookie = cookie.0;
    thread.cuda_accounted = 0;
    // SAFETY: the helper has no preconditions.
    thread.cuda_at = unsafe { bpf_ktime_get_ns() };
    0
}

/// On the return of the same.
#[uretprobe]
fn cuda_return(ctx: RetProbeContext) -> u32 {
    let Some(thread) = caller() else { return 0 };
    // The return address has been taken off the stack.
    if register::<{ regs::SP }, _>(&ctx) != thread.cuda_stack.wrapping_add(8) {
        return 0;
    }
    let since = exchange(&mut thread.cuda_at, 0);
    if since == 0 {
        return 0;
    }
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    // A window may have been closed on another CPU since.
    let took = if now > since { now - since } else { 0 };
    let failed = register::<{ regs::AX }, _>(&ctx) as u32 != 0;
    let (bytes, accounted) = (thread.cuda_bytes, thread.cuda_accounted);
    if let Some(calls) = calls(thread, Cookie(thread.cuda_cookie)) {
        add(&mut calls.calls, 1);
        if failed {
            add(&mut calls.errors, 1);
        } else {
            add(&mut calls.bytes, bytes);
        }
        add_time(calls, took, accounted);
    }
    0
}

/// Whether the thread is in a call that waits for the GPU: then so does it, whatever it sleeps on.
#[inline(always)]
pub(crate) fn waits(thread: &Thread) -> bool {
    thread.cuda_at != 0 && Cookie(thread.cuda_cookie).waits()
}

/// Accounts the call that the thread is still in, up to now. Called by the iterator that closes windows.
#[inline(always)]
pub(crate) fn account_ongoing(thread: &mut Thread) {
    let since = thread.cuda_at;
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    if since == 0 || since >= now || !agents::wants(thread.agent, probe::CUDA) {
        return;
    }
    let (cookie, accounted) = (Cookie(thread.cuda_cookie), thread.cuda_accounted);
    // Where it returned meanwhile, it was accounted there.
    if !compare_exchange(&mut thread.cuda_at, since, now) {
        return;
    }
    thread.cuda_accounted = accounted + (now - since);
    if let Some(calls) = calls(thread, cookie) {
        add_time(calls, now - since, accounted);
    }
}

#[inline(always)]
fn add_time(calls: &mut CudaValue, took: u64, before: u64) {
    add(&mut calls.total, took);
    if took + before > calls.max {
        calls.max = took + before;
    }
}

/// The current thread, if its agent is watched by this probe.
#[inline(always)]
fn caller() -> Option<&'static mut Thread> {
    // SAFETY: the helper has no preconditions.
    let task: *mut u8 = unsafe { bpf_get_current_task_btf() }.cast();
    let thread = threads::get(task)?;
    if agents::wants(thread.agent, probe::CUDA) { Some(thread) } else { None }
}

/// What the calling thread's calls of this kind are summed in.
#[inline(always)]
fn calls(thread: &Thread, cookie: Cookie) -> Option<&'static mut CudaValue> {
    let key = CudaKey { process: thread.process, agent: thread.agent, call: cookie.call() };
    let entry = if epoch::is_odd() {
        epoch::entry(&CUDA_ODD, &key, &ZERO, loss::CUDA_INSERT)
    } else {
        epoch::entry(&CUDA_EVEN, &key, &ZERO, loss::CUDA_INSERT)
    };
    // SAFETY: map memory, alive until the program ends; other writers add atomically, too.
    entry.map(|calls| unsafe { &mut *calls })
}

#[inline(always)]
fn cookie<C: EbpfContext>(ctx: &C) -> Cookie {
    // SAFETY: the context is the program's own.
    Cookie(unsafe { bpf_get_attach_cookie(ctx.as_ptr()) })
}

/// The bytes that the arguments ask for.
#[inline(always)]
fn bytes(ctx: &ProbeContext, cookie: Cookie) -> u64 {
    if cookie.bytes_argument() == 0 {
        return 0;
    }
    // All are read, and one is chosen: the verifier takes no offset that is computed.
    let arguments = Arguments {
        first: register::<{ regs::DI }, _>(ctx),
        second: register::<{ regs::SI }, _>(ctx),
        third: register::<{ regs::DX }, _>(ctx),
        fourth: register::<{ regs::CX }, _>(ctx),
        fifth: register::<{ regs::R8 }, _>(ctx),
        sixth: register::<{ regs::R9 }, _>(ctx),
    };
    let times = cookie.times_argument();
    let times = if times == 0 { 1 } else { arguments.nth(times) };
    (arguments.nth(cookie.bytes_argument()).wrapping_mul(times)) << cookie.shift()
}

/// The integer arguments of a function.
struct Arguments {
    first: u64,
    second: u64,
    third: u64,
    fourth: u64,
    fifth: u64,
    sixth: u64,
}

impl Arguments {
    #[inline(always)]
    fn nth(&self, n: u32) -> u64 {
        match n {
            1 => self.first,
            2 => self.second,
            3 => self.third,
            4 => self.fourth,
            5 => self.fifth,
            _ => self.sixth,
        }
    }
}

/// A register of the probed process, by its word in `struct pt_regs`.
#[inline(always)]
fn register<const WORD: usize, C: EbpfContext>(ctx: &C) -> u64 {
    // SAFETY: the context of these programs is a `struct pt_regs`.
    unsafe { core::ptr::read_volatile(ctx.as_ptr().cast::<u64>().add(WORD)) }
}
