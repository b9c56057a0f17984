//! What was found in copies of stacks, on its way from the thread that unwinds them to the one that reads stacks, where
//! it takes the place of walks that were cut. Bounded: where nobody takes it, the oldest goes.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lru::LruCache;

use crate::model::stack::StackEnd;

/// Stacks that may wait: the kernel side copies 64 at once and 20 a second, and a window lasts for 60 s at most.
const WAITING: NonZeroUsize = NonZeroUsize::new(2048).unwrap();

/// The native frames of a user stack, innermost first, and how they end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) addresses: Arc<[u64]>,
    pub(super) end: StackEnd,
}

/// What was found, by the stack's id. Clones share it.
#[derive(Clone)]
pub(super) struct FoundInCopies(Arc<Mutex<LruCache<u64, Found>>>);

impl FoundInCopies {
    pub(super) fn new() -> Self {
        // Not `new`, which takes memory for all that may come at once.
        Self(Arc::new(Mutex::new(LruCache::unbounded())))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<u64, Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was found until it is taken.
    pub(super) fn put(&self, id: u64, found: Found) {
        let mut waiting = self.lock();
        waiting.put(id, found);
        if waiting.len() > WAITING.get() {
            waiting.pop_lru();
        }
    }

    /// Takes what was found; such an id is one sample's, and asked for once.
    pub(super) fn take(&self, id: u64) -> Option<Found> {
        self.lock().pop(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: u64) -> Found {
        Found { addresses: Arc::from([address, 1]), end: StackEnd::Complete }
    }

    #[test]
    fn what_was_found_is_taken_once_by_whoever_shares_it() {
        let copies = FoundInCopies::new();
        let reader = copies.clone();
        copies.put(5, found(7));
        assert_eq!(reader.take(6), None);
        assert_eq!(reader.take(5), Some(found(7)));
        assert_eq!(reader.take(5), None);
    }

    #[test]
    fn the_oldest_goes_where_nobody_takes_any() {
        let copies = FoundInCopies::new();
        let all = WAITING.get() as u64 + 3;
        (0..all).for_each(|id| copies.put(id, found(id)));
        let kept: Vec<u64> = (0..all).filter(|&id| copies.take(id).is_some()).collect();
        assert_eq!(kept, (3..all).collect::<Vec<_>>());
    }
}
