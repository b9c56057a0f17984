//! What the aggregator asks of the collector, and the answers.

use tokio::sync::oneshot;

use crate::{
    kernel::KernelError,
    model::{
        blocked::ThreadWait,
        content::Keep,
        control::Start,
        id::{ProcessId, Slot},
        ledger::Verdict,
        probe::ProbeSet,
        time::Timestamp,
    },
};

/// What the aggregator asks of the collector.
#[derive(Debug)]
pub enum Order {
    /// Watch the process tree of `root` as the agent in `slot`.
    Watch {
        /// A free slot.
        slot: Slot,
        /// The root's pid.
        root: u32,
        /// What to watch it by, as far as the host allows.
        probes: ProbeSet,
        /// From when on.
        start: Start,
        /// What is kept of what it says.
        keep: Keep,
        /// Answers with who is watched, and by what.
        reply: oneshot::Sender<Result<Watched, WatchError>>,
    },
    /// Close the window and let the agent in `slot` go. The window carries `token`.
    Release {
        /// The agent's slot.
        slot: Slot,
        /// Comes back in `Counted::orders`.
        token: u64,
    },
    /// Tell what every thread does or waits for now.
    Waits {
        /// Answers with the threads.
        reply: oneshot::Sender<Result<Vec<ThreadWait>, KernelError>>,
    },
    /// Count a process for what it turned out to be.
    Verdict {
        /// The process.
        process: ProcessId,
        /// What it is.
        verdict: Verdict,
    },
    /// Close the window. It carries `token`.
    Close {
        /// Comes back in `Counted::orders`.
        token: u64,
    },
}

/// A process tree that is watched from now on.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// The root.
    pub root: ProcessId,
    /// When the root was created.
    pub created: Timestamp,
    /// What it is watched by: what was wished for, less what the host refuses.
    pub probes: ProbeSet,
}

/// Why a process tree cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The root was gone before it was found.
    #[error("process {0} exited before it could be traced")]
    Gone(u32),
    /// The root lives, but the kernel does not show it to our programs.
    #[error("process {0} is not shown to the kernel programs")]
    Hidden(u32),
    /// The root belongs to an agent already.
    #[error("process {pid} is traced as part of another agent")]
    Taken {
        /// The root.
        pid: u32,
        /// The agent, unless the event that tells was lost.
        slot: Option<Slot>,
    },
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
