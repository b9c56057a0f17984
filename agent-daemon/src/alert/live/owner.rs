//! The one owner of everything that alerts are made of: one round after the other. Blocks on files and the store,
//! and is told the time; no clock and no task here.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    LoadError,
    backfill::{Replay, backfill},
    files::{self, Loaded, Stamps},
    past::Past,
    react::Reacting,
    receiver::Receivers,
    saved::{Keep, Saved},
    view::{RuleView, Shown, View},
};
use crate::{
    alert::{
        channel::{self, Tried},
        diagnosis::{AGENT_ID, Diagnoses, Diagnosis},
        eval::Millis,
        history::History,
        labels::Fingerprint,
        reaction::Reactions,
        route::{Delivery, Notification, Router, Silence, SilenceError},
        rule::{RuleId, RuleSet},
        state::{Alert, Engine, Options, Outcome, Phase},
    },
    config,
    model::{
        exposition::Samples,
        time::{TimeRange, Timestamp},
    },
    store::Store,
    telemetry::{AlertsNow, Loss, Telemetry},
};

/// How often what changes with each round is written down, where nothing else happens.
const SAVE_EVERY: Duration = Duration::from_secs(15);
/// The most diagnoses of one round; and how many windows each speaks of.
const MAX_DIAGNOSES: usize = 8;
const DIAGNOSED_WINDOWS: u32 = 2;

/// What alerts are made of, from outside.
pub struct Parts {
    /// The configuration.
    pub config: config::Alerts,
    /// How long a window is.
    pub window: Duration,
    /// The store's folder, where state is kept; `None` keeps none.
    pub folder: Option<PathBuf>,
    /// What is scraped.
    pub samples: Arc<dyn Samples>,
    /// What was stored.
    pub store: Arc<dyn Store>,
    /// The same as samples.
    pub replay: Arc<Replay>,
    /// Who is told.
    pub receivers: Receivers,
    /// What is done besides.
    pub reactions: Reactions,
    /// The host's name.
    pub host: String,
    /// Where the API is reached, as in `http://127.0.0.1:7575`.
    pub api: String,
    /// Losses, and how the alerts stand.
    pub telemetry: Arc<Telemetry>,
}

pub(super) struct Owner {
    parts: Parts,
    engine: Engine,
    router: Router,
    history: History,
    origins: BTreeMap<RuleId, String>,
    stamps: Stamps,
    past: Past,
    diagnoses: Diagnoses,
    /// How receivers are reached, where that is new.
    receivers: Option<channel::Config>,
    /// How far their messages have come.
    channels: channel::Saved,
    reacting: Reacting,
    keep: Keep,
    saved: Instant,
    last: Option<Timestamp>,
    refused: Option<String>,
    /// What was counted as lost so far: without room, without group, given up.
    losses: [u64; 3],
}

impl Owner {
    /// Reads rules and routes, and what an owner before knew.
    pub(super) fn open(parts: Parts, now: Timestamp) -> Result<Self, LoadError> {
        let stamps = Stamps::take(&parts.config);
        let Loaded { rules, origins, routes, receivers, reactions } =
            files::load(&parts.config, &|name| parts.receivers.has(name))?;
        let interval = millis(parts.window);
        let mut engine = Engine::new(rules.clone(), Options { interval, ..Options::default() });
        let mut router = Router::new(routes);
        let keep = Keep::new(parts.folder.as_deref());
        let (mut channels, mut past, mut diagnoses) = Default::default();
        if let Some(saved) = keep.read() {
            engine.restore(saved.engine, now.as_millisecond());
            router.restore(saved.router);
            (channels, past, diagnoses) = (saved.channels, saved.past, saved.diagnoses);
            past.resume(engine.alerts());
            // What is asked before the first round must not find that nothing fires.
            router.update(engine.alerts(), now.as_millisecond());
        }
        let history = History::new(&rules, interval);
        let reacting = Reacting::new(parts.reactions.clone(), reactions);
        let (saved, losses) = (Instant::now(), [0; 3]);
        let (last, refused) = (None, None);
        Ok(Self {
            parts,
            engine,
            router,
            history,
            origins,
            stamps,
            past,
            diagnoses,
            receivers: Some(receivers),
            channels,
            reacting,
            keep,
            saved,
            last,
            refused,
            losses,
        })
    }

    /// Learns what was stored of the time before.
    pub(super) fn look_back(&mut self, now: Timestamp) {
        let older = self.replayed(now);
        self.history.adopt(older);
    }

    fn replayed(&self, now: Timestamp) -> History {
        let rules = self.engine.rules();
        backfill(rules, millis(self.parts.window), now, self.parts.replay.as_ref())
    }

    /// One round: takes samples, evaluates what is due, and returns what is to be told.
    pub(super) fn round(&mut self, at: Timestamp) -> Vec<Notification> {
        let begin = Instant::now();
        let now = at.as_millisecond();
        self.reload_if_changed(now);
        self.history.record(at, self.parts.samples.as_ref());
        self.engine.evaluate(now, &self.history);
        self.last = Some(at);
        let begun = self.past.see(self.engine.alerts(), now);
        self.diagnose(&begun, at);
        self.router.update(self.engine.alerts(), now);
        let options = &self.parts.config.reactions;
        self.reacting.round(options, &begun, (&self.engine, &self.router), now);
        let messages = self.due(at);
        if !begun.is_empty() || self.saved.elapsed() >= SAVE_EVERY {
            self.save();
        }
        self.account(at, begin.elapsed());
        messages
    }

    /// What is to be told now: written down before it is handed out, so that it is told once.
    pub(super) fn due(&mut self, at: Timestamp) -> Vec<Notification> {
        let messages = self.router.due(at.as_millisecond());
        if !messages.is_empty() {
            self.save();
        }
        messages
    }

    /// Whether there is nothing to tell, now or later, before something changes.
    pub(super) fn is_quiet(&self) -> bool {
        self.router.is_quiet()
    }

    /// Counts tries to tell somebody.
    pub(super) fn tried(&self) -> Tried {
        let telemetry = Arc::clone(&self.parts.telemetry);
        Arc::new(move |delivery| {
            telemetry.alerts.told(match delivery {
                Delivery::Delivered => 0,
                Delivery::Retry => 1,
                Delivery::Refused => 2,
            });
        })
    }

    /// How a message fared.
    pub(super) fn report(&mut self, id: Fingerprint, delivery: Delivery, at: Timestamp) {
        self.router.report(id, delivery, at.as_millisecond());
        self.save();
    }

    pub(super) fn silence(&mut self, silence: Silence, at: Timestamp) -> Result<Fingerprint, SilenceError> {
        let id = self.router.silence(silence, at.as_millisecond())?;
        self.save();
        Ok(id)
    }

    pub(super) fn unsilence(&mut self, id: Fingerprint, at: Timestamp) -> Result<(), SilenceError> {
        self.router.unsilence(id, at.as_millisecond())?;
        self.save();
        Ok(())
    }

    /// Other files, or the same ones anew.
    pub(super) fn reload(&mut self, config: config::Alerts, at: Timestamp) {
        self.reacting.turn(&config.reactions);
        self.parts.config = config;
        self.load(at.as_millisecond());
    }

    /// How receivers are reached, if that is new since the last call.
    pub(super) fn take_receivers(&mut self) -> Option<channel::Config> {
        self.receivers.take()
    }

    /// How far messages had come when a daemon before wrote it down.
    pub(super) fn channels(&self) -> channel::Saved {
        self.channels.clone()
    }

    /// Who tells.
    pub(super) fn about(&self) -> channel::About {
        channel::About { host: self.parts.host.clone(), link: Some(self.parts.api.clone()) }
    }

    /// How far messages have come; written down with the rest.
    pub(super) fn remember(&mut self, channels: channel::Saved) {
        self.channels = channels;
    }

    /// What the agents of a message's alerts did.
    pub(super) fn diagnoses(&self, message: &Notification) -> BTreeMap<Fingerprint, channel::Diagnosis> {
        let firing = message.alerts.iter().filter(|alert| alert.phase == Phase::Firing);
        let of = |alert: &Alert| self.diagnoses.get(&alert.id).filter(|d| d.fired_at == alert.fired_at);
        let with = |alert: &Alert| self.reacting.tell(alert, &self.parts.api, of(alert).map(Into::into));
        firing.filter_map(|alert| Some((alert.id, with(alert)?))).collect()
    }

    /// Writes down everything that is to outlast the daemon.
    pub(super) fn save(&mut self) {
        let saved = Saved {
            engine: self.engine.save(),
            router: self.router.save(),
            channels: self.channels.clone(),
            past: self.past.clone(),
            diagnoses: self.diagnoses.clone(),
        };
        self.keep.write(&saved);
        self.saved = Instant::now();
    }

    fn reload_if_changed(&mut self, now: Millis) {
        let stamps = Stamps::take(&self.parts.config);
        if stamps != self.stamps {
            self.load(now);
        }
    }

    fn load(&mut self, now: Millis) {
        self.stamps = Stamps::take(&self.parts.config);
        match files::load(&self.parts.config, &|name| self.parts.receivers.has(name)) {
            Ok(loaded) => {
                tracing::info!(rules = loaded.rules.len(), "alert rules and routes are in force");
                self.take_over(loaded, now);
                self.refused = None;
            }
            Err(error) => {
                tracing::error!(%error, "alert rules and routes are as they were: the new ones are refused");
                self.refused = Some(error.to_string());
            }
        }
        self.parts.telemetry.alerts.set_refused(self.refused.clone());
    }

    fn take_over(&mut self, loaded: Loaded, now: Millis) {
        let wanted = |rules: &RuleSet| {
            let names = rules.rules().flat_map(|rule| rule.expr.series()).map(str::to_owned);
            names.collect::<std::collections::BTreeSet<String>>()
        };
        let known = wanted(self.engine.rules());
        let news = wanted(&loaded.rules).difference(&known).next().is_some();
        self.history.replan(&loaded.rules);
        self.engine.reload(loaded.rules, now);
        self.router.reload(loaded.routes);
        self.receivers = Some(loaded.receivers);
        self.origins = loaded.origins;
        self.reacting.reload(loaded.reactions);
        if let Some(last) = self.last.filter(|_| news) {
            // Counters have gone on since the start of the daemon, those of a replay begin at 0.
            let older = self.replayed(last).without_counters();
            self.history.adopt(older);
        }
    }

    fn diagnose(&mut self, begun: &[Alert], at: Timestamp) {
        let length = self.parts.window * DIAGNOSED_WINDOWS;
        let range = TimeRange { from: at.checked_sub(length).unwrap_or(at), to: at };
        let of_agents = begun.iter().filter(|alert| !alert.labels.get(AGENT_ID).is_empty());
        for alert in of_agents.take(MAX_DIAGNOSES) {
            match Diagnosis::of(alert, range, self.parts.store.as_ref(), &self.parts.api) {
                Ok(Some(diagnosis)) => drop(self.diagnoses.insert(alert.id, diagnosis)),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "an alert goes without what its agent did"),
            }
        }
        // As long as the alert is known.
        let known: std::collections::BTreeSet<Fingerprint> = self.engine.alerts().map(|a| a.id).collect();
        self.diagnoses.retain(|id, _| known.contains(id));
    }

    fn account(&mut self, at: Timestamp, took: Duration) {
        let count = |phase| self.engine.alerts().filter(|alert| alert.phase == phase).count() as u64;
        let failed = |rule: RuleId| {
            self.engine.health(rule).is_some_and(|health| matches!(health.outcome, Outcome::Failed(_)))
        };
        let size = self.history.size();
        let firing = self.engine.alerts().filter(|alert| alert.phase == Phase::Firing);
        let muted = self.router.muted_of(firing, at.as_millisecond());
        self.parts.telemetry.alerts.evaluated(AlertsNow {
            at: Some(at),
            took,
            rules: self.engine.rules().len() as u64,
            failing: self.engine.rules().rules().filter(|rule| failed(rule.id)).count() as u64,
            pending: count(Phase::Pending),
            firing: count(Phase::Firing),
            muted: muted.iter().flatten().count() as u64,
            series: size.series as u64,
            samples: size.samples as u64,
            refused: self.refused.clone(),
        });
        let now = [size.refused, self.router.without_group(), self.router.given_up()];
        let kinds = [Loss::AlertSeriesDropped, Loss::AlertUngrouped, Loss::AlertGivenUp];
        for ((kind, now), before) in kinds.into_iter().zip(now).zip(&mut self.losses) {
            self.parts.telemetry.losses.add(kind, now.saturating_sub(*before));
            *before = now;
        }
    }

    /// How things stand.
    pub(super) fn view(&self, at: Timestamp) -> View {
        let muted = self.router.muted_of(self.engine.alerts(), at.as_millisecond());
        let shown = |(alert, muted): (&Alert, _)| Shown {
            alert: alert.clone(),
            muted,
            diagnosis: self.diagnoses.get(&alert.id).filter(|d| d.fired_at == alert.fired_at).cloned(),
        };
        View {
            enabled: true,
            at: self.last,
            alerts: self.engine.alerts().zip(muted).map(shown).collect(),
            past: self.past.newest_first().cloned().collect(),
            rules: self.rules(),
            silences: self.router.silences().cloned().collect(),
            receivers: Vec::new(),
            size: self.history.size(),
            refused: self.refused.clone(),
            reactions: (self.parts.config.reactions.enabled, self.parts.config.reactions.dry_run),
        }
    }

    fn rules(&self) -> Vec<RuleView> {
        let mut counts: BTreeMap<RuleId, (usize, usize)> = BTreeMap::new();
        for alert in self.engine.alerts() {
            let (pending, firing) = counts.entry(alert.rule).or_default();
            *pending += usize::from(alert.phase == Phase::Pending);
            *firing += usize::from(alert.phase == Phase::Firing);
        }
        let mut rules = Vec::new();
        for group in &self.engine.rules().groups {
            rules.extend(group.rules.iter().map(|rule| RuleView {
                id: rule.id.to_string(),
                name: rule.name.clone(),
                group: group.name.clone(),
                place: (self.origins.get(&rule.id).cloned().unwrap_or_default(), rule.line),
                expr: rule.expr_text.trim().to_owned(),
                hold: rule.hold,
                severity: rule.severity,
                health: self.engine.health(rule.id).cloned(),
                missing: self.history.missing(rule.expr.series()),
                alerts: counts.get(&rule.id).copied().unwrap_or_default(),
            }));
        }
        rules
    }
}

fn millis(length: Duration) -> Millis {
    Millis::try_from(length.as_millis()).unwrap_or(Millis::MAX)
}
