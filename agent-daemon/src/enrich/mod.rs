//! Who is it, and where in its code: names for what the kernel only numbers.

mod binary;
mod demangle;
mod elf;
mod extract;
mod frames;
pub mod generated;
pub mod identity;
mod interleave;
mod kallsyms;
mod mappings;
mod opener;
mod resolved;
pub mod resolver;
pub mod rules;
mod stacks;
mod symbols;
pub mod users;
mod vdso;

pub use resolved::Resolved;
pub use resolver::{Resolver, ResolverThreads};
