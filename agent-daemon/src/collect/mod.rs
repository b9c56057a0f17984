//! (being written)
pub mod argv;
