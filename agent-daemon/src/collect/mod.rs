//! Collectors: facts from the kernel programs and /proc, made into observations. They run on one thread,
//! which owns the kernel side; see [`Collector`].
//!
//! One file per source; `collector.rs` is the loop that asks them.

pub mod argv;
mod attaching;
mod cgroups;
mod clock;
mod collector;
mod files;
mod host;
mod host_names;
mod lifecycle;
mod listening;
mod mapped;
pub mod mappings;
mod model_hosts;
mod order;
mod outside;
mod proc_tree;
mod resources;
mod stdio;
mod usage;
mod verdicts;
mod waits;
mod wire;
mod worker;

pub use attaching::AttacherThread;
pub use collector::{Collector, Stopped};
pub use host::{HostCollector, probe_gpus, system_info};
pub use order::{Order, WatchError, Watched};
pub use proc_tree::ProcessTree;
pub use stdio::is_served;
