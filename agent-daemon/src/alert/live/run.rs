//! The task that turns rounds: waits for windows, evaluates on a thread that may block, hands messages to receivers
//! and hears how that went.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::{JoinSet, spawn_blocking},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{owner::Owner, receiver::Receivers, view::View, wake::Wake};
use crate::{
    alert::{
        channel::{self, Channels, Diagnosis, Tried},
        labels::Fingerprint,
        route::{Delivery, Notification, Silence, SilenceError},
    },
    config,
    model::time::Timestamp,
};

/// Messages that are told at once.
const AT_ONCE: usize = 32;
/// Answers of receivers that may wait.
const ANSWERS: usize = 1024;
/// How long telling may take.
const TELLING: Duration = Duration::from_secs(30);
/// How long stopping waits for receivers that are being told.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked whether a message's time has come, between rounds.
const TICK: Duration = Duration::from_millis(500);

/// What others ask for.
pub(super) enum Command {
    Order(Order),
    /// Answered by whether there is such a receiver, and what came of it.
    Test(String, oneshot::Sender<Tested>),
}

/// What the owner is asked for.
pub(super) enum Order {
    Silence(Silence, oneshot::Sender<Result<Fingerprint, SilenceError>>),
    Unsilence(Fingerprint, oneshot::Sender<Result<(), SilenceError>>),
    Reload(config::Alerts),
}

type Answer = (Fingerprint, Delivery);
/// What the agents of a message's alerts did.
type Evidence = BTreeMap<Fingerprint, Diagnosis>;
/// Whether there is such a receiver, and what came of a test of it.
pub(super) type Tested = Option<channel::Tested>;

/// The alerts, ready to run.
pub struct Running {
    pub(super) owner: Owner,
    pub(super) window: Duration,
    pub(super) receivers: Receivers,
    pub(super) wake: Arc<Wake>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) view: watch::Sender<Arc<View>>,
}

impl Running {
    /// Turns rounds until told to stop; then writes down what is to be remembered. What is being told then is told
    /// again by the next daemon, with the same id.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (answered, mut answers) = mpsc::channel::<Answer>(ANSWERS);
        // One future for each round: what woke it is not lost when something else comes first.
        let wake = Arc::clone(&self.wake);
        let mut round = pin!(wake.wait(self.window, Instant::now()));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let Some((mut owner, ())) = blocking(self.owner, |owner| owner.look_back(Timestamp::now())).await
        else {
            return;
        };
        let config = owner.take_receivers().unwrap_or_default();
        let tried = owner.tried();
        let channels = Channels::open(config, owner.about(), owner.channels(), Arc::clone(&tried));
        self.view.send_modify(|view| Arc::make_mut(view).receivers = channels.health());
        let at_once = Arc::new(Semaphore::new(AT_ONCE));
        let tells = JoinSet::new();
        let receivers = self.receivers.clone();
        let mut teller = Teller { tells, receivers, channels, at_once, answered, tried };
        loop {
            let quiet = owner.is_quiet();
            let turn = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some((id, delivery)) = answers.recv() => Turn::Answer(id, delivery),
                report = teller.channels.report() => Turn::Answer(report.id, report.delivery),
                Some(command) = self.commands.recv() => match command {
                    Command::Test(name, reply) => {
                        teller.test(&name, reply);
                        continue;
                    }
                    Command::Order(order) => Turn::Order(order),
                },
                () = &mut round => Turn::Round,
                _ = tick.tick(), if !quiet => Turn::Tick,
            };
            if matches!(turn, Turn::Round) {
                round.set(wake.wait(self.window, Instant::now()));
            }
            owner.remember(teller.channels.save());
            let Some((same, taken)) = blocking(owner, |owner| take(owner, turn)).await else { return };
            owner = same;
            if let Some(receivers) = owner.take_receivers() {
                teller.reload(receivers);
            }
            if let Some(view) = taken.view {
                self.view.send_replace(Arc::new(View { receivers: teller.channels.health(), ..view }));
            }
            // Whoever asks for how things stand once this is answered sees what it did.
            taken.reply.into_iter().for_each(|reply| reply());
            taken.messages.into_iter().for_each(|(message, diagnoses)| teller.tell(message, diagnoses));
        }
        let reports = teller.stop(&mut answers).await;
        owner.remember(teller.channels.save());
        let _ = blocking(owner, |owner| {
            reports.into_iter().for_each(|(id, delivery)| owner.report(id, delivery, Timestamp::now()));
            owner.save();
        })
        .await;
    }
}

enum Turn {
    Answer(Fingerprint, Delivery),
    Order(Order),
    Round,
    Tick,
}

/// What comes of a turn.
#[derive(Default)]
struct Taken {
    messages: Vec<(Notification, Evidence)>,
    /// How things stand, where that changed.
    view: Option<View>,
    reply: Option<Box<dyn FnOnce() + Send>>,
}

fn take(owner: &mut Owner, turn: Turn) -> Taken {
    let at = Timestamp::now();
    match turn {
        Turn::Round => {
            let messages = owner.round(at);
            Taken { messages: with_evidence(owner, messages), view: Some(owner.view(at)), reply: None }
        }
        Turn::Tick => {
            let messages = owner.due(at);
            Taken { messages: with_evidence(owner, messages), ..Taken::default() }
        }
        Turn::Answer(id, delivery) => {
            owner.report(id, delivery, at);
            Taken::default()
        }
        Turn::Order(order) => {
            let reply = obey(owner, order, at);
            Taken { messages: Vec::new(), view: Some(owner.view(at)), reply: Some(reply) }
        }
    }
}

fn with_evidence(owner: &Owner, messages: Vec<Notification>) -> Vec<(Notification, Evidence)> {
    let with = |message: Notification| {
        let diagnoses = owner.diagnoses(&message);
        (message, diagnoses)
    };
    messages.into_iter().map(with).collect()
}

fn obey(owner: &mut Owner, order: Order, at: Timestamp) -> Box<dyn FnOnce() + Send> {
    // Whoever asked may have gone.
    match order {
        Order::Silence(silence, reply) => {
            let result = owner.silence(silence, at);
            Box::new(move || drop(reply.send(result)))
        }
        Order::Unsilence(id, reply) => {
            let result = owner.unsilence(id, at);
            Box::new(move || drop(reply.send(result)))
        }
        Order::Reload(config) => {
            owner.reload(config, at);
            Box::new(|| ())
        }
    }
}

/// Does something that may block, and gives the owner back; `None` where it panicked, which ends the alerts.
async fn blocking<T: Send + 'static>(
    mut owner: Owner,
    what: impl FnOnce(&mut Owner) -> T + Send + 'static,
) -> Option<(Owner, T)> {
    let done = spawn_blocking(move || {
        let result = what(&mut owner);
        (owner, result)
    });
    done.await.inspect_err(|error| tracing::error!(%error, "alerts have ended: a bug")).ok()
}

struct Teller {
    /// Who is being told, but for channels, which have tasks of their own.
    tells: JoinSet<()>,
    receivers: Receivers,
    channels: Channels,
    at_once: Arc<Semaphore>,
    answered: mpsc::Sender<Answer>,
    tried: Tried,
}

impl Teller {
    /// A channel of the same name stands before one of ours.
    fn tell(&mut self, message: Notification, diagnoses: Evidence) {
        while self.tells.try_join_next().is_some() {}
        let (at_once, answered) = (Arc::clone(&self.at_once), self.answered.clone());
        let channel = self.channels.has(&message.receiver);
        let receiver = self.receivers.get(&message.receiver).filter(|_| !channel);
        let Some(receiver) = receiver else {
            let report = self.channels.submit(message, diagnoses);
            self.answer(report);
            return;
        };
        let tried = Arc::clone(&self.tried);
        self.tells.spawn(async move {
            // Closed never.
            let _turn = at_once.acquire_owned().await;
            // Late is as lost: the same message comes again.
            let delivery = timeout(TELLING, receiver.tell(&message)).await.unwrap_or(Delivery::Retry);
            tried(delivery);
            let _ = answered.send((message.id, delivery)).await;
        });
    }

    fn reload(&mut self, receivers: channel::Config) {
        let given_up = self.channels.reload(receivers);
        self.answer(given_up);
    }

    /// Tells the router.
    fn answer(&mut self, reports: impl IntoIterator<Item = channel::Report, IntoIter: Send + 'static>) {
        let (reports, answered) = (reports.into_iter(), self.answered.clone());
        self.tells.spawn(async move {
            for report in reports {
                let _ = answered.send((report.id, report.delivery)).await;
            }
        });
    }

    /// Tests a receiver beside everything else.
    fn test(&self, name: &str, reply: oneshot::Sender<Tested>) {
        let tester = self.channels.tester(name);
        tokio::spawn(async move {
            let tested = match tester {
                Some(tester) => Some(tester.await),
                None => None,
            };
            // Whoever asked may have gone.
            let _ = reply.send(tested);
        });
    }

    /// Lets tries under way end, and returns what came of them.
    async fn stop(&mut self, answers: &mut mpsc::Receiver<Answer>) -> Vec<Answer> {
        let told = async { while self.tells.join_next().await.is_some() {} };
        // What is not told by then is told by the next daemon.
        let _ = timeout(PATIENCE, told).await;
        self.channels.stop(PATIENCE).await;
        let mut all: Vec<Answer> = std::iter::from_fn(|| answers.try_recv().ok()).collect();
        let reports = std::iter::from_fn(|| self.channels.reported());
        all.extend(reports.map(|report| (report.id, report.delivery)));
        all
    }
}
