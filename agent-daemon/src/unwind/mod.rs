//! True stacks: what the kernel's walker needs to know about a process's code.

pub mod copy;
pub mod table;
