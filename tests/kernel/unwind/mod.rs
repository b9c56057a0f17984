//! Stacks against the truth: programs whose every frame is known, and what gdb and py-spy see of the same process.

mod blocked;
mod budget;
mod bulk;
mod chain;
mod deaths;
mod edges;
mod gdb;
mod generated;
mod languages;
mod mappings;
mod native;
mod node;
mod programs;
mod python;
mod pythons;
mod stopgap;

/// Builds every program of these tests, for machines that have no compilers. (Go's is built where there is Go.)
pub(crate) fn build_all() {
    native::builds();
    languages::builds();
    bulk::builds();
    mappings::changes();
    mappings::plugins();
    mappings::relays();
    budget::build();
    deaths::build();
    edges::build();
    generated::generated();
}
