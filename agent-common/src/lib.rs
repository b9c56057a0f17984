//! Types that cross the boundary between the kernel programs and the daemon, one file per probe family.
//!
//! Only integers and byte arrays cross: every bit pattern of these types is valid, and none has padding
//! (each file asserts its sizes), so both sides may copy them as bytes.
#![no_std]

pub mod agent;
pub mod cpu;
pub mod cuda;
pub mod disk;
pub mod files;
pub mod ledger;
pub mod lifecycle;
pub mod loss;
pub mod network;
pub mod off_cpu;
pub mod stack;
pub mod syscalls;
pub mod thread;
pub mod unwind;
pub mod waits;
pub mod wire;

/// Marks types as plain old data for aya, in the daemon's build only.
#[cfg(feature = "user")]
macro_rules! pod {
    ($($t:ty),* $(,)?) => {
        $(
            // SAFETY: repr(C) integers and byte arrays without padding, `Copy + 'static`.
            unsafe impl aya::Pod for $t {}
        )*
    };
}
#[cfg(not(feature = "user"))]
macro_rules! pod {
    ($($t:ty),* $(,)?) => {};
}
pub(crate) use pod;
