//! A cache of what processes say of themselves: bounded by bytes, since they choose the lengths, and by entries. What
//! was used least lately goes first.

use std::{hash::Hash, num::NonZeroUsize};

use lru::LruCache;

/// The cache.
#[derive(Debug)]
pub(super) struct Bounded<K: Hash + Eq, V> {
    known: LruCache<K, (V, usize)>,
    bytes: usize,
    max_bytes: usize,
}

impl<K: Hash + Eq, V> Bounded<K, V> {
    /// A cache of at most so many entries, and of so many bytes.
    pub(super) fn new(entries: NonZeroUsize, max_bytes: usize) -> Self {
        Self { known: LruCache::new(entries), bytes: 0, max_bytes }
    }

    /// The value of a key, which is the latest used then.
    pub(super) fn get(&mut self, key: &K) -> Option<&V> {
        self.known.get(key).map(|(value, _)| value)
    }

    /// Keeps a value that takes so many bytes. One above the limit by itself is kept alone.
    pub(super) fn put(&mut self, key: K, value: V, bytes: usize) {
        self.bytes += bytes;
        if let Some((_, (_, gone))) = self.known.push(key, (value, bytes)) {
            self.bytes -= gone;
        }
        while self.bytes > self.max_bytes
            && self.known.len() > 1
            && let Some((_, (_, gone))) = self.known.pop_lru()
        {
            self.bytes -= gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, proptest};

    use super::*;

    #[test]
    fn large_values_leave_room_for_few() {
        let mut cache = Bounded::new(NonZeroUsize::new(4).unwrap(), 100);
        for key in 0..4 {
            cache.put(key, key, 10);
        }
        cache.get(&0);
        cache.put(9, 9, 80);
        assert_eq!([0, 1, 2, 3, 9].map(|key| cache.get(&key).is_some()), [true, false, false, true, true]);
    }

    proptest! {
        #[test]
        fn bytes_are_those_of_what_is_kept(puts in vec((0..12, 0_usize..60), 0..200)) {
            let mut cache = Bounded::new(NonZeroUsize::new(8).unwrap(), 100);
            for (key, bytes) in puts {
                cache.put(key, (), bytes);
                assert_eq!(cache.get(&key), Some(&()));
                assert_eq!(cache.bytes, cache.known.iter().map(|(_, (_, bytes))| bytes).sum::<usize>());
                assert!(cache.bytes <= 100 && cache.known.len() <= 8);
            }
        }
    }
}
