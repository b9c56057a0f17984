//! What stretch of time an answer speaks of.

use super::Fold;
use crate::model::{time::TimeRange, window::Window};

/// Some windows' extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// From the first window's start to the last one's end.
    pub range: TimeRange,
    /// Windows. Old ones are merged into longer ones, so this says nothing of time.
    pub windows: usize,
}

/// Finds what windows cover; `None` without windows.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoveredFold(Option<Covered>);

impl Fold for CoveredFold {
    type Output = Option<Covered>;

    fn add(&mut self, window: &Window) {
        let first = Covered { range: TimeRange { from: window.start, to: window.end }, windows: 0 };
        let covered = self.0.get_or_insert(first);
        covered.range.from = covered.range.from.min(window.start);
        covered.range.to = covered.range.to.max(window.end);
        covered.windows += 1;
    }

    fn finish(self) -> Option<Covered> {
        self.0
    }
}
