//! Who waits for whom: follows what a thread waits for to the process at the other end, and on from there, until something
//! that waits for no process. The kernel side tells what threads do (`model::blocked`); what a descriptor leads to is read
//! from /proc, for the threads of chains alone.
//!
//! Read are descriptors of agents' processes, and of the memory of a thread that waits the few words that its system
//! call points to: the array of poll(2), the owner of a lock. Nothing of this is kept. Not followed are FIFOs that have
//! a name, and sockets of other network namespaces than the daemon's as far as they are unix sockets.

mod awaited;
mod blame;
mod chain;
mod descriptors;
mod host;
mod proc;
mod sockets;
mod unix;

pub use self::{chain::blocked, proc::Proc};
