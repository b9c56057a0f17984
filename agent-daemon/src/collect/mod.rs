//! Sources of facts: each turns what it reads into observations.

pub mod mappings;
