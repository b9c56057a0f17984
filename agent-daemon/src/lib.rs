//! agentperf: a host-level profiler daemon for AI agents.
//!
//! The modules stand in the order data flows; `ARCHITECTURE.md` says which may import which, and
//! `cargo xtask tidy` holds them to it.

pub mod aggregate;
pub mod alert;
pub mod api;
pub mod blocked;
mod cgroup2;
pub mod cli;
pub mod collect;
pub mod config;
pub mod content;
pub mod daemon;
mod ending;
pub mod enrich;
pub mod export;
pub mod gpu;
pub mod ingest;
mod journald;
pub mod kernel;
pub mod model;
mod profile;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod unwind;
pub mod uprobes;
pub mod wire;
