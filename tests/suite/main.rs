//! What can be shown without privileges: real servers over loopback, built data, no kernel.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "panicking is how a test fails"
)]

mod api_alerts;
mod api_blocked;
mod api_calls;
mod api_dashboard;
mod api_devices;
mod api_docs;
mod api_files;
mod api_gpus;
mod api_hostile;
mod api_json;
mod api_operations;
mod api_pprof;
mod api_reports;
mod api_routes;
mod api_schema;
mod api_server;
mod api_system;
mod api_tools;
mod api_turns;
mod api_windows;
mod api_world;
#[path = "../chains/mod.rs"]
mod chains;
mod cli_alerts;
mod cli_binary;
mod cli_daemon;
mod cli_record;
mod cli_store;
mod cli_top;
mod cli_usage;
mod config_files;
mod dashboards;
mod export;
mod symbols;
