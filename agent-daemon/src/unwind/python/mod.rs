//! CPython 3.8 to 3.14: where its frames are, what their code is called, and how they merge with native ones.
//!
//! The kernel's walker follows a thread's Python frames by the [`Layout`] that [`detect`] gives, and emits for
//! each its code object, position and owner. The rest is done here, from the process's memory: [`Codes`] names
//! code objects, [`CodeObject::line`] places positions, [`merge`] puts both stacks in one order.
//!
//! Limits: x86-64 and the main line of CPython. Free-threaded builds, pre-releases and other versions are
//! refused with a reason, since a layout that is not theirs would give names that are wrong. PyPy has no
//! `_PyRuntime`, and is not seen. Names may lag by one use of an address; lines are those of the instruction.

mod cache;
mod code;
mod cold;
mod described;
mod detect;
#[cfg(test)]
mod hostile;
mod layout;
mod lines;
mod merge;
mod text;
mod version;

pub use cache::Codes;
pub use code::{CodeObject, Fingerprint, owner, position};
pub use cold::cold_part;
pub use detect::{CodeFile, SYMBOLS, detect};
pub use layout::{CodeLayout, Entry, Layout, LineFormat, OWNER_SHIM};
pub use merge::{Merged, Native, PythonFrames, Slot, merge};
pub use text::NotCode;
pub use version::{Refusal, Version};
