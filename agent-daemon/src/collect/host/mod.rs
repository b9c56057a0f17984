//! The host as a whole, once per window, from /proc and statvfs: on a thread of its own, since a file system that does
//! not answer must hold up nothing else.
//!
//! Limits: 1,024 CPUs and 64 file systems; of disks and interfaces the busiest 64 have a row of their own, the others
//! are added up. Of GPUs 64.

mod counters;
mod file_systems;
mod gpu_probe;
mod gpus;
mod host_window;
mod info;
mod worker;

pub use gpu_probe::probe_gpus;
pub use info::read as system_info;
pub use worker::HostCollector;
