//! Numbers for the stacks of a segment: given in the order in which the stacks first come, and written down before
//! the window that first needs them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::codec::names;
use crate::model::stack::{Frame, Stack, StackEnd};

/// The stacks of the segment that is written.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    frames: FxHashMap<Arc<Frame>, u32>,
    stacks: FxHashMap<Arc<Stack>, u64>,
    new: New,
}

/// What has a number that is not written down yet.
#[derive(Debug, Default)]
struct New {
    frames: Vec<Arc<Frame>>,
    stacks: Vec<Arc<Stack>>,
    numbered: Vec<(StackEnd, Vec<u32>)>,
}

impl Numbering {
    /// The number of a stack: equal stacks have equal numbers.
    pub(super) fn number(&mut self, stack: &Arc<Stack>) -> u64 {
        if let Some(number) = self.stacks.get(stack) {
            return *number;
        }
        let frames = stack.frames.iter().map(|frame| self.frame(frame)).collect();
        let number = self.stacks.len() as u64;
        self.stacks.insert(Arc::clone(stack), number);
        self.new.stacks.push(Arc::clone(stack));
        self.new.numbered.push((stack.end, frames));
        number
    }

    fn frame(&mut self, frame: &Arc<Frame>) -> u32 {
        let next = self.frames.len() as u32;
        if let Some(number) = self.frames.get(frame) {
            return *number;
        }
        self.frames.insert(Arc::clone(frame), next);
        self.new.frames.push(Arc::clone(frame));
        next
    }

    /// What got a number since the last call: the record that says so, and the stacks in order.
    pub(super) fn take_new(&mut self) -> Option<(Vec<u8>, Vec<Arc<Stack>>)> {
        let New { frames, stacks, numbered } = std::mem::take(&mut self.new);
        if stacks.is_empty() {
            return None;
        }
        Some((names::encode(&frames, &numbered), stacks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::stack;

    #[test]
    fn what_is_written_down_reads_back_in_order() {
        let mut numbering = Numbering::default();
        let (a, b) = (stack(&["leaf", "main"]), stack(&["main"]));
        let mut read = (Vec::new(), Vec::new());
        for (stacks, new) in [([&a, &a], 1), ([&b, &a], 1), ([&b, &b], 0)] {
            stacks.into_iter().for_each(|stack| {
                numbering.number(stack);
            });
            let written = numbering.take_new();
            assert_eq!(written.as_ref().map_or(0, |(_, stacks)| stacks.len()), new);
            if let Some((record, _)) = written {
                names::decode(&record, &mut read.0, &mut read.1).unwrap();
            }
        }
        assert_eq!((read.0.len(), read.1), (2, vec![a.clone(), b.clone()]));
        assert_eq!((numbering.number(&a), numbering.number(&stack(&["main"]))), (0, 1));
    }
}
