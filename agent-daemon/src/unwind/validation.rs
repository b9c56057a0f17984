//! Judges the kernel's walks: the same stacks, copied at the same moment, are unwound by another unwinder, and the
//! frames compared. For tests; the log says how many are equal. Copies hold memory of processes, and go no further.

use super::{
    copy::CopyEnd,
    unwinders::{CodeSource, CopyUnwinders},
};
use crate::kernel::unwind::CopiedStack;

/// Stacks between two lines of the log.
const REPORT: u64 = 100;

/// What was compared so far.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    stacks: u64,
    identical: u64,
    /// Frames of both: of the longer, where both say that they are complete; else up to the end of the shorter, since
    /// nobody knows what is behind it.
    frames: u64,
    equal_frames: u64,
    walk_complete: u64,
    copy_complete: u64,
    /// Differences in which only the walk came to the outermost frame, and only the copy.
    only_walk_complete: u64,
    only_copy_complete: u64,
}

/// Compares walks with what another unwinder makes of copies of their stacks.
#[derive(Default)]
pub(super) struct Validation {
    totals: Totals,
}

impl Validation {
    /// Compares one walk.
    pub(super) fn judge(
        &mut self,
        copied: &CopiedStack,
        unwinders: &mut CopyUnwinders,
        code: &impl CodeSource,
    ) {
        if let Ok(other) = unwinders.unwind(copied, code) {
            let frames = &other.frames;
            self.count(copied, &frames.addresses, frames.end == CopyEnd::Complete);
        }
    }

    fn count(&mut self, copied: &CopiedStack, other: &[u64], is_complete: bool) {
        let totals = &mut self.totals;
        let walked = &copied.walked;
        let (shorter, longer) = (walked.len().min(other.len()), walked.len().max(other.len()));
        let frames = if copied.is_complete && is_complete { longer } else { shorter } as u64;
        let equal = walked.iter().zip(other).take_while(|(a, b)| a == b).count() as u64;
        let identical = walked == other;
        totals.stacks += 1;
        totals.identical += u64::from(identical);
        totals.frames += frames;
        totals.equal_frames += equal;
        totals.walk_complete += u64::from(copied.is_complete);
        totals.copy_complete += u64::from(is_complete);
        totals.only_walk_complete += u64::from(!identical && copied.is_complete && !is_complete);
        totals.only_copy_complete += u64::from(!identical && !copied.is_complete && is_complete);
        if totals.stacks.is_multiple_of(REPORT) {
            let Totals { stacks, identical, frames, equal_frames, .. } = *totals;
            let Totals { walk_complete, copy_complete, only_walk_complete, only_copy_complete, .. } = *totals;
            tracing::info!(
                stacks,
                identical,
                frames,
                equal_frames,
                walk_complete,
                copy_complete,
                only_walk_complete,
                only_copy_complete,
                "stacks validated"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::model::id::ProcessId;

    #[test]
    fn a_complete_stack_that_lacks_frames_is_not_equal() {
        let mut validation = Validation::default();
        let mut count = |walked: &[u64], is_complete: bool, other: &[u64], other_is_complete: bool| {
            let copied = CopiedStack {
                process: ProcessId(1),
                id: 1,
                stands_in: false,
                is_known: true,
                taken: Instant::now(),
                registers: [0; 3],
                bytes: Vec::new(),
                walked: walked.to_vec(),
                is_complete,
            };
            validation.totals = Totals::default();
            validation.count(&copied, other, other_is_complete);
            let Totals { frames, equal_frames, identical, .. } = validation.totals;
            (frames, equal_frames, identical)
        };
        assert_eq!(count(&[1, 2, 3], true, &[1, 2, 3], true), (3, 3, 1));
        assert_eq!(count(&[1, 2], true, &[1, 2, 3], true), (3, 2, 0));
        assert_eq!(count(&[1, 2], false, &[1, 2, 3], true), (2, 2, 0));
    }
}
