//! The task that turns rounds: waits for windows, evaluates on a thread that may block, hands messages to receivers
//! and hears how that went.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{owner::Owner, receiver::Receivers, view::View, wake::Wake};
use crate::{
    alert::{
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
/// How often it is looked whether a message's time has come, between rounds.
const TICK: Duration = Duration::from_millis(500);

/// What others ask for.
pub(super) enum Command {
    Silence(Silence, oneshot::Sender<Result<Fingerprint, SilenceError>>),
    Unsilence(Fingerprint, oneshot::Sender<Result<(), SilenceError>>),
    Reload(config::Alerts),
}

type Answer = (Fingerprint, Delivery);

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
        let teller = Teller {
            receivers: self.receivers.clone(),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            answered,
        };
        // One future for each round: what woke it is not lost when something else comes first.
        let wake = Arc::clone(&self.wake);
        let mut round = pin!(wake.wait(self.window, Instant::now()));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let Some((mut owner, ())) = blocking(self.owner, |owner| owner.look_back(Timestamp::now())).await
        else {
            return;
        };
        loop {
            let quiet = owner.is_quiet();
            let turn = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some((id, delivery)) = answers.recv() => Turn::Answer(id, delivery),
                Some(command) = self.commands.recv() => Turn::Command(command),
                () = &mut round => Turn::Round,
                _ = tick.tick(), if !quiet => Turn::Tick,
            };
            if matches!(turn, Turn::Round) {
                round.set(wake.wait(self.window, Instant::now()));
            }
            let Some((same, taken)) = blocking(owner, |owner| take(owner, turn)).await else { return };
            owner = same;
            if let Some(view) = taken.view {
                self.view.send_replace(Arc::new(view));
            }
            // Whoever asks for how things stand once this is answered sees what it did.
            taken.reply.into_iter().for_each(|reply| reply());
            taken.messages.into_iter().for_each(|message| teller.tell(message));
        }
        let _ = blocking(owner, Owner::save).await;
    }
}

enum Turn {
    Answer(Fingerprint, Delivery),
    Command(Command),
    Round,
    Tick,
}

/// What comes of a turn.
#[derive(Default)]
struct Taken {
    messages: Vec<Notification>,
    /// How things stand, where that changed.
    view: Option<View>,
    reply: Option<Box<dyn FnOnce() + Send>>,
}

fn take(owner: &mut Owner, turn: Turn) -> Taken {
    let at = Timestamp::now();
    match turn {
        Turn::Round => {
            let messages = owner.round(at);
            Taken { messages, view: Some(owner.view(at)), reply: None }
        }
        Turn::Tick => Taken { messages: owner.due(at), ..Taken::default() },
        Turn::Answer(id, delivery) => {
            owner.report(id, delivery, at);
            Taken::default()
        }
        Turn::Command(command) => {
            let reply = obey(owner, command, at);
            Taken { messages: Vec::new(), view: Some(owner.view(at)), reply: Some(reply) }
        }
    }
}

fn obey(owner: &mut Owner, command: Command, at: Timestamp) -> Box<dyn FnOnce() + Send> {
    // Whoever asked may have gone.
    match command {
        Command::Silence(silence, reply) => {
            let result = owner.silence(silence, at);
            Box::new(move || drop(reply.send(result)))
        }
        Command::Unsilence(id, reply) => {
            let result = owner.unsilence(id, at);
            Box::new(move || drop(reply.send(result)))
        }
        Command::Reload(config) => {
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
    receivers: Receivers,
    at_once: Arc<Semaphore>,
    answered: mpsc::Sender<Answer>,
}

impl Teller {
    fn tell(&self, message: Notification) {
        let (at_once, answered) = (Arc::clone(&self.at_once), self.answered.clone());
        let receiver = self.receivers.get(&message.receiver);
        tokio::spawn(async move {
            // Closed never.
            let _turn = at_once.acquire_owned().await;
            let delivery = match receiver {
                // Late is as lost: the same message comes again.
                Some(receiver) => timeout(TELLING, receiver.tell(&message)).await.unwrap_or(Delivery::Retry),
                None => Delivery::Refused,
            };
            let _ = answered.send((message.id, delivery)).await;
        });
    }
}
