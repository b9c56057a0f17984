//! What the kernel's walker knows about user code: unwind rules, where they apply, and where interpreters
//! keep their frames.
//!
//! A file's table is an array of words: first an index of its text pages, then its rows. A row is
//! `(pc & 0xffff) << 16 | rule`; rule numbers mean the same in all files. Entry `p` of the index is the row in
//! force at the start of page `p`, and one closing entry follows the last page: the row of a pc is found
//! between two entries by at most [`ROW_STEPS`] halvings.

use crate::stack::UserStack;

/// log2 of the bytes of text that one entry of the page index covers.
pub const PAGE_SHIFT: u32 = 10;
/// Halvings that find a row in a page: it has at most one row per byte, and the one carried in.
pub const ROW_STEPS: u32 = PAGE_SHIFT + 1;
/// Executable mappings of one process that the walker knows at most.
pub const MAX_MAPPINGS: usize = 4096;
/// Halvings that find a mapping.
pub const MAPPING_STEPS: u32 = 12;
/// Different rules at most, of all files together: a row has 16 bits for them.
pub const MAX_RULES: usize = 1 << 16;

/// Words in one element of a shard. Array elements are padded to 8 bytes, so words are kept in blocks.
pub const BLOCK_WORDS: usize = 1024;
/// One element of a shard.
pub type Block = [u32; BLOCK_WORDS];
/// Blocks of one shard: 1 MiB.
pub const SHARD_BLOCKS: u32 = 256;
/// log2 of the words of one shard.
pub const SHARD_SHIFT: u32 = 18;
/// Shards at most: 64 MiB of tables.
pub const MAX_SHARDS: u32 = 64;

/// How the canonical frame address (CFA: the caller's stack pointer) is found.
pub mod cfa {
    /// The file's rule for this pc is one that the walker does not know.
    pub const INVALID: u8 = 0;
    /// rsp + offset.
    pub const SP: u8 = 1;
    /// rbp + offset.
    pub const FP: u8 = 2;
    /// *(rsp + low half of offset) + high half.
    pub const DEREF_SP: u8 = 3;
    /// *(rbp + low half of offset) + high half.
    pub const DEREF_FP: u8 = 4;
    /// A PLT stub: rsp + 8, and 8 more from the byte `offset` of the 16-byte entry on.
    pub const PLT: u8 = 5;
    /// A signal trampoline: all registers are in the rt_sigframe at rsp.
    pub const SIGNAL: u8 = 6;
    /// The outermost frame.
    pub const END: u8 = 7;
    /// No unwind information covers this pc: frame pointers are followed.
    pub const GAP: u8 = 8;
    /// r10 + offset: the prologue of a realigned frame, which is right only in the innermost frame.
    pub const R10: u8 = 9;
    /// rsp + offset, and the return address is in rdi: glibc's vfork, which is right only in the innermost frame.
    pub const SP_RETURN_IN_RDI: u8 = 10;
}

/// How the caller's rbp is found.
pub mod fp {
    /// It is still in rbp.
    pub const SAME: u8 = 0;
    /// *(CFA + offset).
    pub const AT_CFA: u8 = 1;
    /// It is lost.
    pub const UNDEFINED: u8 = 2;
    /// *(rbp + offset): realigned frames.
    pub const AT_FP: u8 = 3;
}

/// How to get from a frame to its caller's.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// See [`cfa`].
    pub cfa: u8,
    /// See [`fp`].
    pub fp: u8,
    /// Offset of the saved rbp, bytes.
    pub fp_offset: i16,
    /// Offset of the CFA, bytes; two 16-bit halves for the kinds that read memory.
    pub cfa_offset: i32,
}

/// What the walker does in a mapping.
pub mod mapping {
    /// Look the pc up in the file's table.
    pub const TABLE: u32 = 0;
    /// Follow frame pointers: code that a runtime compiled (JIT), or a file without unwind information.
    pub const FRAME_POINTERS: u32 = 1;
    /// Stop: the table is still being made.
    pub const PENDING: u32 = 2;
}

/// One executable mapping of a process. A process's mappings lie in the MAPPINGS map side by side, by address.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after.
    pub end: u64,
    /// Address in the process less address in the file's table.
    pub bias: u64,
    /// Where the table begins: the first text page, an address in the file.
    pub text: u64,
    /// The word at which the table begins: see [`Block`].
    pub table: u32,
    /// Text pages that the table covers.
    pub pages: u32,
    /// See [`mapping`].
    pub kind: u32,
    /// Zero.
    pub pad: u32,
}

/// Where CPython keeps the frames of its threads: offsets in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Python {
    /// Address of `_PyRuntime`; 0 if the process runs no Python.
    pub runtime: u64,
    /// `_PyRuntime.interpreters.head`.
    pub interpreters: u32,
    /// `PyInterpreterState` → its first `PyThreadState`.
    pub threads: u32,
    /// `PyThreadState.next`.
    pub next_thread: u32,
    /// `PyThreadState.thread_id`: what pthread_self() gives, which is the thread's fs base.
    pub thread_id: u32,
    /// `PyThreadState` → the innermost frame, or the `_PyCFrame` that points to it.
    pub frame: u32,
    /// `_PyCFrame.current_frame`; [`NO_CFRAME`] if `frame` is the frame itself.
    pub cframe: u32,
    /// Frame → the caller's frame.
    pub previous: u32,
    /// Frame → its code object.
    pub code: u32,
    /// Low bits of the pointer to the code object that are tags.
    pub code_tag: u32,
    /// Frame → where it is: a pointer into the code, or a number (see `position_bits`).
    pub position: u32,
    /// 64 for a pointer; 32 for an index (`f_lasti`: 3.8 to 3.10).
    pub position_bits: u32,
    /// Frame → the byte that tells frames which the interpreter entered from C (`is_entry`, `owner`); 0 if
    /// there is none.
    pub owner: u32,
    /// Another `PyInterpreterState` after this one: `PyInterpreterState.next`.
    pub next_interpreter: u32,
    /// Zero.
    pub pad: u32,
}

/// See [`Python::cframe`].
pub const NO_CFRAME: u32 = 0xffff;
/// Bytes of a Python frame that the walker reads: all offsets into one are below.
pub const PYTHON_FRAME_BYTES: usize = 128;

/// What the walker knows about one process, by its id in the PROCESSES map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The first of its mappings.
    pub mappings_at: u32,
    /// How many they are.
    pub mappings: u32,
    /// V8: offset in a `JSFunction` of its `SharedFunctionInfo`; 0 if the process runs no JavaScript.
    pub js_shared: u32,
    /// Bits of [`process`].
    pub flags: u32,
    /// CPython.
    pub python: Python,
}

/// Flags of a [`Process`].
pub mod process {
    /// Copies of its stacks are wanted beside the walks.
    pub const COPY: u32 = 1;
}

/// What stands in the DIRECT_MAP map where it was not found where the kernel maps all physical memory.
pub const NO_DIRECT_MAP: u64 = 1;

/// Bytes of a stack that are copied at most.
pub const COPY_BYTES: usize = 64 << 10;

/// Bytes of the ring of copies: room for 15 of them.
pub const COPIES_BYTES: u32 = 1 << 20;

/// The top of a stack as it was when it was walked, for the daemon to unwind in its own way: in place of a walk that
/// ended for want of a table, a few times a second; and to judge walks of processes with [`process::COPY`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StackCopy {
    /// Whose.
    pub process: u64,
    /// The id of the stack. With [`crate::stack::COPIED`], what is found in the copy takes the place of the walk.
    pub id: u64,
    /// rip, rsp and rbp.
    pub registers: [u64; 3],
    /// Bytes copied, from rsp on.
    pub length: u64,
    /// What the walker found.
    pub walked: UserStack,
    /// The copy; what lies behind `length` means nothing.
    pub bytes: [u8; COPY_BYTES],
}

const _: () = assert!(size_of::<StackCopy>() == 48 + 2048 + COPY_BYTES);
const _: () = assert!(size_of::<Rule>() == 8);
const _: () = assert!(size_of::<Mapping>() == 48);
const _: () = assert!(size_of::<Python>() == 64);
const _: () = assert!(size_of::<Process>() == 80);
crate::pod!(Rule, Mapping, Python, Process, StackCopy);
