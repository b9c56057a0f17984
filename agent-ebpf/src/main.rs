//! agentperf's kernel programs, one file per probe family.
//!
//! Rules of the house, learnt from the verifier: no indexing (a bounds check brings a panic path), no
//! struct copies on hot paths, zero values from statics, kernel fields by load-time offsets (`layout`).
//! Every failure bumps a named counter (`losses`).
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod accounts;
mod agents;
mod atomics;
mod calls;
mod clock;
mod cpu;
mod cuda;
mod descriptors;
mod disk;
mod epoch;
mod files;
mod layout;
mod ledger;
mod lifecycle;
mod loader;
mod losses;
mod network;
mod off_cpu;
mod seed;
mod signals;
mod sockets;
mod stacks;
mod syscalls;
mod threads;
mod wait;
mod waits;
mod wakers;
mod walk;
mod wire;

/// Never reached: the verifier rejects a program that could loop here.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
