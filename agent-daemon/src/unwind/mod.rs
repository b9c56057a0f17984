//! The user side of the walker in the kernel: unwind tables of files, the mappings of processes, and the
//! interpreters in them. `agent_common::unwind` is the contract; the thread "unwind" fulfils it.

mod bounded;
pub mod copy;
mod credit;
mod files;
pub(crate) mod identity;
mod image;
mod interpreters;
pub mod memory;
mod processes;
pub mod python;
mod space;
mod stopgap;
mod symbols;
pub mod table;
mod unwinders;
pub mod v8;
mod validation;
mod worker;

pub(crate) use credit::Credit;
pub use image::{Code, CodeFile, Region};
pub use interpreters::{Grouping, Interpreters};
pub use symbols::Symbols;
pub use worker::Unwinder;
