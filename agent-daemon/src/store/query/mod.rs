//! Pure folds over windows and processes: what the sinks ask of the store. No fold depends on the order of
//! the windows, and every result is sorted, so equal data gives equal answers.

mod off_cpu;
mod processes;
mod profile;
mod quality;
mod stacks;
mod syscalls;

pub use off_cpu::{CauseTotal, OffCpuTotals, StackTotal, off_cpu};
pub use processes::{TreeRow, descendants, tree};
pub use profile::{Profile, ProfileKind, ProfileStack, profile};
pub use quality::{EndTotal, Ends, ProcessQuality, Quality, quality};
pub use syscalls::{By, SyscallTotal, syscalls};

use std::sync::Arc;

use crate::model::{time::TimeRange, window::Window};

/// The stretch from the first window's start to the last one's end; `None` without windows.
#[must_use]
pub fn covered(windows: &[Arc<Window>]) -> Option<TimeRange> {
    let from = windows.iter().map(|w| w.start).min()?;
    let to = windows.iter().map(|w| w.end).max()?;
    Some(TimeRange { from, to })
}
