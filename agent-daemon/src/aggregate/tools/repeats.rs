//! Which tool calls of an agent are the same again: a loop shows in calls that change nothing and end alike.
//!
//! A call repeats another if it has its command line and its end, its processes wrote as many bytes, to wherever, and no
//! call in between has changed anything. Five different commands are not a loop, nor is one that is run again after an edit
//! by another. Calls whose command lines were hidden or cut off in part are not compared. What own processes change is not seen as an effect: agents write their transcripts all the time.
//!
//! Bound: [`MAX_KEPT`] calls are remembered.

use std::collections::VecDeque;

/// Calls that one may repeat.
const MAX_KEPT: usize = 8;

/// What tells calls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// A hash of the command line.
    pub(super) command: u64,
    /// A hash of how it ended.
    pub(super) end: u64,
    /// Bytes that calls like write took.
    pub(super) written_chars: u64,
}

/// The last calls that changed nothing.
#[derive(Default)]
pub(super) struct Repeats {
    last: VecDeque<(Outcome, u64)>,
}

impl Repeats {
    /// A call is over; how many before it were the same.
    pub(super) fn over(&mut self, outcome: Outcome, has_effect: bool) -> u64 {
        if has_effect {
            self.last.clear();
            return 0;
        }
        let same = self.last.iter().position(|(last, _)| *last == outcome);
        let before = same.and_then(|at| self.last.remove(at)).map_or(0, |(_, times)| times);
        self.last.truncate(MAX_KEPT - 1);
        self.last.push_front((outcome, before.saturating_add(1)));
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(command: u64) -> Outcome {
        Outcome { command, end: 1, written_chars: 10 }
    }

    #[test]
    fn the_same_again_is_counted_until_something_changes() {
        let mut repeats = Repeats::default();
        assert_eq!([1, 1, 2, 1, 2].map(|n| repeats.over(call(n), false)), [0, 1, 0, 2, 1]);
        assert_eq!(repeats.over(Outcome { end: 2, ..call(1) }, false), 0);
        assert_eq!(repeats.over(Outcome { written_chars: 11, ..call(1) }, false), 0);
        assert_eq!(repeats.over(call(9), true), 0);
        assert_eq!(repeats.over(call(1), false), 0);
    }

    #[test]
    fn many_different_calls_are_no_loop() {
        let mut repeats = Repeats::default();
        for round in 0..3 {
            for n in 0..=MAX_KEPT as u64 {
                assert_eq!(repeats.over(call(n), false), 0, "{round}");
            }
        }
        assert_eq!(repeats.last.len(), MAX_KEPT);
    }
}
