//! Who is told: one receiver for each name that routes have.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin, sync::Arc};

use crate::alert::{
    route::{Delivery, Notification, Status},
    rule::Severity,
    state::Phase,
};

/// The receiver that writes to the log; it is there without any configuration.
pub const LOG_RECEIVER: &str = "default";

/// What telling comes to.
pub type Telling<'t> = Pin<Box<dyn Future<Output = Delivery> + Send + 't>>;

/// One who is told. Must end: who takes longer than half a minute is given up, and the message is tried again.
pub trait Receiver: Send + Sync {
    /// Tells. The same message may come again, with the same id, where the answer was lost.
    fn tell<'t>(&'t self, message: &'t Notification) -> Telling<'t>;
}

/// All of them, by name.
#[derive(Clone)]
pub struct Receivers(BTreeMap<String, Arc<dyn Receiver>>);

impl Receivers {
    /// These, and the log as `default` unless they have one of that name.
    #[must_use]
    pub fn new(named: impl IntoIterator<Item = (String, Arc<dyn Receiver>)>) -> Self {
        let log: (String, Arc<dyn Receiver>) = (LOG_RECEIVER.to_owned(), Arc::new(Log));
        Self(std::iter::once(log).chain(named).collect())
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<dyn Receiver>> {
        self.0.get(name).cloned()
    }
}

impl Default for Receivers {
    fn default() -> Self {
        Self::new([])
    }
}

impl fmt::Debug for Receivers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Writes a line for each alert to the daemon's log, which is the journal under systemd.
struct Log;

impl Receiver for Log {
    fn tell<'t>(&'t self, message: &'t Notification) -> Telling<'t> {
        for alert in &message.alerts {
            let state = if alert.phase == Phase::Firing { "firing" } else { "resolved" };
            let summary = alert.annotations.get("summary").map_or("", String::as_str);
            let (labels, id) = (&alert.labels, message.id);
            if message.status == Status::Resolved || alert.severity == Severity::Info {
                tracing::info!(target: "agentperf::alert", %id, state, %labels, "{summary}");
            } else {
                tracing::warn!(target: "agentperf::alert", %id, state, %labels, "{summary}");
            }
        }
        Box::pin(async { Delivery::Delivered })
    }
}
