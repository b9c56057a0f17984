//! Off-CPU time: what threads waited for.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{id::ProcessId, stack::Stack};

/// What a thread waited for, read at switch-out from its registers. The order is that of the kernel
/// programs' states, which the ledger shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCause {
    /// Runnable, but preempted: waiting for a CPU.
    Preempted,
    /// A page fault that needed I/O or a lock.
    PageFault,
    /// Block I/O or a file system.
    Disk,
    /// A GPU driver call.
    Gpu,
    /// A child process (wait4, waitid, vfork).
    Child,
    /// A pipe or a unix socket.
    Ipc,
    /// An inet socket.
    Network,
    /// A lock: a futex handed over by a thread that had waited on it, flock, a semaphore.
    Lock,
    /// poll, select or epoll of several descriptors.
    Poll,
    /// A sleep or timer.
    Timer,
    /// A terminal.
    Terminal,
    /// A futex not known to be a lock: condition variable, join, idle pool thread.
    Futex,
    /// Anything else.
    Other,
}

impl WaitCause {
    /// Every cause, in order.
    pub const ALL: [Self; 13] = [
        Self::Preempted,
        Self::PageFault,
        Self::Disk,
        Self::Gpu,
        Self::Child,
        Self::Ipc,
        Self::Network,
        Self::Lock,
        Self::Poll,
        Self::Timer,
        Self::Terminal,
        Self::Futex,
        Self::Other,
    ];

    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Preempted => "preempted",
            Self::PageFault => "page_fault",
            Self::Disk => "disk",
            Self::Gpu => "gpu",
            Self::Child => "child",
            Self::Ipc => "ipc",
            Self::Network => "network",
            Self::Lock => "lock",
            Self::Poll => "poll",
            Self::Timer => "timer",
            Self::Terminal => "terminal",
            Self::Futex => "futex",
            Self::Other => "other",
        }
    }
}

/// The kind of descriptor behind a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Descriptor {
    /// A pipe or FIFO.
    Pipe,
    /// A unix socket.
    UnixSocket,
    /// An IPv4 or IPv6 socket.
    InetSocket,
    /// A regular file, directory or block device.
    File,
    /// A terminal.
    Terminal,
    /// Another character device.
    Device,
    /// An anonymous file: eventfd, epoll, timerfd, pidfd.
    Anonymous,
}

/// Blocks of one process in one window that share cause, call, waker and stack.
#[derive(Clone, Debug)]
pub struct OffCpuStat<S = Arc<Stack>> {
    /// Who waited.
    pub process: ProcessId,
    /// What for.
    pub cause: WaitCause,
    /// Syscall in progress; `None` outside syscalls (faults, preemption in user mode).
    pub syscall: Option<u32>,
    /// Kind of the descriptor that the syscall waits on.
    pub descriptor: Option<Descriptor>,
    /// Pid of the process that ended the wait; `None` for timers, interrupts and preemption.
    pub waker: Option<u32>,
    /// Where it waited: kernel frames, then user frames, innermost first.
    pub stack: S,
    /// Time blocked, ns. For [`WaitCause::Preempted`] 0: that time is all run-queue delay.
    pub blocked_ns: u64,
    /// Time runnable but not running after the wake-up (or preemption), ns.
    pub run_queue_ns: u64,
    /// Waits that ended in this window.
    pub count: u64,
    /// The longest wait, blocked and run queue together, ns.
    pub max_ns: u64,
}

impl<S> OffCpuStat<S> {
    /// The same row with its stack named otherwise.
    pub(super) fn map_stack<T>(self, map: impl FnOnce(S) -> T) -> OffCpuStat<T> {
        let Self {
            process,
            cause,
            syscall,
            descriptor,
            waker,
            stack,
            blocked_ns,
            run_queue_ns,
            count,
            max_ns,
        } = self;
        let stack = map(stack);
        OffCpuStat {
            process,
            cause,
            syscall,
            descriptor,
            waker,
            stack,
            blocked_ns,
            run_queue_ns,
            count,
            max_ns,
        }
    }
}
