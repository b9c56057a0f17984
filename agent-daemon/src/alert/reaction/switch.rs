//! Whether reactions are wanted. Beside the queue of messages, which may be full: what turns them off must not wait.

use std::sync::atomic::{AtomicBool, Ordering};

/// Looked at before anything is done.
#[derive(Debug, Default)]
pub(super) struct Switch {
    on: AtomicBool,
    stopped: AtomicBool,
}

impl Switch {
    pub(super) fn new(on: bool) -> Self {
        Self { on: AtomicBool::new(on), stopped: AtomicBool::new(false) }
    }

    pub(super) fn turn(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }

    /// For good.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::SeqCst) && !self.is_stopped()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}
