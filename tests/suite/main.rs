//! Integration tests that need no privileges.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "panicking is how a test fails"
)]

#[path = "../chains/mod.rs"]
mod chains;
mod symbols;
