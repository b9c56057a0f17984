//! What chains are made of besides the threads, behind a trait: in tests a host that was made up, else /proc.

use std::net::SocketAddr;

use crate::model::{
    blocked::{TargetKind, ThreadWait},
    id::ProcessId,
};

/// What is to be seen of a host.
pub trait Host {
    /// The arguments of the system call that the thread is in at this moment.
    fn arguments(&mut self, thread: &ThreadWait) -> Option<[u64; 6]>;

    /// What a descriptor of a process is.
    fn open(&mut self, process: ProcessId, descriptor: u32) -> Option<Opened>;

    /// What an epoll set watches.
    fn epoll(&mut self, process: ProcessId, descriptor: u32) -> Vec<Watched>;

    /// So many bytes of a process's memory.
    fn memory(&mut self, process: ProcessId, address: u64, length: usize) -> Option<Vec<u8>>;

    /// What a socket of a process is connected with.
    fn socket(&mut self, process: ProcessId, inode: u64) -> Socket;

    /// The processes of agents that have a pipe or socket open, as it is called in /proc.
    fn holders(&mut self, name: &str) -> Vec<Holder>;

    /// A process's pid, as it is called in its own pid namespace.
    fn inner_pid(&mut self, process: ProcessId) -> Option<u32>;

    /// A thread's name.
    fn comm(&mut self, thread: &ThreadWait) -> String;

    /// Whether everything was looked at so far that had to be.
    fn is_complete(&self) -> bool;
}

/// What a descriptor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its kind; of a socket [`TargetKind::Other`], until that is looked at.
    pub kind: TargetKind,
    /// What /proc calls it.
    pub name: String,
    /// The process that a pidfd stands for.
    pub pid: Option<u32>,
}

impl Opened {
    /// The inode number of a socket.
    pub(super) fn socket(&self) -> Option<u64> {
        self.name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    }
}

/// A descriptor that is waited on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The descriptor.
    pub descriptor: u32,
    /// Whether something is to come in by it, not only to go out.
    pub input: bool,
}

/// What a socket is connected with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// A unix socket, and the inode of its other end.
    Unix(Option<u64>),
    /// A TCP socket: its other end's address, and that one's inode where it is on this host.
    Inet {
        /// The other end.
        remote: SocketAddr,
        /// Its inode.
        peer: Option<u64>,
    },
    /// It is in no table that can be seen.
    Unknown,
}

/// Who has something open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub process: ProcessId,
    /// Whether it can read there.
    pub reads: bool,
    /// Whether it can write there.
    pub writes: bool,
}
