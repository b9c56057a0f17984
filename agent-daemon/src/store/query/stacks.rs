//! Small numbers for equal stacks, so that folds compare a number and not a hundred frames. Rows share their
//! stacks' allocations, so most look-ups never read a frame.
//!
//! Windows come and go during a fold, and an allocation that is gone may come back as another stack's: so every
//! allocation that is known by its address is held, and when there are too many, all are let go.

use std::{cmp::Ordering, sync::Arc};

use rustc_hash::FxHashMap;

use crate::model::stack::{Frame, FrameKind, Stack};

/// Allocations that are known by address at once.
const HELD: usize = 1 << 14;

/// The stacks of some windows, each once.
#[derive(Debug, Default)]
pub(super) struct StackTable {
    /// Each key is the address of the stack in its value.
    by_allocation: FxHashMap<*const Stack, (usize, Arc<Stack>)>,
    by_value: FxHashMap<Arc<Stack>, usize>,
    stacks: Vec<Arc<Stack>>,
}

impl StackTable {
    /// The number of a stack: equal stacks have equal numbers.
    pub(super) fn number(&mut self, stack: &Arc<Stack>) -> usize {
        if let Some((number, _)) = self.by_allocation.get(&Arc::as_ptr(stack)) {
            return *number;
        }
        let number = match self.by_value.get(stack) {
            Some(number) => *number,
            None => {
                self.by_value.insert(Arc::clone(stack), self.stacks.len());
                self.stacks.push(Arc::clone(stack));
                self.stacks.len() - 1
            }
        };
        if self.by_allocation.len() >= HELD {
            self.by_allocation.clear();
        }
        self.by_allocation.insert(Arc::as_ptr(stack), (number, Arc::clone(stack)));
        number
    }

    /// The stack that has this number.
    pub(super) fn stack(&self, number: usize) -> Option<Arc<Stack>> {
        self.stacks.get(number).cloned()
    }
}

/// An order of stacks by what they hold, to break ties the same way every time.
pub(super) fn order(a: &Stack, b: &Stack) -> Ordering {
    let frames = a.frames.iter().map(|f| key(f)).cmp(b.frames.iter().map(|f| key(f)));
    frames.then_with(|| a.end.cmp(&b.end))
}

/// Everything of a frame, what tells frames apart soonest first.
type Key<'a> = (&'a str, u64, Option<u32>, Option<&'a str>, FrameKind, Option<(&'a str, Option<&'a str>)>);

fn key(frame: &Frame) -> Key<'_> {
    let binary = frame.binary.as_ref().map(|b| (b.path.as_str(), b.build_id.as_deref()));
    (&frame.function, frame.address, frame.line, frame.file.as_deref(), frame.kind, binary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::stack;

    #[test]
    fn equal_stacks_share_a_number_whatever_holds_them() {
        let (a, again, other) = (stack(&["leaf", "main"]), stack(&["leaf", "main"]), stack(&["main"]));
        let mut table = StackTable::default();
        assert_eq!(table.number(&a), table.number(&again));
        assert_ne!(table.number(&a), table.number(&other));
        assert_eq!(table.stack(1), Some(other.clone()));
        assert_eq!(table.stack(2), None);
        assert_eq!(order(&a, &again), Ordering::Equal);
        assert_ne!(order(&a, &other), Ordering::Equal);
    }
}
