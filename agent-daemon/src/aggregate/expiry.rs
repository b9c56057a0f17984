//! Waits until the time of an agent is over, by the wall clock.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::time::Timestamp;

/// Waits until this time; not at all without one.
pub(super) async fn wait_for(time: Option<Timestamp>) {
    let Some(time) = time else { return };
    let left = Duration::try_from(time.duration_since(Timestamp::now())).unwrap_or_default();
    sleep_until(Instant::now() + left).await;
}
