//! When it is time for a round: when a window was closed or an agent came or went, and at the latest when a window's
//! length has passed.

use std::time::Duration;

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use crate::{model::record::Record, store::Follower};

/// How long after the first window of a round those of other agents are waited for.
const SETTLE: Duration = Duration::from_millis(150);
/// The least time between two rounds, where agents come and go all the time.
const GAP: Duration = Duration::from_millis(700);

/// Sees what is stored, and wakes who evaluates.
#[derive(Debug, Default)]
pub struct Wake(Notify);

impl Follower for Wake {
    fn follow(&self, record: &Record) {
        match record {
            Record::Window(_) | Record::Host(_) | Record::Agent(_) => self.0.notify_one(),
            Record::Process(..) | Record::Operations(_) | Record::Barrier(_) => {}
        }
    }
}

impl Wake {
    /// Waits for the next round; windows are this long, and the last round began then.
    pub(super) async fn wait(&self, window: Duration, last: Instant) {
        // Whether woken or not makes no difference.
        let _ = timeout(window, self.0.notified()).await;
        let gap = GAP.min(window / 2).saturating_sub(last.elapsed());
        sleep(SETTLE.min(window / 4).max(gap)).await;
    }
}
