//! Stacks and frames, named.

use std::sync::Arc;

use serde::Serialize;

/// Which world a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// Compiled user code.
    Native,
    /// A Python function.
    Python,
    /// A JavaScript function.
    Javascript,
    /// The kernel.
    Kernel,
}

/// A file mapped into a process.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Binary {
    /// Path in the process's own mount namespace; `[vdso]`, `[kernel]`, `[jit]` where there is no file.
    pub path: String,
    /// GNU build id, lower-case hex.
    pub build_id: Option<String>,
}

/// One function call on a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Which world.
    pub kind: FrameKind,
    /// Demangled function name; `[unknown]` where no symbol covers the address.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Source line.
    pub line: Option<u32>,
    /// The binary the code comes from.
    pub binary: Option<Arc<Binary>>,
    /// Offset in the binary's file, or the address itself where there is no file.
    pub address: u64,
}

/// How the walk of a stack ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StackEnd {
    /// It cannot be known: frame pointers do not say where a stack ends.
    Unverified,
    /// At the frame limit.
    Truncated,
    /// The stack was taken, but evicted before it was read.
    Lost,
    /// No user stack: a kernel-only stack, or a process that was gone.
    Absent,
}

/// A stack, innermost frame first; kernel frames stand before user frames.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Stack {
    /// The frames.
    pub frames: Vec<Arc<Frame>>,
    /// How the walk of the user part ended.
    pub end: StackEnd,
}
