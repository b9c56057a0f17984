//! V8 in Node 18 to 24: names of JavaScript functions, without a flag.
//!
//! A JavaScript frame holds its function. The kernel's walker takes from that the `SharedFunctionInfo`, which the
//! collector moves less often, by the offset that [`Layout`] gives; what that is called, and where it begins, is
//! read here from the process's memory by the numbers that Node's binary tells of V8. [`Functions`] keeps them.
//!
//! Limits: x86-64, pointers of 64 bits, binaries with `v8dbg_*` symbols: Node, not Chrome, Electron or Deno; Bun
//! runs another engine. Functions that the compiler put into others have no frame. Lines are those on which
//! functions begin. The collector may move what a sample named before it is read here: some stay nameless.

mod cache;
mod function;
mod heap;
#[cfg(test)]
mod hostile;
mod layout;
mod lines;
mod scope;
mod text;

pub use cache::Functions;
pub use function::{Fingerprint, Function};
pub use heap::NotFunction;
pub use layout::{Layout, Refusal};
