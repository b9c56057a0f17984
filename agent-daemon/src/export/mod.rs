//! Doors out: what agentperf knows, in the forms that other systems take. Sinks of the store: they read, and never
//! hold up what writes.

pub mod journal;
pub mod parquet;
pub mod prometheus;
pub mod select;
