//! Processes of agents.

use super::{id::ProcessId, time::Timestamp};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned or called `exit` with this code, 0–255.
    Code(u8),
    /// This signal killed it.
    Signal {
        /// The signal's number.
        number: u8,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

impl Exit {
    /// From a wait status (`code << 8 | core << 7 | signal`).
    #[must_use]
    pub fn from_wait_status(status: u32) -> Self {
        let low = u8::try_from(status & 0x7f).unwrap_or(0);
        if low == 0 {
            Self::Code(u8::try_from(status >> 8 & 0xff).unwrap_or(0))
        } else {
            Self::Signal { number: low, core_dumped: status & 0x80 != 0 }
        }
    }
}

/// One process of an agent, from fork to exit.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Identity.
    pub id: ProcessId,
    /// The parent at the time the process was first seen; `None` if it is not known.
    pub parent: Option<ProcessId>,
    /// The parent's pid, also where the parent is outside the agent.
    pub parent_pid: u32,
    /// Path of the executable, in the process's own mount namespace; of the last exec.
    pub executable: Option<String>,
    /// The kernel's 15-byte name, lossily decoded.
    pub comm: String,
    /// The command line of the last exec, sanitised; cut at the kernel programs' limit.
    pub args: Vec<String>,
    /// Creation time.
    pub started: Timestamp,
    /// When it exited.
    pub ended: Option<Timestamp>,
    /// How it exited.
    pub exit: Option<Exit>,
    /// CPU time of all its threads so far, user and system, nanoseconds.
    pub cpu_ns: u64,
    /// What of that it had used before it was watched, nanoseconds.
    pub cpu_before_ns: u64,
    /// Largest resident set so far, bytes.
    pub peak_rss_bytes: u64,
}
