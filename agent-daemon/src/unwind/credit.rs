//! Time that a thread may spend on what is dear: a burst at once, and a share of one core in the long run.

use std::time::{Duration, Instant};

/// Time that may be spent at once; it comes back at [`SHARE`] of the time that passes.
const BURST: Duration = Duration::from_secs(1);
/// One part in so many of one core is spent in the long run.
const SHARE: u32 = 4;

/// Time that may be spent.
#[derive(Debug)]
pub(crate) struct Credit {
    left: Duration,
    at: Instant,
}

impl Credit {
    /// All that can be saved up.
    pub(crate) fn full() -> Self {
        Self { left: BURST, at: Instant::now() }
    }

    fn now(&mut self) -> Duration {
        let now = Instant::now();
        self.left = (self.left + (now - self.at) / SHARE).min(BURST);
        self.at = now;
        self.left
    }

    /// So much was spent.
    pub(crate) fn spend(&mut self, time: Duration) {
        self.left = self.now().saturating_sub(time);
    }

    /// How long it takes until there is any.
    pub(crate) fn missing(&mut self) -> Duration {
        if self.now().is_zero() { Duration::from_millis(10) } else { Duration::ZERO }
    }
}
