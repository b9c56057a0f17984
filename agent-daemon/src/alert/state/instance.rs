//! One alert's life, step by step, and how it is saved.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Alert, Options, Phase};
use crate::alert::{
    eval::Millis,
    rule::{Rule, RuleId},
};

/// The form that [`Saved`] is written in.
const VERSION: u32 = 1;

/// What a rule's condition said about one alert.
pub(super) enum Condition {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
}

/// An alert and what is remembered to decide about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Instance {
    pub(super) alert: Alert,
    /// For how long the condition was seen to hold, milliseconds.
    held: Millis,
    /// For how long a firing alert's condition was seen not to hold.
    quiet: Option<Millis>,
    /// When it lately began to fire.
    firings: VecDeque<Millis>,
}

/// How long things take for the rule at hand.
pub(super) struct Pace<'o> {
    pub(super) now: Millis,
    /// Time observed since the evaluation before.
    pub(super) elapsed: Millis,
    pub(super) hold: Millis,
    pub(super) keep_firing: Millis,
    pub(super) options: &'o Options,
}

impl Instance {
    pub(super) fn begin(alert: Alert, pace: &Pace<'_>) -> Self {
        let mut instance = Self { alert, held: 0, quiet: None, firings: VecDeque::new() };
        instance.begin_again(pace);
        instance
    }

    /// The alert goes on by one evaluation.
    pub(super) fn step(&mut self, condition: Condition, pace: &Pace<'_>) {
        self.not_in_the_future(pace.now);
        match (self.alert.phase, condition) {
            (Phase::Pending, Condition::Holds) => {
                self.held = self.held.saturating_add(pace.elapsed);
                self.fire_if_due(pace);
            }
            (Phase::Firing, Condition::Holds) => self.quiet = None,
            (Phase::Resolved, Condition::Holds) => self.begin_again(pace),
            (Phase::Pending, Condition::Fails) => self.alert.phase = Phase::Resolved,
            (Phase::Firing, Condition::Fails) => {
                let quiet = self.quiet.map_or(0, |quiet| quiet.saturating_add(pace.elapsed));
                self.quiet = Some(quiet);
                let flap_hold = if self.alert.flapping { pace.options.flap_hold } else { 0 };
                if quiet >= pace.keep_firing.max(flap_hold) {
                    self.resolve(pace.now);
                }
            }
            (Phase::Resolved, Condition::Fails) => {}
        }
    }

    pub(super) fn resolve(&mut self, now: Millis) {
        self.alert.phase = Phase::Resolved;
        self.alert.resolved_at = Some(now);
        self.alert.flapping = false;
        self.quiet = None;
    }

    /// Whether nobody needs to know of it any more.
    pub(super) fn is_over(&self, now: Millis, options: &Options) -> bool {
        let keep = options.keep_resolved.max(options.flap_window);
        let since = |at: Millis| now.saturating_sub(at);
        self.alert.phase == Phase::Resolved && self.alert.resolved_at.is_none_or(|at| since(at) > keep)
    }

    fn begin_again(&mut self, pace: &Pace<'_>) {
        self.alert.phase = Phase::Pending;
        self.alert.active_at = pace.now;
        self.held = 0;
        self.fire_if_due(pace);
    }

    fn fire_if_due(&mut self, pace: &Pace<'_>) {
        if self.held < pace.hold {
            return;
        }
        self.alert.phase = Phase::Firing;
        self.alert.fired_at = Some(pace.now);
        self.alert.resolved_at = None;
        self.quiet = None;
        self.firings.retain(|at| pace.now.saturating_sub(*at) <= pace.options.flap_window);
        self.firings.push_back(pace.now);
        if self.firings.len() > pace.options.flap_count {
            self.firings.pop_front();
        }
        self.alert.flapping = self.firings.len() >= pace.options.flap_count.max(2);
    }

    /// After a clock went back, no time that is compared with it lies ahead. `fired_at` stays: it tells this firing
    /// from others, and another would be told anew.
    fn not_in_the_future(&mut self, now: Millis) {
        let alert = &mut self.alert;
        alert.active_at = alert.active_at.min(now);
        alert.resolved_at = alert.resolved_at.map(|at| at.min(now));
        self.firings.iter_mut().for_each(|at| *at = (*at).min(now));
    }
}

/// The engine's memory, to be written down and read after a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    instances: BTreeMap<String, Vec<Instance>>,
}

impl Saved {
    pub(super) fn new<'i>(rules: impl Iterator<Item = (RuleId, Vec<&'i Instance>)>) -> Self {
        let owned =
            |(id, all): (RuleId, Vec<&Instance>)| (id.to_string(), all.into_iter().cloned().collect());
        Self { version: VERSION, instances: rules.map(owned).collect() }
    }

    /// What was saved, by rule; nothing of a form that is not ours.
    pub(super) fn into_instances(self) -> impl Iterator<Item = Instance> {
        let known = self.version == VERSION;
        self.instances.into_values().flatten().filter(move |_| known)
    }
}

/// What is said about an alert, made from its rule.
pub(super) fn annotate(alert: &mut Alert, rule: &Rule, element: &crate::alert::eval::Element) {
    let expand = |(name, template): &(String, crate::alert::template::Template)| {
        (name.clone(), template.expand(&element.labels, element.value))
    };
    alert.annotations = rule.annotations.iter().map(expand).collect();
    alert.dedup = rule.dedup.as_ref().map(|template| template.expand(&element.labels, element.value));
    alert.action.clone_from(&rule.action);
    alert.severity = rule.severity;
    alert.value = element.value;
}

/// A number as text, since JSON has no NaN and no infinity.
pub(super) mod number {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::alert) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::alert) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
