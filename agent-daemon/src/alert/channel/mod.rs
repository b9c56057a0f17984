//! Channels: how what the router says reaches people. Each receiver that routes name is one channel.
//!
//! ```text
//! Router::due ─ Notification ─▶ Channels::submit ─▶ lane of the receiver: queue ─▶ way ─▶ receiver
//! Router::report ◀── Report ─── Channels::report ◀──────────────────────────┘
//! ```
//!
//! Delivery is at least once: the router holds a message until its [`Report`] comes, saves it, and hands it out again
//! after a restart with its old id, by which receivers that can tell a repetition do. A message that was taken is
//! never sent again by this process. The ways are the one part of the alert core that reads clocks and files and
//! talks to others.

mod alertmanager;
mod auth;
mod command;
mod config;
mod email;
mod http;
mod journald;
mod lane;
mod message;
mod outcome;
mod pagerduty;
mod payload;
mod queue;
mod secret;
mod slack;
mod sms;
#[cfg(test)]
mod tests;
mod text;
mod url;
mod way;
mod webhook;

pub use config::Config;
pub use lane::{Health, Tried};
pub use message::{About, Diagnosis, Finding, Message};
pub use outcome::{Later, Outcome};
pub use queue::{Counts, Report};

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use self::lane::{Lane, now};
use super::{
    labels::Fingerprint,
    route::{Delivery, Notification},
};

/// Reports that wait to be read; lanes wait with theirs.
const REPORTS: usize = 1024;

/// What the channels remember over a restart. Save it together with the router's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    lanes: BTreeMap<String, queue::Saved>,
}

/// What a test of a channel came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tested {
    /// What came back.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// All channels at work. Dropping it, or one, lets tries under way come to their end.
pub struct Channels {
    lanes: BTreeMap<String, Running>,
    about: Arc<About>,
    tried: Tried,
    saved: Saved,
    reports: mpsc::Receiver<Report>,
    reporter: mpsc::Sender<Report>,
}

struct Running {
    lane: Arc<Lane>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Channels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.health()).finish()
    }
}

impl Channels {
    /// Sets the channels to work, where those before a restart left off; `tried` hears of each try. Must be called in a
    /// tokio runtime.
    #[must_use]
    pub fn open(config: Config, about: About, saved: Saved, tried: Tried) -> Self {
        let (reporter, reports) = mpsc::channel(REPORTS);
        let lanes = BTreeMap::new();
        let mut channels = Self { lanes, about: Arc::new(about), tried, saved, reports, reporter };
        // There was nobody before.
        let _ = channels.reload(config);
        channels
    }

    /// Another configuration. Messages that wait for a receiver that stays go its new way; those for one that is gone
    /// are given back, to be told to the router, since a receiver of our own may have the same name.
    #[must_use]
    pub fn reload(&mut self, config: Config) -> Vec<Report> {
        let gone = self.lanes.extract_if(.., |name, _| !config.receivers.contains_key(name));
        let given_up = gone.flat_map(|(_, running)| running.lane.give_up()).collect();
        for (name, receiver) in config.receivers {
            match self.lanes.get(&name) {
                Some(running) => running.lane.reroute(receiver),
                None => self.start(name, receiver),
            }
        }
        given_up
    }

    fn start(&mut self, name: String, receiver: config::Receiver) {
        let saved = self.saved.lanes.remove(&name).unwrap_or_default();
        let lane = Arc::new(Lane::new(name.clone(), receiver, saved, Arc::clone(&self.tried)));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(Arc::clone(&lane).run(self.reporter.clone(), stopped));
        self.lanes.insert(name, Running { lane, stop, task });
    }

    /// Whether there is a receiver of this name.
    #[must_use]
    pub fn has(&self, receiver: &str) -> bool {
        self.lanes.contains_key(receiver)
    }

    /// Takes a message that the router wants to be sent. Never waits. What is known at once is returned, to be told
    /// to the router; the rest comes by [`Self::report`].
    pub fn submit(
        &self,
        notification: Notification,
        diagnoses: BTreeMap<Fingerprint, Diagnosis>,
    ) -> Option<Report> {
        let Some(running) = self.lanes.get(&notification.receiver) else {
            tracing::warn!(receiver = notification.receiver, "there is no such receiver");
            return Some(Report { id: notification.id, delivery: Delivery::Retry });
        };
        let message = Message { notification, diagnoses, about: Arc::clone(&self.about) };
        running.lane.push(message, now())
    }

    /// What became of a message, when that is known: for [`Router::report`](super::Router::report). May be dropped
    /// and called again, nothing is lost.
    pub async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// How far each message has come.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved {
            lanes: self.lanes.iter().map(|(name, running)| (name.clone(), running.lane.save())).collect(),
        }
    }

    /// Sends one message that does no harm, past the queue, and says what came back. `None`: there is no such receiver.
    pub async fn test(&self, receiver: &str) -> Option<Tested> {
        Some(self.tester(receiver)?.await)
    }

    /// The same as a future of its own, so that nobody waits for it who has other things to do.
    pub fn tester(&self, receiver: &str) -> Option<impl Future<Output = Tested> + Send + use<>> {
        let lane = Arc::clone(&self.lanes.get(receiver)?.lane);
        let (about, receiver) = (Arc::clone(&self.about), receiver.to_owned());
        Some(async move {
            let start = Instant::now();
            let outcome = match Message::test(&receiver, about, now()) {
                Ok(message) => lane.try_once(&message, 1).await,
                Err(error) => Outcome::later(error.to_string()),
            };
            Tested { outcome, took: start.elapsed() }
        })
    }

    /// How each channel fares.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.lanes.values().map(|running| running.lane.health()).collect()
    }

    /// Stops all; tries under way may take that long to end. Read what [`Self::report`] has, tell the router, and save.
    pub async fn stop(&mut self, patience: Duration) {
        for running in self.lanes.values() {
            let _ = running.stop.send(true);
        }
        let all = async {
            for running in self.lanes.values_mut() {
                let _ = (&mut running.task).await;
            }
        };
        if timeout(patience, all).await.is_err() {
            self.lanes.values().for_each(|running| running.task.abort());
            tracing::warn!("some alerts were being told when the daemon stopped: they will be told again");
        }
    }

    /// What [`Self::report`] would say without waiting.
    pub fn reported(&mut self) -> Option<Report> {
        self.reports.try_recv().ok()
    }
}
