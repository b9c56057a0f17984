//! Truth tests: real eBPF against workloads that know what they did. They run the built `agentperf` as
//! root, on the host's own kernel, and talk to it as a user does: by HTTP and by its command line.
//!
//! Run them by `cargo xtask test`, or by `cargo xtask vm` on other kernels. Without root they fail and say so; those
//! that need what many hosts have not run in the virtual machines alone, and say why. One daemon runs at a time, so the number of test threads does not matter.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "panicking is how a test fails"
)]

mod alert_faults;
mod alert_receivers;
mod alerts;
mod attach;
mod blocked;
mod bounds;
#[path = "../chains/mod.rs"]
mod chains;
mod cli;
mod cpu;
mod cuda;
mod disk;
mod durable;
mod export;
mod files;
mod gpu;
mod host;
mod journal;
mod ledger;
mod ledger_calls;
mod ledger_hosts;
mod lifecycle;
mod metrics;
mod network;
mod off_cpu;
mod operations;
mod pprof;
mod privacy;
mod prometheus;
mod reactions;
mod real_agent;
mod refusals;
mod resources;
mod restart;
mod rules;
mod signals;
mod support;
mod symbols;
mod syscalls;
mod systemd;
mod tools;
mod unwind;
mod wire;
mod workloads;
