//! Off-CPU time merged over windows: by cause, and by who waited for what and where.
//!
//! Every nanosecond is in exactly one of four totals: blocked, page fault, run queue (runnable after the
//! wait was over) and preempted (runnable, but pushed off the CPU).

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashMap;

use super::{
    Fold,
    stacks::{StackTable, order},
};
use crate::model::{
    id::ProcessId,
    off_cpu::{Descriptor, OffCpuStat, WaitCause},
    stack::Stack,
    window::Window,
};

/// One cause's share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CauseTotal {
    /// Time blocked, ns.
    pub blocked_ns: u64,
    /// Time runnable but not running, ns.
    pub run_queue_ns: u64,
    /// Waits.
    pub count: u64,
    /// The longest wait, blocked and run queue together, ns.
    pub max_ns: u64,
}

impl CauseTotal {
    fn add(&mut self, stat: &OffCpuStat) {
        self.blocked_ns = self.blocked_ns.saturating_add(stat.blocked_ns);
        self.run_queue_ns = self.run_queue_ns.saturating_add(stat.run_queue_ns);
        self.count = self.count.saturating_add(stat.count);
        self.max_ns = self.max_ns.max(stat.max_ns);
    }

    /// Adds another share.
    pub(super) fn merge(&mut self, other: &Self) {
        self.blocked_ns = self.blocked_ns.saturating_add(other.blocked_ns);
        self.run_queue_ns = self.run_queue_ns.saturating_add(other.run_queue_ns);
        self.count = self.count.saturating_add(other.count);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// Blocked and run queue together, ns.
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.blocked_ns.saturating_add(self.run_queue_ns)
    }
}

/// Waits that share everything but the window.
#[derive(Clone, Debug, PartialEq)]
pub struct StackTotal {
    /// Who waited.
    pub process: ProcessId,
    /// What for.
    pub cause: WaitCause,
    /// Syscall in progress.
    pub syscall: Option<u32>,
    /// Kind of the descriptor that the syscall waits on.
    pub descriptor: Option<Descriptor>,
    /// Pid of the process that ended the wait.
    pub waker: Option<u32>,
    /// Where: innermost frame first.
    pub stack: Arc<Stack>,
    /// How long and how often.
    pub total: CauseTotal,
}

/// Off-CPU time of an agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OffCpuTotals {
    /// By cause.
    pub causes: BTreeMap<WaitCause, CauseTotal>,
    /// By who, what for and where; most time first.
    pub stacks: Vec<StackTotal>,
}

impl OffCpuTotals {
    /// Time blocked, page faults aside, ns.
    #[must_use]
    pub fn blocked_ns(&self) -> u64 {
        self.sum(|cause| cause != WaitCause::PageFault, |t| t.blocked_ns)
    }

    /// Time blocked in page faults, ns.
    #[must_use]
    pub fn page_fault_ns(&self) -> u64 {
        self.sum(|cause| cause == WaitCause::PageFault, |t| t.blocked_ns)
    }

    /// Time between the end of a wait and running again, ns.
    #[must_use]
    pub fn run_queue_ns(&self) -> u64 {
        self.sum(|cause| cause != WaitCause::Preempted, |t| t.run_queue_ns)
    }

    /// Time between being pushed off the CPU and running again, ns.
    #[must_use]
    pub fn preempted_ns(&self) -> u64 {
        self.sum(|cause| cause == WaitCause::Preempted, |t| t.run_queue_ns)
    }

    fn sum(&self, which: impl Fn(WaitCause) -> bool, what: impl Fn(&CauseTotal) -> u64) -> u64 {
        let chosen = self.causes.iter().filter(|(cause, _)| which(**cause));
        chosen.map(|(_, total)| what(total)).fold(0, u64::saturating_add)
    }
}

/// Sums off-CPU time by cause, and by process, cause, call, waker and stack.
#[derive(Debug, Default)]
pub struct OffCpuFold {
    table: StackTable,
    causes: BTreeMap<WaitCause, CauseTotal>,
    rows: FxHashMap<Key, CauseTotal>,
}

/// Process, cause, syscall, descriptor, waker, number of the stack.
type Key = (ProcessId, WaitCause, Option<u32>, Option<Descriptor>, Option<u32>, usize);

impl Fold for OffCpuFold {
    type Output = OffCpuTotals;

    fn add(&mut self, window: &Window) {
        for stat in &window.off_cpu {
            self.causes.entry(stat.cause).or_default().add(stat);
            let stack = self.table.number(&stat.stack);
            let key = (stat.process, stat.cause, stat.syscall, stat.descriptor, stat.waker, stack);
            self.rows.entry(key).or_default().add(stat);
        }
    }

    fn finish(self) -> OffCpuTotals {
        let Self { table, causes, rows } = self;
        let row = |((process, cause, syscall, descriptor, waker, stack), total)| {
            let stack = table.stack(stack)?;
            Some(StackTotal { process, cause, syscall, descriptor, waker, stack, total })
        };
        let mut stacks: Vec<_> = rows.into_iter().filter_map(row).collect();
        stacks.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)).then_with(|| order(&a.stack, &b.stack)));
        OffCpuTotals { causes, stacks }
    }
}

fn sort_key(row: &StackTotal) -> impl Ord {
    (Reverse(row.total.ns()), row.process, row.cause, row.syscall, row.descriptor, row.waker)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert_eq, proptest};

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, off_cpu as wait, window_at},
        query::of,
    };

    fn off_cpu(windows: &[Arc<Window>]) -> OffCpuTotals {
        of(windows, OffCpuFold::default())
    }

    fn window(seconds: i64, waits: Vec<OffCpuStat>) -> Arc<Window> {
        let mut window = window_at(&agent_at(at(0)).id, at(seconds), 0);
        window.off_cpu = waits;
        Arc::new(window)
    }

    #[test]
    fn four_totals_share_all_time_among_them() {
        let totals = off_cpu(&[
            window(0, vec![wait(100, WaitCause::Timer, &["k_sleep", "main"], 1000, 10)]),
            window(
                5,
                vec![
                    wait(100, WaitCause::Timer, &["k_sleep", "main"], 500, 5),
                    wait(100, WaitCause::PageFault, &["main"], 70, 2),
                    wait(101, WaitCause::Preempted, &["main"], 0, 33),
                ],
            ),
        ]);
        assert_eq!(totals.blocked_ns(), 1500);
        assert_eq!(totals.page_fault_ns(), 70);
        assert_eq!(totals.run_queue_ns(), 17);
        assert_eq!(totals.preempted_ns(), 33);
        let timer = totals.causes[&WaitCause::Timer];
        assert_eq!((timer.ns(), timer.count, timer.max_ns), (1515, 2, 1010));
        assert_eq!(totals.stacks.len(), 3, "equal stacks of two windows are one row");
        assert_eq!(totals.stacks[0].total, timer);
    }

    type Wait = (u32, usize, usize, u64, u64);

    fn waits() -> impl Strategy<Value = Vec<Wait>> {
        proptest::collection::vec((100..103u32, 0..3usize, 0..3usize, 0..1u64 << 40, 0..1u64 << 20), 1..40)
    }

    fn windows(waits: &[Wait]) -> Vec<Arc<Window>> {
        let causes = [WaitCause::Preempted, WaitCause::PageFault, WaitCause::Lock];
        let stacks: [&[&str]; 3] = [&["a", "main"], &["b", "main"], &[]];
        let make = |(i, w): (usize, &Wait)| {
            window(5 * i as i64, vec![wait(w.0, causes[w.1], stacks[w.2], w.3, w.4)])
        };
        waits.iter().enumerate().map(make).collect()
    }

    proptest! {
        #[test]
        fn the_order_of_windows_does_not_matter(
            (waits, shuffled) in waits().prop_flat_map(|w| (Just(w.clone()), Just(w).prop_shuffle()))
        ) {
            prop_assert_eq!(off_cpu(&windows(&waits)), off_cpu(&windows(&shuffled)));
        }

        #[test]
        fn causes_and_stacks_each_sum_to_the_whole(waits in waits()) {
            let whole: u64 = waits.iter().map(|w| w.3 + w.4).sum();
            let totals = off_cpu(&windows(&waits));
            prop_assert_eq!(totals.causes.values().map(CauseTotal::ns).sum::<u64>(), whole);
            prop_assert_eq!(totals.stacks.iter().map(|s| s.total.ns()).sum::<u64>(), whole);
        }
    }
}
