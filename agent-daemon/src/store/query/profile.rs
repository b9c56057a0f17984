//! Stacks with weights, merged over windows: the one shape behind every profile format.

use std::{cmp::Reverse, sync::Arc};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Fold,
    covered::CoveredFold,
    stacks::{StackTable, order},
};
use crate::model::{id::ProcessId, off_cpu::WaitCause, stack::Stack, time::TimeRange, window::Window};

/// What a profile weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileKind {
    /// CPU time, by samples.
    Cpu,
    /// Time not running, blocked and run queue together, by waits.
    OffCpu,
}

/// A stack of one process and its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileStack {
    /// Whose.
    pub process: ProcessId,
    /// What it waited for; `None` in a CPU profile.
    pub cause: Option<WaitCause>,
    /// Where: innermost frame first.
    pub stack: Arc<Stack>,
    /// Samples, or waits.
    pub count: u64,
    /// Time, ns.
    pub ns: u64,
}

/// Weighted stacks.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// What is weighed.
    pub kind: ProfileKind,
    /// The time that the profile speaks of; `None` where nothing was stored.
    pub covered: Option<TimeRange>,
    /// The stacks, heaviest first.
    pub stacks: Vec<ProfileStack>,
}

/// Weighs the stacks of one kind, of some processes or of all.
#[derive(Debug)]
pub struct ProfileFold<'a> {
    kind: ProfileKind,
    of: Option<&'a FxHashSet<ProcessId>>,
    covered: CoveredFold,
    table: StackTable,
    /// Count and time by process, cause and number of the stack.
    weights: FxHashMap<(ProcessId, Option<WaitCause>, usize), (u64, u64)>,
}

impl<'a> ProfileFold<'a> {
    /// The stacks of one kind, of some processes or (`None`) of all.
    #[must_use]
    pub fn new(kind: ProfileKind, of: Option<&'a FxHashSet<ProcessId>>) -> Self {
        let (covered, table, weights) = Default::default();
        Self { kind, of, covered, table, weights }
    }
}

impl Fold for ProfileFold<'_> {
    type Output = Profile;

    fn add(&mut self, window: &Window) {
        self.covered.add(window);
        for row in rows(window, self.kind).filter(|r| self.of.is_none_or(|set| set.contains(&r.process))) {
            let key = (row.process, row.cause, self.table.number(row.stack));
            let weight = self.weights.entry(key).or_default();
            *weight = (weight.0.saturating_add(row.count), weight.1.saturating_add(row.ns));
        }
    }

    fn finish(self) -> Profile {
        let Self { kind, covered, table, weights, .. } = self;
        let named = |((process, cause, stack), (count, ns))| {
            Some(ProfileStack { process, cause, stack: table.stack(stack)?, count, ns })
        };
        let mut stacks: Vec<_> = weights.into_iter().filter_map(named).collect();
        stacks.sort_by(|a, b| {
            let key = |s: &ProfileStack| (Reverse(s.ns), Reverse(s.count), s.process, s.cause);
            key(a).cmp(&key(b)).then_with(|| order(&a.stack, &b.stack))
        });
        Profile { kind, covered: covered.finish().map(|covered| covered.range), stacks }
    }
}

/// The profile of windows that a test made.
#[cfg(test)]
pub(crate) fn profile(
    windows: &[Arc<Window>],
    kind: ProfileKind,
    of: Option<&FxHashSet<ProcessId>>,
) -> Profile {
    super::of(windows, ProfileFold::new(kind, of))
}

/// What both kinds of row have in common.
struct Row<'a> {
    process: ProcessId,
    cause: Option<WaitCause>,
    stack: &'a Arc<Stack>,
    count: u64,
    ns: u64,
}

fn rows(window: &Window, kind: ProfileKind) -> impl Iterator<Item = Row<'_>> {
    let (cpu, off_cpu) = match kind {
        ProfileKind::Cpu => (window.cpu.as_slice(), [].as_slice()),
        ProfileKind::OffCpu => ([].as_slice(), window.off_cpu.as_slice()),
    };
    let cpu = cpu.iter().map(|s| Row {
        process: s.process,
        cause: None,
        stack: &s.stack,
        count: s.samples,
        ns: s.cpu_ns,
    });
    let off_cpu = off_cpu.iter().map(|s| Row {
        process: s.process,
        cause: Some(s.cause),
        stack: &s.stack,
        count: s.count,
        ns: s.blocked_ns.saturating_add(s.run_queue_ns),
    });
    cpu.chain(off_cpu)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{agent_at, at, cpu, off_cpu, process_id, window_at};

    fn windows() -> Vec<Arc<Window>> {
        let id = agent_at(at(0)).id;
        let (mut a, mut b) = (window_at(&id, at(0), 0), window_at(&id, at(5), 0));
        a.cpu = vec![cpu(100, &["hot", "main"], 7), cpu(101, &["hot", "main"], 1)];
        b.cpu = vec![cpu(100, &["hot", "main"], 3), cpu(100, &["cold", "main"], 2)];
        b.off_cpu = vec![off_cpu(100, WaitCause::Lock, &["k_futex", "main"], 50, 5)];
        vec![Arc::new(a), Arc::new(b)]
    }

    #[test]
    fn equal_stacks_of_one_process_merge_over_windows() {
        let profile = profile(&windows(), ProfileKind::Cpu, None);
        let weights: Vec<_> = profile.stacks.iter().map(|s| (s.process.pid(), s.count, s.ns)).collect();
        assert_eq!(weights, [(100, 10, 100_000_000), (100, 2, 20_000_000), (101, 1, 10_000_000)]);
        assert_eq!(profile.covered, Some(TimeRange { from: at(0), to: at(10) }));
    }

    #[test]
    fn off_cpu_weighs_blocked_and_run_queue_time() {
        let profile = profile(&windows(), ProfileKind::OffCpu, None);
        assert_eq!((profile.stacks[0].count, profile.stacks[0].ns), (1, 55));
        assert_eq!(profile.stacks[0].cause, Some(WaitCause::Lock));
    }

    #[test]
    fn the_order_of_windows_does_not_matter() {
        let mut reversed = windows();
        reversed.reverse();
        assert_eq!(profile(&windows(), ProfileKind::Cpu, None), profile(&reversed, ProfileKind::Cpu, None));
    }

    #[test]
    fn some_processes_can_be_chosen_and_nothing_is_empty() {
        let only = FxHashSet::from_iter([process_id(101)]);
        assert_eq!(profile(&windows(), ProfileKind::Cpu, Some(&only)).stacks.len(), 1);
        let empty = profile(&[], ProfileKind::Cpu, None);
        assert_eq!((empty.covered, empty.stacks.len()), (None, 0));
    }
}
