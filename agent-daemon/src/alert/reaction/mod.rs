//! What alerts do by themselves: capture profiles, dump the flight recorder, limit an agent's cgroup, pause it. Off unless
//! it is asked for, per rule, written down before it is done, taken back when it is over.
//!
//! A round of the alerts hands on what began and what fires ([`Reactions::round`]) and waits for nothing; a thread of its
//! own does the rest (`worker`). Only alerts with an `agent_id` act, and only on that agent: never on ourselves, on those
//! that we descend from, on cgroups that others share.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | which rule does what |
//! | `action` | what all ways have in common; `capture`, `recorder`, `limit`, `pause` are the ways |
//! | `policy` | whether it may begin now |
//! | `members`, `process`, `cgroup` | whom it hits |
//! | [`audit`] | what was done and undone |
//! | `switch` | whether anything is wanted at all |
//! | `saved` | what outlasts the daemon |
//! | `folder` | files that are written |

mod action;
pub mod audit;
mod capture;
mod cgroup;
pub mod config;
mod folder;
mod limit;
mod members;
mod pause;
mod policy;
mod process;
mod recorder;
mod saved;
mod switch;
#[cfg(test)]
mod tests;
mod undo;
mod worker;

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{oneshot, watch};

pub use action::{Dump, Kind};
pub use audit::{Cause, Entry, State};
pub use config::Config;

use self::{
    action::Tools,
    cgroup::Cgroups,
    folder::Folder,
    process::Proc,
    saved::Keep,
    switch::Switch,
    worker::{Asked, Message, Round, Worker},
};
use super::{diagnosis::AGENT_ID, eval::Millis, labels::Fingerprint, state::Alert};
use crate::{
    config as options,
    store::Store,
    telemetry::{Loss, Telemetry},
};

/// Messages that may wait for the thread.
const MESSAGES: usize = 64;

/// Why a reaction was not taken back, or no dump made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReactionError {
    /// There is none of this number.
    #[error("there is no reaction {0}")]
    Unknown(u64),
    /// There is nothing to take back.
    #[error("reaction {0} is not in force")]
    NotInForce(u64),
    /// It could not be done; for a reaction that is in force, it is tried again.
    #[error("{0}")]
    Failed(String),
    /// Alerts are off, too busy, or the daemon stops.
    #[error("alerts are off (alerts.enabled), busy, or the daemon stops")]
    Off,
}

/// What reactions are made of, from outside.
pub struct Parts {
    /// Their options.
    pub options: options::Reactions,
    /// How long a window is.
    pub window: Duration,
    /// The store's folder, where the audit is kept; `None` keeps none, and holds nothing.
    pub folder: Option<PathBuf>,
    /// What was stored.
    pub store: Arc<dyn Store>,
    /// The flight recorder, if there is one.
    pub dump: Option<Arc<Dump>>,
    /// This boot's id.
    pub boot_id: String,
    /// Losses, and what was done.
    pub telemetry: Arc<Telemetry>,
}

/// The way to the reactions.
#[derive(Clone, Debug)]
pub struct Reactions {
    to: SyncSender<Message>,
    switch: Arc<Switch>,
    view: watch::Receiver<Arc<Vec<Entry>>>,
    folder: Folder,
    telemetry: Arc<Telemetry>,
}

/// The thread. What is in force is taken back before it ends.
#[derive(Debug)]
pub struct ReactionThread {
    to: SyncSender<Message>,
    switch: Arc<Switch>,
    thread: JoinHandle<()>,
}

/// What is to be done about an alert that began to fire.
#[derive(Debug)]
pub struct Begun<'a> {
    /// The alert.
    pub alert: &'a Alert,
    /// The name of its rule.
    pub rule: &'a str,
    /// Why nothing must be done, where nobody is to be told of it either.
    pub muted: Option<String>,
}

impl Parts {
    fn open(self, switch: Arc<Switch>, view: watch::Sender<Arc<Vec<Entry>>>) -> Worker {
        let folder = self.own_folder();
        let tools = Tools {
            store: self.store,
            proc: Proc::default(),
            cgroups: Cgroups::find(),
            folder,
            dump: self.dump,
            window: self.window,
            boot_id: self.boot_id,
        };
        Worker::open(tools, Keep::new(self.folder.as_deref()), (switch, view), self.telemetry)
    }

    fn own_folder(&self) -> Folder {
        Folder::new(self.options.directory.clone(), self.options.max_bytes)
    }
}

/// Takes back what a daemon before still held; for one that has no alerts.
pub fn recover(parts: Parts) {
    drop(parts.open(Arc::default(), watch::channel(Arc::default()).0));
}

impl Reactions {
    /// Takes back what a daemon before still held, and starts the thread.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn open(parts: Parts) -> io::Result<(Self, ReactionThread)> {
        let (to, messages) = mpsc::sync_channel(MESSAGES);
        let (view, seen) = watch::channel(Arc::default());
        let (folder, telemetry) = (parts.own_folder(), Arc::clone(&parts.telemetry));
        let switch = Arc::new(Switch::new(parts.options.enabled));
        let worker = parts.open(Arc::clone(&switch), view);
        let work = move || worker.run(&messages);
        let thread = std::thread::Builder::new().name("reactions".to_owned()).spawn(work)?;
        let reactions = Self { to: to.clone(), switch: Arc::clone(&switch), view: seen, folder, telemetry };
        Ok((reactions, ReactionThread { to, switch, thread }))
    }

    /// None at all.
    #[must_use]
    pub fn off() -> Self {
        let (_, view) = watch::channel(Arc::default());
        let folder = Folder::new(PathBuf::new(), 0);
        let (to, _) = mpsc::sync_channel(1);
        Self { to, switch: Arc::default(), view, folder, telemetry: Arc::default() }
    }

    /// Every reaction that is remembered, the oldest first.
    #[must_use]
    pub fn entries(&self) -> Arc<Vec<Entry>> {
        Arc::clone(&self.view.borrow())
    }

    /// A file that a reaction wrote, by its name; `None` where it wrote no such file.
    #[must_use]
    pub fn file(&self, id: u64, name: &str) -> Option<PathBuf> {
        let entries = self.entries();
        let entry = entries.iter().find(|entry| entry.id == id)?;
        entry.files.iter().find(|file| *file == name).map(|file| self.folder.file(file))
    }

    /// Hands on what a round has found: alerts that began, and all that fire. Never waits.
    pub fn round<'a>(
        &self,
        config: &Config,
        dry_run: bool,
        begun: impl IntoIterator<Item = Begun<'a>>,
        firing: BTreeSet<(Fingerprint, Millis)>,
    ) {
        let mut asked = Vec::new();
        for Begun { alert, rule, muted } in begun {
            let ask = |action| Asked {
                rule: rule.to_owned(),
                alert: alert.id,
                fired_at: alert.fired_at.unwrap_or(alert.active_at),
                agent: alert.labels.get(AGENT_ID).to_owned(),
                action,
                dry_run,
                objection: muted.clone(),
            };
            asked.extend(config.actions(rule, alert).into_iter().map(ask));
        }
        // Nothing began, and nothing is in force that could be over.
        let idle = asked.is_empty() && self.entries().iter().all(|entry| entry.state != State::InForce);
        if !idle {
            self.send(Message::Round(Round { begun: asked, firing }));
        }
    }

    /// Whether anything is done from now on. Where not, everything is taken back.
    pub fn turn(&self, on: bool) {
        self.switch.turn(on);
        // Where there is no room, the thread is awake and looks by itself.
        let _ = self.to.try_send(Message::Look);
    }

    /// Takes one back.
    ///
    /// # Errors
    /// It is not in force, or cannot be taken back.
    pub async fn undo(&self, id: u64) -> Result<Entry, ReactionError> {
        let (reply, answer) = oneshot::channel();
        self.to.try_send(Message::Undo(id, reply)).map_err(|_| ReactionError::Off)?;
        answer.await.map_err(|_| ReactionError::Off)?
    }

    /// Writes down all that the flight recorder has.
    ///
    /// # Errors
    /// It cannot be done; it is in the audit all the same.
    pub async fn dump(&self) -> Result<Entry, ReactionError> {
        let (reply, answer) = oneshot::channel();
        self.to.try_send(Message::Dump(reply)).map_err(|_| ReactionError::Off)?;
        let entry = answer.await.map_err(|_| ReactionError::Off)?;
        if entry.state == State::Done { Ok(entry) } else { Err(ReactionError::Failed(entry.detail)) }
    }

    fn send(&self, message: Message) {
        if self.to.try_send(message).is_err() {
            self.telemetry.losses.count(Loss::ReactionDropped);
        }
    }
}

impl ReactionThread {
    /// Waits until everything is taken back.
    pub fn finish(self) {
        self.switch.stop();
        // Where there is no room, it is awake and looks by itself.
        let _ = self.to.try_send(Message::Look);
        let _ = self.thread.join();
    }
}
