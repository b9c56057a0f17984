//! Pure domain types: what every stage speaks. Imports nothing of ours, does no I/O.

pub mod agent;
pub mod cgroup;
pub mod control;
pub mod errno_names;
pub mod exposition;
pub mod hash;
pub mod host;
pub mod id;
pub mod interpreter;
pub mod ledger;
mod merge;
pub mod observation;
pub mod off_cpu;
pub mod operation;
pub mod probe;
pub mod process;
pub mod record;
pub mod signal_names;
pub mod slope;
pub mod stack;
pub mod syscall;
pub mod syscall_names;
pub mod time;
pub mod window;
