//! Sources of facts: each turns what it reads into observations.

pub mod argv;
pub mod mappings;
