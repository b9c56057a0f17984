//! Who is it, and where in its code: names for what the kernel only numbers.

mod binary;
mod demangle;
mod elf;
mod extract;
mod frames;
mod kallsyms;
mod mappings;
mod perf_map;
mod resolved;
pub mod resolver;
mod stacks;
mod symbols;
mod vdso;

pub use resolved::Resolved;
pub use resolver::{Resolver, ResolverThreads};
pub mod identity;
pub mod rules;
pub mod users;
