//! Walks user stacks without frame pointers: one step per frame, by the rule that the file's unwind table has
//! for the pc (`tables`), reading the stack's memory (`memory`), and through the frames of an interpreter
//! (`python`, and V8's where they are met).
//!
//! `bpf_loop` keeps the verifier's work small; its context must be a pointer to the BPF stack, so that is a
//! small struct of pointers, which keep their types in the callback.

mod copy;
mod memory;
mod python;
mod returns;
mod tables;

use core::ffi::c_void;

use agent_common::{
    stack::{
        COPIED, InterpreterFrame, MAX_FRAMES, MAX_INTERPRETER_FRAMES, TAKE_AGAIN, UserStack, end, interpreter,
    },
    thread::Thread,
    unwind::{Mapping, Process, Rule, cfa, fp, mapping},
};
use aya_ebpf::helpers::generated::bpf_loop;

pub(crate) use self::{
    copy::{Purpose, send as send_copy},
    memory::{can_read_others, find_direct_map},
    tables::{forget, process},
};
use crate::layout::regs;

/// The largest frame that is believed when frame pointers are followed, bytes.
const MAX_FP_FRAME: u64 = 1 << 16;
/// `cs` of 64-bit user code.
const USER_CS: u64 = 0x33;
/// No step has ended the walk yet.
const GOES_ON: u32 = 0;
/// The kernel's `struct rt_sigframe`, from the trampoline's stack pointer: rbp, and rsp with rip behind it.
const SIGNAL_FP: u64 = 120;
const SIGNAL_SP: u64 = 160;

/// The registers that a walk begins with.
#[derive(Clone, Copy)]
pub(crate) struct Registers {
    ip: u64,
    sp: u64,
    bp: u64,
    r10: u64,
    rdi: u64,
    cs: u64,
}

impl Registers {
    /// # Safety
    /// `words` points to a `struct pt_regs` that the verifier knows.
    #[inline(always)]
    pub(crate) unsafe fn read(words: *const u64) -> Self {
        // SAFETY: by contract. Volatile, since the context may only be read word by word.
        let word = |index| unsafe { core::ptr::read_volatile(words.add(index)) };
        Self {
            ip: word(regs::IP),
            sp: word(regs::SP),
            bp: word(regs::BP),
            r10: word(regs::R10),
            rdi: word(regs::DI),
            cs: word(regs::CS),
        }
    }
}

/// The state of one walk.
#[repr(C)]
pub(crate) struct Walk {
    /// The frame that the next step starts from.
    ip: u64,
    sp: u64,
    bp: u64,
    r10: u64,
    rdi: u64,
    /// Content hash of all that was found so far.
    hash: u64,
    /// The mapping in use: most callers are in the same file.
    mapping: Mapping,
    /// 1 if `ip` is a return address: the call is before it.
    returned: u64,
    /// 1 if the frame was reached by a frame pointer.
    followed: u64,
    /// Where the task keeps the return addresses that were put aside for probes; 0 if it has none.
    returns: u64,
    /// What the last read brought.
    words: [u64; 4],
    pub(crate) memory: memory::Memory,
    python: python::Search,
    pub(crate) stack: UserStack,
    /// So that the verifier can see masked indices stay inside.
    slack: [u64; 4],
}

/// The context of the loops.
struct Steps {
    walk: *mut Walk,
    process: *const Process,
}

/// Walks a stack of `task`: the current one, or if `REMOTE` one that does not run and whose address space `begin`
/// was given to `memory`; returns its hash.
#[inline(always)]
pub(crate) fn walk<const REMOTE: bool>(
    walk: &mut Walk,
    process: &Process,
    task: *mut u8,
    thread: &mut Thread,
    registers: Registers,
) -> u64 {
    walk.stack.length = 0;
    walk.stack.interpreter_length = 0;
    walk.stack.interpreter_kind = interpreter::NONE;
    walk.stack.end = end::NOT_64_BIT;
    walk.stack.execs = thread.execs;
    walk.hash = SEED ^ u64::from(thread.execs);
    if registers.cs == USER_CS {
        walk.ip = registers.ip;
        walk.sp = registers.sp;
        walk.bp = registers.bp;
        walk.r10 = registers.r10;
        walk.rdi = registers.rdi;
        walk.returned = 0;
        walk.followed = 0;
        walk.mapping.end = 0;
        walk.stack.end = GOES_ON;
        // SAFETY: `task` is the current task, or an iterator's or a tracepoint's.
        unsafe { returns::begin(walk, task) };
        run(MAX_FRAMES as u32 + 1, step::<REMOTE>, walk, process);
        if process.python.runtime != 0 {
            python::read::<REMOTE>(walk, process, task, thread);
        }
    }
    let id = mix(walk.hash, u64::from(walk.stack.end)) & !(TAKE_AGAIN | COPIED) | 1;
    let end = walk.stack.end;
    if end == end::NO_TABLE || end == end::NO_MAPPING { id | TAKE_AGAIN } else { id }
}

/// What every content hash begins with.
pub(crate) const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// A multiplicative hash, one step a word (constants of MurmurHash3's finaliser and the golden ratio).
#[inline(always)]
pub(crate) fn mix(hash: u64, word: u64) -> u64 {
    let h = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^ (h >> 32)
}

/// Steps until one ends the loop, `times` at most; returns how many there were.
#[inline(always)]
fn run(times: u32, step: extern "C" fn(u32, *mut c_void) -> i64, walk: &mut Walk, process: &Process) -> i64 {
    let mut steps = Steps { walk, process };
    // SAFETY: the callback gets the context that it expects, which outlives the call.
    unsafe { bpf_loop(times, step as *mut c_void, (&raw mut steps).cast(), 0) }
}

/// # Safety
/// `context` is the `Steps` that `run` made.
#[inline(always)]
unsafe fn parts<'a>(context: *mut c_void) -> (&'a mut Walk, &'a Process) {
    // SAFETY: by contract; the pointers outlive the loop.
    unsafe {
        let steps = &*context.cast::<Steps>();
        (&mut *steps.walk, &*steps.process)
    }
}

extern "C" fn step<const REMOTE: bool>(_: u32, context: *mut c_void) -> i64 {
    // SAFETY: this is a callback of `run`.
    let (walk, process) = unsafe { parts(context) };
    let end = frame::<REMOTE>(walk, process);
    walk.stack.end = end;
    i64::from(end != GOES_ON)
}

/// Notes one frame and goes to its caller; returns how the walk ended, or that it goes on.
#[inline(always)]
fn frame<const REMOTE: bool>(walk: &mut Walk, process: &Process) -> u32 {
    let n = walk.stack.length as usize;
    if n >= MAX_FRAMES {
        return end::TRUNCATED;
    }
    // Behind the first frame, an address stands for the byte before it: what a signal interrupted is no return.
    let address = if n != 0 && walk.returned == 0 { walk.ip + 1 } else { walk.ip };
    // Read anew: what the compiler knows of `n` it does not tell to the verifiers of kernels before 6.8.
    // SAFETY: a field of ours.
    let at = unsafe { (&raw const walk.stack.length).read_volatile() } as usize;
    walk.stack.frames[at & (MAX_FRAMES - 1)] = address;
    walk.stack.length = n as u32 + 1;
    walk.hash = mix(walk.hash, address);

    let pc = walk.ip - walk.returned;
    if !tables::find_mapping(walk, process, pc) {
        return leave_unmapped(walk, n);
    }
    if walk.mapping.kind == mapping::PENDING {
        return end::NO_TABLE;
    }
    if walk.mapping.kind == mapping::FRAME_POINTERS {
        return follow_frame_pointer::<REMOTE>(walk, process, n);
    }
    let Some(rule) = tables::find_rule(&walk.mapping, pc) else { return end::GAP };
    // SAFETY: a map's element, which only grows.
    let rule = unsafe { &*rule };
    let low = i64::from(rule.cfa_offset as i16) as u64;
    let high = i64::from(rule.cfa_offset >> 16) as u64;
    let offset = i64::from(rule.cfa_offset) as u64;
    let address = match rule.cfa {
        cfa::GAP => return follow_frame_pointer::<REMOTE>(walk, process, n),
        cfa::SP => walk.sp.wrapping_add(offset),
        cfa::FP => walk.bp.wrapping_add(offset),
        cfa::R10 if n == 0 => walk.r10.wrapping_add(offset),
        cfa::PLT => walk.sp + if (walk.ip & 15) >= offset { 16 } else { 8 },
        cfa::DEREF_SP | cfa::DEREF_FP => {
            let from = if rule.cfa == cfa::DEREF_SP { walk.sp } else { walk.bp };
            if !memory::read::<REMOTE>(walk, from.wrapping_add(low), 1) {
                return end::UNREADABLE;
            }
            walk.words[0].wrapping_add(high)
        }
        cfa::SP_RETURN_IN_RDI if n == 0 => {
            let sp = walk.sp.wrapping_add(offset);
            return go_to(walk, walk.rdi, sp);
        }
        cfa::SIGNAL => return leave_signal::<REMOTE>(walk),
        cfa::END => return end::COMPLETE,
        _ => return end::UNKNOWN_RULE,
    };
    // A frame lies above the one that it called. (A signal's may not: that is seen to above.)
    if address <= walk.sp {
        return end::NOT_ABOVE;
    }
    if !find_saved_fp::<REMOTE>(walk, rule, address) || !memory::read::<REMOTE>(walk, address - 8, 1) {
        return end::UNREADABLE;
    }
    go_to(walk, walk.words[0], address)
}

/// The walk ends where nothing is known to be mapped. But a trampoline of the kernel's is no frame: the next step notes
/// the caller in its place.
#[inline(always)]
fn leave_unmapped(walk: &mut Walk, n: usize) -> u32 {
    if !returns::restore(walk) {
        return end::NO_MAPPING;
    }
    walk.stack.length = n as u32;
    GOES_ON
}

/// Finds the caller's rbp; whether it could be read.
#[inline(always)]
fn find_saved_fp<const REMOTE: bool>(walk: &mut Walk, rule: &Rule, address: u64) -> bool {
    let from = match rule.fp {
        fp::AT_CFA => address,
        fp::AT_FP => walk.bp,
        fp::UNDEFINED => {
            walk.bp = 0;
            return true;
        }
        _ => return true,
    };
    if !memory::read::<REMOTE>(walk, from.wrapping_add(i64::from(rule.fp_offset) as u64), 1) {
        return false;
    }
    walk.bp = walk.words[0];
    true
}

/// Goes to the caller, which continues at `ip` with its stack pointer at `sp`.
#[inline(always)]
fn go_to(walk: &mut Walk, ip: u64, sp: u64) -> u32 {
    if ip == 0 {
        return end::COMPLETE;
    }
    walk.ip = ip;
    walk.sp = sp;
    walk.returned = 1;
    GOES_ON
}

/// Compiled code of a runtime, and files without unwind information, keep frame pointers or cannot be walked.
#[inline(always)]
fn follow_frame_pointer<const REMOTE: bool>(walk: &mut Walk, process: &Process, n: usize) -> u32 {
    let bp = walk.bp;
    // A chain of frame pointers ends with 0; where none was followed, the register may hold anything.
    if bp == 0 && walk.followed != 0 && walk.mapping.kind == mapping::FRAME_POINTERS {
        return end::COMPLETE;
    }
    if bp < walk.sp || bp - walk.sp > MAX_FP_FRAME || bp & 7 != 0 {
        return end::GAP;
    }
    // The saved frame pointer and the return address; below them, V8 keeps its context and the function.
    if !memory::read::<REMOTE>(walk, bp - 16, 4) {
        return end::UNREADABLE;
    }
    let [function, context, saved, ip] = walk.words;
    if process.js_shared != 0 && context & 1 != 0 && function & 3 == 1 {
        note_js_function::<REMOTE>(walk, process, function, n);
    }
    if ip == 0 && saved != 0 {
        return end::GAP;
    }
    walk.bp = saved;
    walk.followed = 1;
    go_to(walk, ip, bp + 16)
}

/// The function of a JavaScript frame: its `SharedFunctionInfo`, since a `JSFunction` moves.
#[inline(always)]
fn note_js_function<const REMOTE: bool>(walk: &mut Walk, process: &Process, function: u64, n: usize) {
    if !memory::read::<REMOTE>(walk, function - 1 + u64::from(process.js_shared), 1) {
        return;
    }
    let shared = walk.words[0];
    if shared & 3 == 1 {
        walk.stack.interpreter_kind = interpreter::V8;
        note(walk, shared - 1, n as u64);
    }
}

/// Keeps a frame of an interpreter, if there is room; whether there was.
#[inline(always)]
fn note(walk: &mut Walk, function: u64, position: u64) -> bool {
    let n = walk.stack.interpreter_length as usize;
    if n >= MAX_INTERPRETER_FRAMES {
        walk.stack.interpreter_kind |= interpreter::CUT;
        return false;
    }
    // SAFETY: the index was checked; the mask repeats it for the verifier, and `slack` makes it true.
    unsafe {
        let frame =
            (&raw mut walk.stack.interpreter).cast::<InterpreterFrame>().add(n & MAX_INTERPRETER_FRAMES);
        (*frame).function = function;
        (*frame).position = position;
    }
    walk.stack.interpreter_length = n as u32 + 1;
    walk.hash = mix(mix(walk.hash, function), position);
    true
}

/// The frame that a signal interrupted: all its registers were saved.
#[inline(always)]
fn leave_signal<const REMOTE: bool>(walk: &mut Walk) -> u32 {
    let frame = walk.sp;
    if !memory::read::<REMOTE>(walk, frame + SIGNAL_FP, 1) {
        return end::UNREADABLE;
    }
    walk.bp = walk.words[0];
    if !memory::read::<REMOTE>(walk, frame + SIGNAL_SP, 2) {
        return end::UNREADABLE;
    }
    walk.sp = walk.words[0];
    walk.ip = walk.words[1];
    walk.returned = 0;
    GOES_ON
}
