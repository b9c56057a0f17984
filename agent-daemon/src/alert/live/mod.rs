//! The engine at work: rounds over what is scraped, state that outlasts the daemon, files that are read again when
//! they change, and who is told.
//!
//! One task owns everything ([`Running`]); others see a [`View`] of the last round and send commands ([`Alerts`]).
//! What is to be told is written down before it is handed to a receiver, and again when it was taken, so that a
//! restart tells nothing twice.

mod backfill;
pub mod files;
mod owner;
mod past;
mod react;
mod receiver;
mod run;
mod saved;
#[cfg(test)]
mod tests;
mod view;
mod wake;

pub use backfill::{Replay, Step, Visit, backfill};
pub use files::LoadError;
pub use owner::Parts;
pub use receiver::{LOG_RECEIVER, Receiver, Receivers, Telling};
pub use run::Running;
pub use view::{RuleView, Shown, View};
pub use wake::Wake;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use self::{
    owner::Owner,
    run::{Command, Order},
};
use super::{
    channel,
    labels::Fingerprint,
    reaction::Reactions,
    route::{Silence, SilenceError},
};
use crate::{config, model::time::Timestamp};

/// Commands that may wait.
const COMMANDS: usize = 64;

/// Why a command did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlertsError {
    /// The silence is refused.
    #[error(transparent)]
    Silence(#[from] SilenceError),
    /// Alerts are off, or the daemon stops.
    #[error("alerts are off (alerts.enabled), or the daemon stops")]
    Off,
}

/// The way to the alerts.
#[derive(Clone, Debug)]
pub struct Alerts {
    view: watch::Receiver<Arc<View>>,
    commands: mpsc::Sender<Command>,
    reactions: Reactions,
}

impl Alerts {
    /// No alerts at all.
    #[must_use]
    pub fn off() -> Self {
        let (_, view) = watch::channel(Arc::default());
        Self { view, commands: mpsc::channel(1).0, reactions: Reactions::off() }
    }

    /// Opens the alerts: reads rules, routes, and what a daemon before knew. They begin with [`Running::run`].
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn open(parts: Parts, wake: Arc<Wake>) -> Result<(Self, Running), LoadError> {
        let (window, receivers, reactions) = (parts.window, parts.receivers.clone(), parts.reactions.clone());
        let now = Timestamp::now();
        let owner = Owner::open(parts, now)?;
        let (view, seen) = watch::channel(Arc::new(owner.view(now)));
        let (asked, commands) = mpsc::channel(COMMANDS);
        Ok((
            Self { view: seen, commands: asked, reactions },
            Running { owner, window, receivers, wake, commands, view },
        ))
    }

    /// What they do by themselves.
    #[must_use]
    pub fn reactions(&self) -> &Reactions {
        &self.reactions
    }

    /// How things stood after the last round.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// Adds a silence; once this returns it is in force and outlasts the daemon.
    ///
    /// # Errors
    /// It is refused, or alerts are off.
    pub async fn silence(&self, silence: Silence) -> Result<Fingerprint, AlertsError> {
        self.ask(|reply| Command::Order(Order::Silence(silence, reply))).await?.map_err(AlertsError::from)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// There is none of that id, or alerts are off.
    pub async fn unsilence(&self, id: Fingerprint) -> Result<(), AlertsError> {
        self.ask(|reply| Command::Order(Order::Unsilence(id, reply))).await?.map_err(AlertsError::from)
    }

    /// Sends a message that does no harm to a receiver; `None`: there is no channel of that name.
    ///
    /// # Errors
    /// Alerts are off.
    pub async fn test(&self, receiver: &str) -> Result<Option<channel::Tested>, AlertsError> {
        self.ask(|reply| Command::Test(receiver.to_owned(), reply)).await
    }

    /// Reads the files that this configuration names; what is wrong with them is told in the view.
    pub async fn reload(&self, config: config::Alerts) {
        // Alerts that are off have nothing to reload.
        let _ = self.commands.send(Command::Order(Order::Reload(config))).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, AlertsError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| AlertsError::Off)?;
        answer.await.map_err(|_| AlertsError::Off)
    }
}
