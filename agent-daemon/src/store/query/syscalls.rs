//! Syscalls merged over windows.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, hash_map::Entry},
};

use rustc_hash::FxHashMap;

use super::Fold;
use crate::model::{
    id::ProcessId,
    syscall::{Histogram, SyscallStat},
    window::Window,
};

/// What syscalls are summed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// All processes of the agent.
    Agent,
    /// Each process by itself.
    Process,
}

/// One syscall's totals.
#[derive(Clone, Debug, PartialEq)]
pub struct SyscallTotal {
    /// Who called; `None` for all processes together.
    pub process: Option<ProcessId>,
    /// Syscall number of the x86-64 table.
    pub number: u32,
    /// Calls that returned.
    pub count: u64,
    /// Of these, calls in rows that were merged, of processes that are told apart no more.
    pub merged: u64,
    /// Calls that returned `-errno`, by errno.
    pub errors: BTreeMap<u32, u64>,
    /// Time inside the call, ns.
    pub total_ns: u64,
    /// The longest call, ns.
    pub max_ns: u64,
    /// Latencies.
    pub histogram: Histogram,
}

impl SyscallTotal {
    fn new(process: Option<ProcessId>, number: u32) -> Self {
        Self {
            process,
            number,
            count: 0,
            merged: 0,
            errors: BTreeMap::new(),
            total_ns: 0,
            max_ns: 0,
            histogram: Histogram::default(),
        }
    }

    fn add(&mut self, stat: &SyscallStat) {
        self.count = self.count.saturating_add(stat.count);
        // No process has pid 0.
        let merged = if stat.process.pid() == 0 { stat.count } else { 0 };
        self.merged = self.merged.saturating_add(merged);
        self.total_ns = self.total_ns.saturating_add(stat.total_ns);
        self.max_ns = self.max_ns.max(stat.max_ns);
        self.histogram.merge(&stat.histogram);
        for (errno, count) in &stat.errors {
            let errors = self.errors.entry(*errno).or_default();
            *errors = errors.saturating_add(*count);
        }
    }

    /// The latency (seconds) below which a share `q` of the calls lies; `None` where none was timed.
    #[must_use]
    pub fn quantile_seconds(&self, q: f64) -> Option<f64> {
        self.histogram.quantile(q, self.max_ns).map(|ns| ns / 1e9)
    }
}

/// Sums syscalls by number, or by process and number; most time first.
#[derive(Debug)]
pub struct SyscallFold {
    by: By,
    totals: FxHashMap<(Option<ProcessId>, u32), SyscallTotal>,
}

impl SyscallFold {
    /// Sums over all processes, or over each.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self { by, totals: FxHashMap::default() }
    }
}

impl Fold for SyscallFold {
    type Output = Vec<SyscallTotal>;

    fn add(&mut self, window: &Window) {
        for stat in &window.syscalls {
            let process = match self.by {
                By::Agent => None,
                By::Process => Some(stat.process),
            };
            let total = match self.totals.entry((process, stat.number)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(SyscallTotal::new(process, stat.number)),
            };
            total.add(stat);
        }
    }

    fn finish(self) -> Vec<SyscallTotal> {
        let mut totals: Vec<_> = self.totals.into_values().collect();
        totals.sort_by_key(|t| (Reverse(t.total_ns), t.process, t.number));
        totals
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, process_id, syscall, window_at},
        query::of,
    };

    fn syscalls(windows: &[Arc<Window>], by: By) -> Vec<SyscallTotal> {
        of(windows, SyscallFold::new(by))
    }

    fn windows(calls: &[(u32, u32, u64)]) -> Vec<Arc<Window>> {
        let id = agent_at(at(0)).id;
        let window = |(i, call): (usize, &(u32, u32, u64))| {
            let mut window = window_at(&id, at(5 * i as i64), 0);
            window.syscalls.push(syscall(call.0, call.1, call.2));
            Arc::new(window)
        };
        calls.iter().enumerate().map(window).collect()
    }

    #[test]
    fn calls_are_summed_by_number_or_by_process_too() {
        let windows = windows(&[(100, 0, 10), (101, 0, 30), (100, 1, 5)]);
        let totals = syscalls(&windows, By::Agent);
        assert_eq!(totals.len(), 2);
        assert_eq!((totals[0].number, totals[0].count, totals[0].total_ns, totals[0].max_ns), (0, 2, 40, 30));
        assert_eq!(totals[0].errors, BTreeMap::from([(2, 2)]));
        assert_eq!(totals[0].process, None);
        let totals = syscalls(&windows, By::Process);
        let keys: Vec<_> = totals.iter().map(|t| (t.process, t.number)).collect();
        let (p, q) = (Some(process_id(100)), Some(process_id(101)));
        assert_eq!(keys, [(q, 0), (p, 0), (p, 1)]);
    }

    #[test]
    fn nothing_has_no_totals() {
        assert_eq!(syscalls(&[], By::Process), []);
    }

    fn calls() -> impl Strategy<Value = Vec<(u32, u32, u64)>> {
        proptest::collection::vec((100..103u32, 0..3u32, 0..1u64 << 40), 1..40)
    }

    proptest! {
        #[test]
        fn the_order_of_windows_does_not_matter(
            (calls, shuffled) in calls().prop_flat_map(|c| (Just(c.clone()), Just(c).prop_shuffle()))
        ) {
            for by in [By::Agent, By::Process] {
                prop_assert_eq!(syscalls(&windows(&calls), by), syscalls(&windows(&shuffled), by));
            }
        }

        #[test]
        fn sums_do_not_depend_on_how_they_are_split(calls in calls()) {
            let windows = windows(&calls);
            let whole: u64 = calls.iter().map(|c| c.2).sum();
            for by in [By::Agent, By::Process] {
                let totals = syscalls(&windows, by);
                prop_assert_eq!(totals.iter().map(|t| t.total_ns).sum::<u64>(), whole);
                prop_assert_eq!(totals.iter().map(|t| t.count).sum::<u64>(), calls.len() as u64);
            }
        }

        #[test]
        fn quantiles_rise_and_end_at_the_maximum(calls in calls()) {
            for total in syscalls(&windows(&calls), By::Agent) {
                let at = |q| total.quantile_seconds(q).unwrap();
                let quantiles = [0.0, 0.1, 0.5, 0.9, 0.99, 1.0].map(at);
                prop_assert!(quantiles.is_sorted(), "{quantiles:?}");
                prop_assert!(quantiles[5] <= total.max_ns as f64 / 1e9);
            }
        }
    }
}
