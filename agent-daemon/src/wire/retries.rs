//! Which call is another attempt at one that failed: the same owner sends the same request again.
//!
//! Requests are compared by a hash of method, host, path and body; the hash never leaves this module.

use std::num::NonZeroUsize;

use lru::LruCache;

/// Failed calls that are remembered.
const MOST: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// How long a client may wait before it tries again, ns: ten minutes.
const LONGEST_WAIT: u64 = 600_000_000_000;

#[derive(Clone, Copy, Debug)]
struct Failed {
    exchange: u64,
    attempts: u32,
    ended_ns: u64,
}

/// The failed calls of late.
pub(super) struct Retries(LruCache<(u64, u64), Failed>);

impl Default for Retries {
    fn default() -> Self {
        Self(LruCache::new(MOST))
    }
}

/// A call that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) owner: u64,
    /// A hash of what was asked.
    pub(super) request: u64,
    pub(super) exchange: u64,
    pub(super) started_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) failed: bool,
}

impl Retries {
    /// The failed call that this one repeats, and how many failed before it.
    pub(super) fn link(&mut self, attempt: Attempt) -> Option<(u64, u32)> {
        let key = (attempt.owner, attempt.request);
        let follows = |failed: &Failed| {
            let waited = attempt.started_ns.checked_sub(failed.ended_ns);
            waited.is_some_and(|waited| waited <= LONGEST_WAIT)
        };
        let before = self.0.pop(&key).filter(follows);
        let attempts = before.map_or(0, |failed| failed.attempts);
        if attempt.failed {
            let failed = Failed {
                exchange: attempt.exchange,
                attempts: attempts.saturating_add(1),
                ended_ns: attempt.ended_ns,
            };
            self.0.put(key, failed);
        }
        before.map(|failed| (failed.exchange, failed.attempts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(owner: u64, exchange: u64, started_ns: u64, failed: bool) -> Attempt {
        Attempt { owner, request: 7, exchange, started_ns, ended_ns: started_ns + 5, failed }
    }

    #[test]
    fn attempts_are_linked_until_one_goes_well() {
        let mut retries = Retries::default();
        assert_eq!(retries.link(attempt(1, 10, 0, true)), None);
        assert_eq!(retries.link(attempt(1, 11, 100, true)), Some((10, 1)));
        assert_eq!(retries.link(attempt(2, 12, 100, false)), None);
        assert_eq!(retries.link(attempt(1, 13, 200, false)), Some((11, 2)));
        assert_eq!(retries.link(attempt(1, 14, 300, false)), None);
    }

    #[test]
    fn calls_at_once_or_long_after_are_no_retries() {
        let mut retries = Retries::default();
        retries.link(attempt(1, 10, 0, true));
        assert_eq!(retries.link(attempt(1, 11, 3, true)), None);
        assert_eq!(retries.link(attempt(1, 12, LONGEST_WAIT * 2, false)), None);
    }
}
