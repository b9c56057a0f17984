//! One channel at work: its queue, and the task that sends what is in it, one message at a time. A receiver that
//! hangs holds up its own lane only.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    config::Receiver,
    message::Message,
    outcome::Outcome,
    queue::{Counts, Next, Queue, Report, Saved},
    way::Way,
};
use crate::alert::{
    eval::Millis,
    route::{Delivery, Status},
    state::Phase,
};

/// What a try may take beyond its timeout before it is given up from outside: a command must be killed.
const GRACE: Duration = Duration::from_secs(2);
/// The longest sleep: what is due is due by the wall clock, which may jump.
const LONGEST_SLEEP: Millis = 5000;

/// A channel at work.
pub(super) struct Lane {
    name: String,
    state: Mutex<State>,
    wake: Notify,
    /// Hears of each try.
    tried: Tried,
}

/// Is told what every try came to.
pub type Tried = Arc<dyn Fn(Delivery) + Send + Sync>;

struct State {
    receiver: Receiver,
    queue: Queue,
    /// What the last try came to, and when.
    last: Option<(Millis, Outcome)>,
    delivered_at: Option<Millis>,
    /// The configuration has it no longer: nothing is tried again.
    is_gone: bool,
}

/// How a channel fares, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The receiver.
    pub name: String,
    /// The kind of its channel.
    pub kind: &'static str,
    /// Where it leads, without secrets.
    pub target: String,
    /// Messages that wait.
    pub waiting: usize,
    /// What was counted since the daemon started.
    pub counts: Counts,
    /// What the last try came to, and when.
    pub last: Option<(Millis, Outcome)>,
    /// When the receiver last took a message.
    pub delivered_at: Option<Millis>,
}

impl Lane {
    pub(super) fn new(name: String, receiver: Receiver, saved: Saved, tried: Tried) -> Self {
        let queue = Queue::new(receiver.rate, saved);
        let state = State { receiver, queue, last: None, delivered_at: None, is_gone: false };
        Self { name, state: Mutex::new(state), wake: Notify::new(), tried }
    }

    /// Takes a message, or says at once what becomes of it, or of another that had to make room.
    pub(super) fn push(&self, mut message: Message, now: Millis) -> Option<Report> {
        let mut state = self.state();
        let told = &mut message.notification;
        if !state.receiver.send_resolved {
            if told.status == Status::Resolved {
                state.queue.counts.skipped += 1;
                return Some(Report { id: told.id, delivery: Delivery::Delivered });
            }
            told.alerts.retain(|alert| alert.phase != Phase::Resolved);
        }
        let report = state.queue.push(message, now);
        drop(state);
        self.wake.notify_one();
        report
    }

    /// Sends what is in the queue until told to stop. A try under way is finished first.
    pub(super) async fn run(self: Arc<Self>, reports: mpsc::Sender<Report>, mut stop: watch::Receiver<bool>) {
        // Nobody who could stop us any more is the same as being stopped.
        while !*stop.borrow() && stop.has_changed().is_ok() {
            let next = self.state().queue.next(now());
            let pause = match next {
                Next::Send(message, attempt) => {
                    let Some(report) = self.attempt(&message, attempt).await else { continue };
                    if reports.send(report).await.is_err() {
                        return;
                    }
                    continue;
                }
                Next::At(at) => Some(at.saturating_sub(now()).clamp(1, LONGEST_SLEEP)),
                Next::Nothing => None,
            };
            tokio::select! {
                () = nap(pause) => {}
                () = self.wake.notified() => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn attempt(&self, message: &Message, attempt: u32) -> Option<Report> {
        let outcome = self.try_once(message, attempt).await;
        let (name, said, target) = (&self.name, outcome.said(), self.way().shown());
        let now = now();
        (self.tried)(outcome.delivery());
        let mut state = self.state();
        let report = state.queue.done(message.notification.id, &outcome, now, random());
        // A receiver that is away is worth one line, not one for each try.
        let again = matches!(state.last, Some((_, Outcome::Later(_))));
        match &outcome {
            Outcome::Taken(_) => {
                tracing::debug!(receiver = name, target, said, "alerts are told");
                state.delivered_at = Some(now);
            }
            Outcome::Refused(_) => tracing::warn!(receiver = name, target, said, "alerts are refused"),
            Outcome::Later(_) if again => {
                tracing::debug!(receiver = name, target, said, attempt, "alerts still cannot be told")
            }
            Outcome::Later(_) => {
                tracing::warn!(receiver = name, target, said, attempt, "alerts cannot be told yet")
            }
        }
        state.last = Some((now, outcome));
        report.or_else(|| {
            state.is_gone.then_some(Report { id: message.notification.id, delivery: Delivery::Retry })
        })
    }

    /// One try, outside the queue.
    pub(super) async fn try_once(&self, message: &Message, attempt: u32) -> Outcome {
        let way = self.way();
        let patience = self.state().receiver.timeout + GRACE;
        match timeout(patience, way.deliver(message, attempt)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::unreached(format!("not done within {patience:?}")),
        }
    }

    /// Goes another way from the next try on.
    pub(super) fn reroute(&self, receiver: Receiver) {
        let mut state = self.state();
        receiver.way.resume(state.receiver.way.half_told());
        state.queue.rate = receiver.rate;
        state.receiver = receiver;
        drop(state);
        self.wake.notify_one();
    }

    /// Gives back what waits: there is no such receiver any more. What is being tried is reported by that try.
    pub(super) fn give_up(&self) -> Vec<Report> {
        let mut state = self.state();
        state.is_gone = true;
        state.queue.give_back()
    }

    pub(super) fn save(&self) -> Saved {
        self.state().queue.save()
    }

    pub(super) fn health(&self) -> Health {
        let target = self.way().shown();
        let state = self.state();
        Health {
            name: self.name.clone(),
            kind: state.receiver.kind,
            target,
            waiting: state.queue.len(),
            counts: state.queue.counts,
            last: state.last.clone(),
            delivered_at: state.delivered_at,
        }
    }

    /// The way. What it is asked may touch files, and is not asked under the lock.
    fn way(&self) -> Arc<dyn Way> {
        Arc::clone(&self.state().receiver.way)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sleeps so many milliseconds, or for ever.
async fn nap(pause: Option<Millis>) {
    match pause {
        Some(millis) => sleep(Duration::from_millis(millis.unsigned_abs())).await,
        None => std::future::pending().await,
    }
}

/// The wall clock, milliseconds since 1970.
pub(super) fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

/// From 0 to 1. The standard library's keys for hashing are random, and good enough here.
fn random() -> f64 {
    (RandomState::new().hash_one(()) >> 11) as f64 / (1_u64 << 53) as f64
}
