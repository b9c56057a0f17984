//! Calls of CUDA merged over windows, and the time asleep for the GPU beside them.

use rustc_hash::FxHashMap;

use super::{By, Fold};
use crate::model::{
    cuda::{CudaCall, CudaStat},
    id::ProcessId,
    off_cpu::WaitCause,
    window::Window,
};

/// Sums calls by kind, or by process and kind.
#[derive(Debug)]
pub struct CudaFold {
    by: By,
    sums: FxHashMap<(ProcessId, CudaCall), CudaStat>,
    asleep_ns: u64,
}

/// What calls came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CudaTotals {
    /// Sums by process, which is 0 for all together, and by kind.
    pub calls: Vec<CudaStat>,
    /// Off-CPU time for the GPU of all threads, ns.
    pub asleep_ns: u64,
}

impl CudaFold {
    /// Sums over all processes, or over each.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self { by, sums: FxHashMap::default(), asleep_ns: 0 }
    }
}

/// Whose sums over all processes are: nobody's in particular.
const ALL: ProcessId = ProcessId(0);

impl Fold for CudaFold {
    type Output = CudaTotals;

    fn add(&mut self, window: &Window) {
        for stat in &window.cuda {
            let process = match self.by {
                By::Agent => ALL,
                By::Process => stat.process,
            };
            let sum = self.sums.entry((process, stat.call)).or_insert(CudaStat::new(process, stat.call));
            sum.merge(stat);
        }
        let asleep = window.off_cpu.iter().filter(|stat| stat.cause == WaitCause::Gpu);
        self.asleep_ns = asleep.map(|stat| stat.blocked_ns).fold(self.asleep_ns, u64::saturating_add);
    }

    fn finish(self) -> CudaTotals {
        let mut calls: Vec<CudaStat> = self.sums.into_values().collect();
        calls.sort_by_key(|sum| (sum.process, sum.call));
        CudaTotals { calls, asleep_ns: self.asleep_ns }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::{
        fixture::{agent_at, at, cuda, window_at},
        query::of,
    };

    #[test]
    fn calls_add_up_over_windows_and_processes() {
        let window = |n: i64, rows: Vec<CudaStat>| {
            let mut window = window_at(&agent_at(at(0)).id, at(5 * n), 0);
            window.cuda = rows;
            Arc::new(window)
        };
        let windows = [
            window(0, vec![cuda(100, CudaCall::Launch, 3), cuda(101, CudaCall::Launch, 4)]),
            window(1, vec![cuda(100, CudaCall::Launch, 5), cuda(100, CudaCall::Synchronize, 1)]),
        ];
        let calls = |by| {
            let sums = of(&windows, CudaFold::new(by)).calls;
            sums.iter().map(|sum| (sum.process.pid(), sum.call, sum.calls)).collect::<Vec<_>>()
        };
        assert_eq!(calls(By::Agent), [(0, CudaCall::Launch, 12), (0, CudaCall::Synchronize, 1)]);
        assert_eq!(
            calls(By::Process),
            [(100, CudaCall::Launch, 8), (100, CudaCall::Synchronize, 1), (101, CudaCall::Launch, 4)]
        );
    }
}
