//! Stacks and frames, named.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Which world a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

impl Frame {
    /// What a function is called that no symbol covers.
    pub const UNKNOWN: &str = "[unknown]";
    /// What one is called that a runtime compiled and told nobody of.
    pub const GENERATED: &str = "[jit]";

    /// Whether a function of user code has no name. Names may well begin with a bracket: JavaScript's
    /// `[Symbol.iterator]`.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        let is_marker = self.function == Self::UNKNOWN || self.function == Self::GENERATED;
        is_marker && self.kind != FrameKind::Kernel
    }
}

/// How the walk of a stack's user part ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackEnd {
    /// At the outermost frame: of the walk, or of a copy of the stack that stood in for it while tables were missing.
    Complete,
    /// At the outermost frame, but where the frames of an interpreter stand among the native ones is a guess.
    OrderGuessed,
    /// At the outermost frame, but frames of an interpreter are missing.
    InterpretedMissing,
    /// At the limit of native frames, or of an interpreter's.
    Truncated,
    /// In code without unwind information, which keeps no frame pointers either.
    Gap,
    /// In a file whose unwind table was still being made, with no copy of the stack to stand in, or one too short.
    NoTable,
    /// In code that no mapping is known for.
    NoMapping,
    /// At memory that could not be read.
    Unreadable,
    /// At an unwind rule that the walker does not know.
    UnknownRule,
    /// At a frame that does not lie above the one that it called.
    Inconsistent,
    /// The process was not known to the walker yet, and no copy of the stack stood in: these are frame pointers, which
    /// may be wrong, and do not say where a stack ends.
    FramePointers,
    /// In 32-bit code, which is not walked.
    #[serde(rename = "not_64_bit")]
    Not64Bit,
    /// Not walked: the thread had used up its budget, and its wait was short.
    OverBudget,
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
