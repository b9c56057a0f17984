//! Waits for locks by where they are asked for. The place of a wait is the innermost frame of user code that is no part
//! of the C library: its locks are asked for by somebody, who is told.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashMap;

use super::{CauseTotal, OffCpuTotals, StackTotal};
use crate::model::{
    id::ProcessId,
    off_cpu::WaitCause,
    stack::{Frame, FrameKind, Stack},
};

/// Waits for locks at one place of one process.
#[derive(Clone, Debug, PartialEq)]
pub struct LockTotal {
    /// Who waited.
    pub process: ProcessId,
    /// Where; `None` where no user frame is known.
    pub place: Option<Arc<Frame>>,
    /// How long and how often.
    pub total: CauseTotal,
    /// Processes that handed a lock over, by pid, and for how long that was waited, ns; no pid where it is not known.
    pub holders: Vec<(Option<u32>, u64)>,
    /// The stack on which most time was waited.
    pub stack: Arc<Stack>,
}

/// Names that the C library's file has, up to its version.
const C_LIBRARIES: [&str; 4] = ["libc.so", "libc-", "libpthread", "ld-musl"];

/// Waits for locks, most time first.
#[must_use]
pub fn locks(totals: &OffCpuTotals) -> Vec<LockTotal> {
    let mut sums: FxHashMap<(ProcessId, Option<Place>), Sum<'_>> = FxHashMap::default();
    for wait in totals.stacks.iter().filter(|wait| wait.cause == WaitCause::Lock) {
        let place = place(&wait.stack);
        let key = (wait.process, place.map(|frame| Place::of(frame)));
        sums.entry(key).or_insert_with(|| Sum::new(place)).add(wait);
    }
    let mut locks: Vec<LockTotal> =
        sums.into_iter().filter_map(|((process, _), sum)| sum.finish(process)).collect();
    locks.sort_by_cached_key(|lock| {
        let place = lock.place.as_deref().map(Place::of);
        (Reverse(lock.total.ns()), lock.process, place)
    });
    locks
}

/// A function, whatever the line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    function: String,
    binary: Option<String>,
}

impl Place {
    fn of(frame: &Frame) -> Self {
        let binary = frame.binary.as_ref().map(|binary| binary.path.clone());
        Self { function: frame.function.clone(), binary }
    }
}

/// The frame that asked for the lock.
fn place(stack: &Stack) -> Option<&Arc<Frame>> {
    let mut user = stack.frames.iter().filter(|frame| frame.kind != FrameKind::Kernel);
    let innermost = user.clone().next();
    user.find(|frame| !is_of_c_library(frame)).or(innermost)
}

fn is_of_c_library(frame: &Frame) -> bool {
    let file = frame.binary.as_ref().and_then(|binary| binary.path.rsplit('/').next());
    file.is_some_and(|file| C_LIBRARIES.iter().any(|library| file.starts_with(library)))
}

struct Sum<'a> {
    place: Option<&'a Arc<Frame>>,
    total: CauseTotal,
    holders: BTreeMap<Option<u32>, u64>,
    heaviest: Option<&'a StackTotal>,
}

impl<'a> Sum<'a> {
    fn new(place: Option<&'a Arc<Frame>>) -> Self {
        Self { place, total: CauseTotal::default(), holders: BTreeMap::new(), heaviest: None }
    }

    fn add(&mut self, wait: &'a StackTotal) {
        self.total.merge(&wait.total);
        let held = self.holders.entry(wait.waker).or_default();
        *held = held.saturating_add(wait.total.blocked_ns);
        // The totals come with most time first.
        self.heaviest.get_or_insert(wait);
    }

    fn finish(self, process: ProcessId) -> Option<LockTotal> {
        let mut holders: Vec<(Option<u32>, u64)> = self.holders.into_iter().collect();
        holders.sort_by_key(|(pid, ns)| (Reverse(*ns), *pid));
        let stack = Arc::clone(&self.heaviest?.stack);
        Some(LockTotal { process, place: self.place.cloned(), total: self.total, holders, stack })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::stack::{Binary, StackEnd};

    fn frame(function: &str, kind: FrameKind, path: &str) -> Arc<Frame> {
        let binary = Some(Arc::new(Binary { path: path.to_owned(), build_id: None }));
        let (file, line, address) = (None, None, 0);
        Arc::new(Frame { kind, function: function.to_owned(), file, line, binary, address })
    }

    fn wait(cause: WaitCause, waker: Option<u32>, function: &str, ns: u64) -> StackTotal {
        let frames = vec![
            frame("futex_wait", FrameKind::Kernel, "[kernel]"),
            frame("__lll_lock_wait", FrameKind::Native, "/usr/lib/libc.so.6"),
            frame(function, FrameKind::Native, "/usr/bin/app"),
        ];
        let total = CauseTotal { blocked_ns: ns, run_queue_ns: 0, count: 1, max_ns: ns };
        let stack = Arc::new(Stack { frames, end: StackEnd::Complete });
        StackTotal { process: ProcessId(1), cause, syscall: None, descriptor: None, waker, stack, total }
    }

    #[test]
    fn waits_are_summed_by_who_asked_for_the_lock() {
        let stacks = vec![
            wait(WaitCause::Lock, Some(7), "push", 50),
            wait(WaitCause::Disk, None, "push", 40),
            wait(WaitCause::Lock, Some(8), "push", 30),
            wait(WaitCause::Lock, None, "pop", 20),
        ];
        let locks = locks(&OffCpuTotals { causes: BTreeMap::new(), stacks });
        let seen: Vec<_> = locks
            .iter()
            .map(|lock| {
                let place = lock.place.as_ref().map(|frame| frame.function.as_str());
                (place, lock.total.blocked_ns, lock.total.count, lock.total.max_ns, lock.holders.clone())
            })
            .collect();
        assert_eq!(
            seen,
            [
                (Some("push"), 80, 2, 50, vec![(Some(7), 50), (Some(8), 30)]),
                (Some("pop"), 20, 1, 20, vec![(None, 20)]),
            ]
        );
    }

    #[test]
    fn a_stack_of_the_library_alone_is_its_own_place() {
        let mut wait = wait(WaitCause::Lock, None, "main", 1);
        wait.stack = Arc::new(Stack {
            frames: vec![frame("__lll_lock_wait", FrameKind::Native, "/usr/lib/libc.so.6")],
            end: StackEnd::Gap,
        });
        let locks = locks(&OffCpuTotals { causes: BTreeMap::new(), stacks: vec![wait] });
        assert_eq!(locks[0].place.as_ref().map(|frame| frame.function.as_str()), Some("__lll_lock_wait"));
    }
}
