//! Folds over windows, and the shape of processes: what the sinks ask of the store. A fold takes one window at a
//! time, so that a range of any length needs no more memory than its answer. No fold depends on the order of the
//! windows, and every result is sorted, so equal data gives equal answers.

mod asked_by;
mod covered;
mod cuda;
mod dashboard;
mod disk;
mod files;
mod gpu;
mod host;
mod http;
mod ledger;
mod locks;
mod longest;
mod network;
mod off_cpu;
mod operations;
mod processes;
mod profile;
mod quality;
mod stacks;
mod syscalls;
mod timeline;
mod tool_threads;
mod turns;

pub use asked_by::{Answers, AskedBy, Confidence, answers};
pub use covered::{Covered, CoveredFold};
pub use cuda::{CudaFold, CudaTotals};
pub use dashboard::{AgentAmounts, Amounts, Buckets, CallAmount, CauseAmount, Dashboard, DashboardFold};
pub use disk::{DiskBy, DiskFold};
pub use files::{FileBy, FileFold, FileTotals};
pub use gpu::{AgentGpu, AgentGpus, agent_gpus};
pub use host::{HostHistory, host_history};
pub use http::{HttpBy, HttpFold, HttpTotals};
pub use ledger::LedgerFold;
pub use locks::{LockTotal, locks};
pub use longest::{LongWait, LongWaitsFold, chain};
pub use network::{NetworkBy, NetworkFold, NetworkTotals};
pub use off_cpu::{CauseTotal, OffCpuFold, OffCpuTotals, StackTotal};
pub use operations::{
    Group, GroupBy, OperationFilter, OperationPage, OperationSummary, Order, operation_summary, operations,
};
pub use processes::{TreeRow, descendants, tree};
#[cfg(test)]
pub(crate) use profile::profile;
pub use profile::{Profile, ProfileFold, ProfileKind, ProfileStack};
pub use quality::{EndTotal, Ends, ProcessQuality, Quality, QualityFold};
pub use syscalls::{By, SyscallFold, SyscallTotal};
pub use timeline::{Segment, Timeline, TimelineFold};
pub use tool_threads::{ToolLedger, ToolThreads, tool_threads};
pub use turns::{TURN_GAP, Turn, Turns, turns};

use super::{Store, StoreError};
use crate::model::{id::AgentId, time::TimeRange, window::Window};

/// What is made of some windows, one window after the other.
pub trait Fold {
    /// The answer.
    type Output;

    /// Takes one window in.
    fn add(&mut self, window: &Window);

    /// The answer over all windows that were taken in.
    fn finish(self) -> Self::Output;
}

/// Two answers in one pass.
impl<A: Fold, B: Fold> Fold for (A, B) {
    type Output = (A::Output, B::Output);

    fn add(&mut self, window: &Window) {
        self.0.add(window);
        self.1.add(window);
    }

    fn finish(self) -> Self::Output {
        (self.0.finish(), self.1.finish())
    }
}

/// Folds an agent's windows that overlap the range.
///
/// # Errors
/// The store cannot be read.
pub fn over<F: Fold>(
    store: &dyn Store,
    agent: &AgentId,
    range: TimeRange,
    mut fold: F,
) -> Result<F::Output, StoreError> {
    store.visit(agent, range, &mut |window| fold.add(window))?;
    Ok(fold.finish())
}

/// Folds windows that a test made.
#[cfg(test)]
pub(crate) fn of<'a, F: Fold>(
    windows: impl IntoIterator<Item = &'a std::sync::Arc<Window>>,
    mut fold: F,
) -> F::Output {
    windows.into_iter().for_each(|window| fold.add(window));
    fold.finish()
}
