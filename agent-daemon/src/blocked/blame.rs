//! Whom to look at first, where several threads may be the one that another waits for.

use std::cmp::Reverse;

use crate::model::{
    blocked::{ChainEnd, Evidence, ThreadWait},
    id::ProcessId,
    ledger::{Role, ThreadState},
};

/// Threads of one process that are looked at: those that do most.
const MAX_THREADS: usize = 4;

/// A thread that may be to blame, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suspect<'a> {
    pub(super) thread: &'a ThreadWait,
    pub(super) evidence: Evidence,
    /// Which of what is waited for leads there.
    pub(super) target: usize,
}

/// Sorts suspects: helpers, which mostly wait to be asked, last; a child before what is read from; who does something before who
/// waits; and the youngest process, which was started for this, before older ones.
pub(super) fn sort(suspects: &mut [Suspect<'_>]) {
    suspects.sort_by_key(|suspect| {
        let thread = suspect.thread;
        let child = !matches!(suspect.evidence, Evidence::Child | Evidence::Pidfd);
        (thread.role == Role::Helper, child, rank(thread))
    });
}

/// How likely a thread is what others wait for, the likeliest first.
pub(super) fn rank(thread: &ThreadWait) -> impl Ord + use<> {
    let state = match thread.state {
        Some(ThreadState::Cpu) => 0,
        Some(ThreadState::RunQueue) => 1,
        Some(ThreadState::PageFault | ThreadState::Disk | ThreadState::Gpu) => 2,
        Some(ThreadState::Child) => 3,
        Some(ThreadState::Network) => 4,
        Some(ThreadState::Ipc) => 5,
        Some(ThreadState::Lock) => 6,
        Some(ThreadState::Timer) => 7,
        Some(ThreadState::Poll) => 8,
        Some(ThreadState::Terminal | ThreadState::Outside) => 9,
        None | Some(ThreadState::Other) => 10,
        Some(ThreadState::Futex) => 11,
    };
    (state, Reverse(thread.process), thread.tid != thread.process.pid())
}

/// The threads of a process that are looked at.
pub(super) fn threads_of(threads: &[ThreadWait], process: ProcessId) -> Vec<&ThreadWait> {
    let mut found: Vec<_> = threads.iter().filter(|thread| thread.process == process).collect();
    found.sort_by_key(|thread| rank(thread));
    found.truncate(MAX_THREADS);
    found
}

/// Whether a chain that ends so has found what is waited for.
pub(super) fn is_conclusive(end: ChainEnd) -> bool {
    !matches!(end, ChainEnd::Idle | ChainEnd::Parked | ChainEnd::Unknown)
}

/// Why a chain ends at a thread that waits for no process.
pub(super) fn end_at(thread: &ThreadWait) -> Option<ChainEnd> {
    match thread.state? {
        ThreadState::Cpu => Some(ChainEnd::Running),
        ThreadState::RunQueue => Some(ChainEnd::RunQueue),
        ThreadState::PageFault => Some(ChainEnd::PageFault),
        ThreadState::Disk => Some(ChainEnd::Disk),
        ThreadState::Gpu => Some(ChainEnd::Gpu),
        ThreadState::Timer => Some(ChainEnd::Timer),
        ThreadState::Terminal => Some(ChainEnd::Terminal),
        ThreadState::Outside => Some(ChainEnd::Outside),
        ThreadState::Child
        | ThreadState::Ipc
        | ThreadState::Network
        | ThreadState::Lock
        | ThreadState::Poll
        | ThreadState::Futex
        | ThreadState::Other => None,
    }
}
