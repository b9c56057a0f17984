//! Small numbers for equal stacks, so that folds compare a number and not a hundred frames. Rows of one
//! window share their stacks' allocations, so most look-ups never read a frame.

use std::{cmp::Ordering, sync::Arc};

use rustc_hash::FxHashMap;

use crate::model::stack::{Frame, Stack};

/// The stacks of some windows, each once.
#[derive(Default)]
pub(super) struct StackTable<'a> {
    by_allocation: FxHashMap<*const Stack, usize>,
    by_value: FxHashMap<&'a Stack, usize>,
    stacks: Vec<&'a Arc<Stack>>,
}

impl<'a> StackTable<'a> {
    /// The number of a stack: equal stacks have equal numbers.
    pub(super) fn number(&mut self, stack: &'a Arc<Stack>) -> usize {
        if let Some(number) = self.by_allocation.get(&Arc::as_ptr(stack)) {
            return *number;
        }
        let next = self.stacks.len();
        let number = *self.by_value.entry(stack).or_insert(next);
        if number == next {
            self.stacks.push(stack);
        }
        self.by_allocation.insert(Arc::as_ptr(stack), number);
        number
    }

    /// The stack that has this number.
    pub(super) fn stack(&self, number: usize) -> Option<Arc<Stack>> {
        self.stacks.get(number).map(|s| Arc::clone(s))
    }
}

/// An order of stacks by what they hold, to break ties the same way every time.
pub(super) fn order(a: &Stack, b: &Stack) -> Ordering {
    a.frames.iter().map(|f| key(f)).cmp(b.frames.iter().map(|f| key(f)))
}

fn key(frame: &Frame) -> (&str, u64, Option<u32>, Option<&str>) {
    (&frame.function, frame.address, frame.line, frame.file.as_deref())
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
