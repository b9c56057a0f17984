//! Stacks against the truth: programs whose every frame is known, and what gdb and py-spy see of the same process.

mod blocked;
mod budget;
mod bulk;
mod chain;
mod deaths;
mod gdb;
mod languages;
mod mappings;
mod native;
mod programs;
mod python;
mod pythons;
mod stopgap;
