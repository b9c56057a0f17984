//! What waits in memory to be sent: bounded, and never in the way of whoever puts something in.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::export::account::Account;

/// A queue of one signal.
#[derive(Debug)]
pub(super) struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    max: usize,
    filled: Notify,
    account: Account,
}

impl<T> Queue<T> {
    pub(super) fn new(max: usize, account: Account) -> Self {
        Self { items: Mutex::default(), max, filled: Notify::new(), account }
    }

    /// Puts items in. What finds no room is dropped and counted.
    pub(super) fn extend(&self, new: impl IntoIterator<Item = T>) {
        let mut items = self.lock();
        let mut refused = 0;
        for item in new {
            if items.len() < self.max {
                items.push_back(item);
            } else {
                refused += 1;
            }
        }
        self.account.set_queued(items.len());
        self.account.dropped(refused);
        let any = !items.is_empty();
        drop(items);
        if any {
            self.filled.notify_one();
        }
    }

    /// Takes at most so many out, at once.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut items = self.lock();
        let most = most.min(items.len());
        let taken = items.drain(..most).collect();
        self.account.set_queued(items.len());
        taken
    }

    /// Waits until there is something.
    pub(super) async fn wait(&self) {
        while self.lock().is_empty() {
            self.filled.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::telemetry::Telemetry;

    #[tokio::test]
    async fn what_overflows_is_counted() {
        let telemetry = Arc::new(Telemetry::default());
        let queue = Queue::new(3, Account::open("otlp_traces", String::new(), &telemetry));
        queue.extend(0..5);
        queue.wait().await;
        assert_eq!(telemetry.losses.all()["export_dropped"], 2);
        assert_eq!((telemetry.exporters()[0].queued, telemetry.exporters()[0].dropped), (3, 2));
        assert_eq!((queue.take(2), queue.take(2), queue.take(2)), (vec![0, 1], vec![2], vec![]));
    }
}
