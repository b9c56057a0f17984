//! Closed sets of names of who waits for whom.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::names::mirror;
use crate::model::blocked::{ChainEnd, Evidence, TargetKind};

mirror! {
    /// What a thread waits for.
    TargetKindDto as BlockedTargetKind of TargetKind {
        /// A pipe or FIFO.
        Pipe,
        /// A unix socket.
        UnixSocket,
        /// An inet socket.
        InetSocket,
        /// A file or directory.
        File,
        /// A terminal.
        Terminal,
        /// Another device.
        Device,
        /// A child process, or another one by its pidfd.
        Child,
        /// A lock or condition in memory.
        Futex,
        /// A timer.
        Timer,
        /// An event counter, signals, notifications.
        Event,
        /// A set of descriptors.
        Epoll,
        /// Anything else.
        Other,
    }
}

mirror! {
    /// How it is known that one thread waits for another.
    EvidenceDto as BlockedEvidence of Evidence {
        /// It waits for a child, which this is.
        Child,
        /// It waits on a pidfd of this process.
        Pidfd,
        /// This process has the other end of a pipe.
        Pipe,
        /// This process has the other end of a unix socket.
        UnixSocket,
        /// This process has the other end of a connection on this host.
        Connection,
        /// The lock itself names this thread as its owner.
        LockOwner,
        /// A guess: this thread ended its last wait on a futex.
        LastWaker,
        /// A guess: no other thread of the process does anything.
        OnlyActive,
    }
}

mirror! {
    /// Why a chain of who waits for whom ends.
    ChainEndDto as BlockedEnd of ChainEnd {
        /// The last thread runs.
        Running,
        /// It could run, but no CPU is free.
        RunQueue,
        /// It waits for a file.
        Disk,
        /// It waits for a page.
        PageFault,
        /// It waits for a GPU driver.
        Gpu,
        /// It waits for a time to come.
        Timer,
        /// It waits for a person at a terminal.
        Terminal,
        /// It waits for a socket whose other end is on another host, or is not found on this one.
        Remote,
        /// It waits on what leads out of the agent, or for a process that is not watched, also by a connection on this host.
        Outside,
        /// It waits for input of those that wait for it: nobody is to blame.
        Idle,
        /// It waits on a futex or on a pipe of its own, for a thread that could not be told.
        Parked,
        /// It waits for a lock of a thread that waits for it.
        Deadlock,
        /// It could not be told.
        Unknown,
        /// There are more links than are followed.
        TooLong,
    }
}
