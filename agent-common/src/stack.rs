//! Stacks, stored once under a hash of their content: an id means the same frames for ever.

/// Most frames of one kernel stack.
pub const MAX_KERNEL_FRAMES: usize = 127;
/// Most native frames of one user stack.
pub const MAX_FRAMES: usize = 128;
/// Most frames of an interpreter in one user stack.
pub const MAX_INTERPRETER_FRAMES: usize = 63;

/// The id of a user stack that was not walked: the thread had used up its budget, or slept when its agent was
/// attached. A long wait gets its stack later.
pub const NOT_WALKED: u64 = TAKE_AGAIN;
/// This bit of the id of a user stack says that it is not what it could be: it ended for want of something that the
/// daemon may bring later. A long wait takes its stack again.
pub const TAKE_AGAIN: u64 = 2;
/// This bit of the id of a user stack says that a copy of it was sent along. Such an id is one sample's alone: stacks
/// that ended at the same place may be different ones beyond it.
pub const COPIED: u64 = 4;

/// How a walk ended.
pub mod end {
    /// At the outermost frame.
    pub const COMPLETE: u32 = 1;
    /// After [`super::MAX_FRAMES`] frames.
    pub const TRUNCATED: u32 = 2;
    /// In code that no file is known to hold.
    pub const NO_MAPPING: u32 = 3;
    /// In code without unwind information, which keeps no frame pointers either.
    pub const GAP: u32 = 4;
    /// At a rule that the walker does not know.
    pub const UNKNOWN_RULE: u32 = 5;
    /// At memory that could not be read.
    pub const UNREADABLE: u32 = 6;
    /// At a frame that is not above the one before it.
    pub const NOT_ABOVE: u32 = 7;
    /// In a file whose table was not ready yet.
    pub const NO_TABLE: u32 = 8;
    /// Nothing was known about the process yet: these frames follow frame pointers, and may be wrong.
    pub const FRAME_POINTERS: u32 = 9;
    /// The thread ran 32-bit code, which is not walked.
    pub const NOT_64_BIT: u32 = 10;
    /// Number of the last one.
    pub const LAST: u32 = NOT_64_BIT;
}

/// Whose frames [`UserStack::interpreter`] holds.
pub mod interpreter {
    /// Nobody's.
    pub const NONE: u16 = 0;
    /// CPython's, innermost first.
    pub const PYTHON: u16 = 1;
    /// V8's: each belongs to one native frame.
    pub const V8: u16 = 2;
    /// Or'ed to either: there were more frames than [`super::MAX_INTERPRETER_FRAMES`].
    pub const CUT: u16 = 0x100;
}

/// One kernel stack, innermost frame first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KernelStack {
    /// Frames in use.
    pub length: u64,
    /// Addresses; those from `length` on mean nothing.
    pub frames: [u64; MAX_KERNEL_FRAMES],
}

/// One frame of an interpreter.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct InterpreterFrame {
    /// CPython: the code object. V8: the `SharedFunctionInfo`, or the `JSFunction` if that could not be read.
    pub function: u64,
    /// CPython: where in the code, in the low 48 bits, and the owner's byte in the high 16. V8: the index of
    /// the native frame.
    pub position: u64,
}

/// One user stack, innermost frame first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct UserStack {
    /// Native frames in use.
    pub length: u32,
    /// Interpreter's frames in use.
    pub interpreter_length: u32,
    /// See [`interpreter`].
    pub interpreter_kind: u16,
    /// `Thread::execs` of then: which of its programs the process ran.
    pub execs: u16,
    /// How the walk ended: see [`end`].
    pub end: u32,
    /// Addresses; those from `length` on mean nothing. The first is an instruction's, the others are one past a byte of
    /// one: return addresses, or one more than the address that a signal interrupted.
    pub frames: [u64; MAX_FRAMES],
    /// The interpreter's frames; those from `interpreter_length` on mean nothing.
    pub interpreter: [InterpreterFrame; MAX_INTERPRETER_FRAMES],
}

const _: () = assert!(size_of::<KernelStack>() == 1024);
const _: () = assert!(size_of::<UserStack>() == 2048);
crate::pod!(KernelStack, UserStack);
