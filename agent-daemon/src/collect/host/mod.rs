//! The host as a whole, once per window, from /proc and statvfs: a thread of its own, since a file system that does not
//! answer must hold up nothing else.
//!
//! Limits: 1,024 CPUs, 64 file systems, 64 disks and 64 interfaces; what is beyond is left out, and how much of it there
//! is, is said once.

mod counters;
mod file_systems;
mod host_window;
mod info;

pub(super) use counters::Counters;
pub(super) use host_window::between;
pub(super) use info::read as system_info;
