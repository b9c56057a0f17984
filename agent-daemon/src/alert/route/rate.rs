//! How many messages a receiver takes. What comes too fast waits, and is told together.

use serde::{Deserialize, Serialize};

use super::config::required_millis;
use crate::alert::eval::Millis;

/// So many messages in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// How many, also at once; none at all is one.
    pub messages: u32,
    /// In how much time, milliseconds.
    #[serde(deserialize_with = "required_millis")]
    pub per: Millis,
}

impl Default for Rate {
    /// Thirty in ten minutes.
    fn default() -> Self {
        Self { messages: 30, per: 600_000 }
    }
}

/// Messages that may go now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bucket {
    left: f64,
    at: Millis,
}

impl Bucket {
    pub(super) fn full(rate: Rate, now: Millis) -> Self {
        Self { left: f64::from(rate.messages.max(1)), at: now }
    }

    /// Whether one may go; it has then gone.
    pub(super) fn take(&mut self, rate: Rate, now: Millis) -> bool {
        let most = f64::from(rate.messages.max(1));
        // A clock that went back refills nothing.
        let passed = now.saturating_sub(self.at).max(0) as f64;
        self.left = (self.left + most * passed / rate.per.max(1) as f64).min(most);
        self.at = now;
        let goes = self.left >= 1.0;
        self.left -= f64::from(u8::from(goes));
        goes
    }
}
