//! The one owner of everything that is in force. It has a thread of its own, since /proc, cgroups and disks may be slow,
//! and no round waits for it. What it holds is taken back when the alert is over, when its time is, when somebody asks,
//! when it stops, and at the next start where it was killed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::{oneshot, watch};

use super::{
    ReactionError,
    action::{Held, Kind, NotDone, React, Step, Subject, Tools},
    audit::{Audit, Cause, DONE, Entry, State},
    policy, recorder,
    saved::{Keep, Saved},
    switch::Switch,
};
use crate::{
    alert::{eval::Millis, labels::Fingerprint},
    model::{id::AgentId, time::Timestamp},
    telemetry::Telemetry,
};

/// How long after a window's end it is stored and recorded, at the latest.
const STORED: Duration = Duration::from_secs(1);
/// How long a person waits between two dumps.
const BETWEEN_DUMPS: Duration = Duration::from_secs(10);
/// What becomes of what waits when there are to be no reactions.
const OFF: &str = "reactions were turned off before it was time";
/// How long it sleeps where nothing is to be done.
const IDLE: Duration = Duration::from_secs(3600);

/// What is asked of it.
pub(super) enum Message {
    Round(Round),
    Undo(u64, oneshot::Sender<Result<Entry, ReactionError>>),
    Dump(oneshot::Sender<Entry>),
    /// Reactions were turned off, or it is to stop.
    Look,
}

/// What a round of the alerts has found.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) begun: Vec<Asked>,
    /// All alerts that fire, each with since when.
    pub(super) firing: BTreeSet<(Fingerprint, Millis)>,
}

/// An action that an alert which began to fire asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) rule: String,
    pub(super) alert: Fingerprint,
    pub(super) fired_at: Millis,
    /// As the alert has it; maybe no agent's id.
    pub(super) agent: String,
    pub(super) action: Arc<dyn React>,
    pub(super) dry_run: bool,
    /// Why it must not be done, where that is known.
    pub(super) objection: Option<String>,
}

pub(super) struct Worker {
    pub(super) tools: Tools,
    keep: Keep,
    pub(super) audit: Audit,
    pub(super) waiting: BTreeMap<u64, Waiting>,
    pub(super) in_force: BTreeMap<u64, InForce>,
    switch: Arc<Switch>,
    view: watch::Sender<Arc<Vec<Entry>>>,
    telemetry: Arc<Telemetry>,
    in_trouble: bool,
}

/// What is done when its time has come.
pub(super) struct Waiting {
    due: Instant,
    action: Arc<dyn React>,
    subject: Subject,
    dry_run: bool,
}

/// What is to be taken back.
pub(super) struct InForce {
    pub(super) held: Held,
    /// When that is tried next.
    pub(super) due: Instant,
    /// Why.
    pub(super) cause: Cause,
}

impl Worker {
    /// Takes back what a worker before still held.
    pub(super) fn open(
        tools: Tools,
        keep: Keep,
        (switch, view): (Arc<Switch>, watch::Sender<Arc<Vec<Entry>>>),
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let (audit, waiting, in_force) = (Audit::default(), BTreeMap::new(), BTreeMap::new());
        let in_trouble = false;
        let mut worker = Self { tools, keep, audit, waiting, in_force, switch, view, telemetry, in_trouble };
        if let Some(saved) = worker.keep.read() {
            worker.recover(saved);
            worker.save();
        }
        worker.publish();
        worker
    }

    /// Works until told to stop, or until nobody is left who could tell.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(self.patience()) {
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.switch.is_stopped() {
                break;
            }
            if !self.switch.is_on() {
                self.let_go(State::Refused, Cause::TurnedOff, OFF);
            }
            self.do_what_is_due();
            self.publish();
        }
        self.let_go(State::Failed, Cause::Stop, "agentperf stopped before it was time");
        self.publish();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Round(round) => {
                round.begun.into_iter().for_each(|asked| self.begin(asked));
                self.end_resolved(&round.firing);
            }
            Message::Undo(id, reply) => {
                let result = self.undo_by_hand(id);
                self.publish();
                // Whoever asked may have gone; likewise below.
                let _ = reply.send(result);
            }
            Message::Dump(reply) => {
                let entry = self.dump_by_hand();
                self.publish();
                let _ = reply.send(entry);
            }
            Message::Look => {}
        }
    }

    fn patience(&self) -> Duration {
        let dues = self.waiting.values().map(|waiting| waiting.due);
        let next = dues.chain(self.in_force.values().map(|held| held.due)).min();
        next.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()))
    }

    /// Nothing is begun any more once it is to stop or reactions are off.
    fn begin(&mut self, asked: Asked) {
        let Asked { rule, alert, fired_at, agent, action, dry_run, objection } = asked;
        let (kind, pace, now) = (action.kind(), action.pace(), Timestamp::now());
        let off = (!self.switch.is_on()).then(|| OFF.to_owned());
        let refused = objection.or(off).or_else(|| match agent.parse::<AgentId>() {
            Err(_) => Some("the alert has no agent_id: there is no agent to act on".to_owned()),
            Ok(_) => policy::objection(&self.audit, (kind, &agent), pace.min_interval, now),
        });
        let (alert, fired) = (Some(alert), Timestamp::from_millisecond(fired_at).unwrap_or(now));
        let entry = Entry { rule, alert, fired_at: Some(fired_at), agent, ..Entry::new(kind, now) };
        let id = self.audit.add(entry);
        let agent = self.audit.get(id).and_then(|entry| entry.agent.parse().ok());
        let Some(agent) = agent.filter(|_| refused.is_none()) else {
            return self.over(id, State::Refused, refused.unwrap_or_default());
        };
        let stored = if pace.after.is_zero() { Duration::ZERO } else { self.tools.window + STORED };
        let delay = if dry_run { Duration::ZERO } else { pace.after + stored };
        let subject = Subject { reaction: id, agent, fired };
        let waiting = Waiting { due: Instant::now() + delay, action, subject, dry_run };
        if delay.is_zero() {
            return self.carry_out(&waiting);
        }
        self.waiting.insert(id, waiting);
        self.save();
    }

    fn carry_out(&mut self, waiting: &Waiting) {
        let Waiting { action, subject, dry_run, .. } = waiting;
        let id = subject.reaction;
        let plan = match action.plan(subject, &self.tools) {
            Ok(plan) => plan,
            Err(why) => return self.not_done(id, &why),
        };
        if let Some(entry) = self.audit.get_mut(id) {
            entry.what = plan.what;
        }
        match plan.step {
            _ if *dry_run => self.over(id, State::DryRun, String::new()),
            Step::Write(write) => match write(&self.tools) {
                Ok(files) => self.written(id, files),
                Err(why) => self.not_done(id, &why),
            },
            Step::Hold(_) if !self.keep.is_durable() => {
                let why =
                    "the store is in memory (history.directory): after a crash nobody could take it back";
                self.over(id, State::Refused, why.to_owned());
            }
            Step::Hold(held) => self.hold(subject, held, action.pace().max_duration.unwrap_or_default()),
        }
    }

    fn hold(&mut self, subject: &Subject, mut held: Held, length: Duration) {
        let id = subject.reaction;
        if let Some(entry) = self.audit.get_mut(id) {
            entry.state = State::InForce;
            entry.until = Timestamp::now().checked_add(length).ok();
        }
        let (due, cause) = (Instant::now() + length, Cause::MaxDuration);
        self.in_force.insert(id, InForce { held: held.clone(), due, cause });
        let Self { tools, keep, audit, in_force, .. } = self;
        let mut record = |held: &Held| {
            if let Some(known) = in_force.get_mut(&id) {
                known.held = held.clone();
            }
            keep.write(&saved(tools, audit, in_force))
        };
        match held.apply(subject, tools, &mut record) {
            Ok(()) => self.holds(id, held),
            Err(why) => self.half_done(id, &held, &why),
        }
    }

    fn holds(&mut self, id: u64, held: Held) {
        if let Some(known) = self.in_force.get_mut(&id) {
            known.held = held;
        }
        self.save();
        let Some(entry) = self.audit.get(id) else { return };
        self.telemetry.alerts.reacted(entry.kind as usize, DONE);
        let (action, rule, agent, what) = (entry.kind.name(), &entry.rule, &entry.agent, &entry.what);
        tracing::warn!(target: "agentperf::reaction", id, action, rule, agent, "in force: {what}");
    }

    fn written(&mut self, id: u64, files: Vec<String>) {
        if let Some(entry) = self.audit.get_mut(id) {
            entry.files = files;
        }
        self.over(id, State::Done, String::new());
    }

    pub(super) fn not_done(&mut self, id: u64, why: &NotDone) {
        let state = match why {
            NotDone::Refused(_) => State::Refused,
            NotDone::Failed(_) => State::Failed,
        };
        self.over(id, state, why.to_string());
    }

    /// Nothing more will become of it.
    pub(super) fn over(&mut self, id: u64, state: State, detail: String) {
        let Some(entry) = self.audit.get_mut(id) else { return };
        (entry.state, entry.detail, entry.ended) = (state, detail, Some(Timestamp::now()));
        if let Some(result) = state.result() {
            self.telemetry.alerts.reacted(entry.kind as usize, result);
        }
        entry.tell();
        self.save();
    }

    fn do_what_is_due(&mut self) {
        let now = Instant::now();
        let due: Vec<u64> =
            self.waiting.iter().filter(|(_, waiting)| waiting.due <= now).map(|(id, _)| *id).collect();
        for id in due {
            if !self.switch.is_on() {
                return;
            }
            if let Some(waiting) = self.waiting.remove(&id) {
                self.carry_out(&waiting);
            }
        }
        let due: Vec<(u64, Cause)> = self
            .in_force
            .iter()
            .filter(|(_, held)| held.due <= now)
            .map(|(id, held)| (*id, held.cause))
            .collect();
        due.into_iter().for_each(|(id, cause)| self.undo(id, cause));
    }

    fn dump_by_hand(&mut self) -> Entry {
        let (kind, now) = (Kind::FlightRecorder, Timestamp::now());
        let objection = policy::objection(&self.audit, (kind, ""), BETWEEN_DUMPS, now);
        let entry = Entry { what: "a dump of all that was recorded".to_owned(), ..Entry::new(kind, now) };
        let id = self.audit.add(entry.clone());
        let dump =
            objection.map_or_else(|| recorder::recorder(&self.tools), |why| Err(NotDone::Refused(why)));
        match dump.and_then(|dump| recorder::write(&dump, (id, None), Timestamp::MIN, &self.tools)) {
            Ok(files) => self.written(id, files),
            Err(why) => self.not_done(id, &why),
        }
        self.audit.get(id).cloned().unwrap_or(entry)
    }

    pub(super) fn save(&mut self) {
        let written = self.keep.write(&saved(&self.tools, &self.audit, &self.in_force));
        match &written {
            Err(error) if !self.in_trouble => {
                tracing::error!(%error, "the audit of reactions cannot be written: what is not written is not done");
            }
            Ok(()) if self.in_trouble => tracing::info!("the audit of reactions is written again"),
            _ => {}
        }
        self.in_trouble = written.is_err();
    }

    fn publish(&self) {
        let entries = || self.audit.iter().cloned().collect();
        self.view.send_if_modified(|shown| {
            let news = !shown.iter().eq(self.audit.iter());
            if news {
                *shown = Arc::new(entries());
            }
            news
        });
    }
}

fn saved(tools: &Tools, audit: &Audit, in_force: &BTreeMap<u64, InForce>) -> Saved {
    let held = in_force.iter().map(|(id, known)| (*id, known.held.clone())).collect();
    Saved::new(tools.boot_id.clone(), audit.clone(), held)
}
