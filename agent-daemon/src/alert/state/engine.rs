//! Evaluates rules and keeps their alerts.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Alert, Options, Phase, Saved,
    instance::{Condition, Instance, Pace, annotate},
};
use crate::alert::{
    eval::{Element, EvalError, Limits, Millis, Source, Spent, evaluate},
    labels::{ALERT_NAME, Labels},
    rule::{Group, Rule, RuleId, RuleSet},
};

/// How a rule's last evaluation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// When it was.
    pub at: Millis,
    /// What it cost.
    pub spent: Spent,
    /// How it went.
    pub outcome: Outcome,
}

/// How an evaluation went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Ok,
    /// Nothing is known of this time: alerts stay as they were.
    NoData,
    /// It failed: alerts stay as they were.
    Failed(String),
}

/// How one round went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rules that were due.
    pub evaluated: usize,
    /// Rules that failed, see [`Engine::health`].
    pub failed: usize,
    /// Rules that found no data.
    pub no_data: usize,
    /// Work units of all.
    pub work: u64,
}

/// Rules and their alerts.
#[derive(Debug, Default)]
pub struct Engine {
    rules: RuleSet,
    options: Options,
    instances: BTreeMap<RuleId, BTreeMap<Labels, Instance>>,
    health: BTreeMap<RuleId, Health>,
    /// When each group was last evaluated in this run.
    last: BTreeMap<String, Millis>,
}

impl Engine {
    /// An engine without alerts.
    #[must_use]
    pub fn new(rules: RuleSet, options: Options) -> Self {
        Self { rules, options, ..Self::default() }
    }

    /// Takes over what an engine before it knew. Alerts of rules that are gone become resolved.
    pub fn restore(&mut self, saved: Saved, now: Millis) {
        for instance in saved.into_instances() {
            let labels = instance.alert.labels.clone();
            self.instances.entry(instance.alert.rule).or_default().insert(labels, instance);
        }
        self.resolve_orphans(now);
    }

    /// Everything that is to outlive this engine.
    #[must_use]
    pub fn save(&self) -> Saved {
        Saved::new(self.instances.iter().map(|(id, all)| (*id, all.values().collect())))
    }

    /// Other rules. Alerts of rules that stay (same group, name and labels) go on, those of others resolve.
    pub fn reload(&mut self, rules: RuleSet, now: Millis) {
        self.rules = rules;
        let known: BTreeSet<RuleId> = self.rules.rules().map(|rule| rule.id).collect();
        self.health.retain(|id, _| known.contains(id));
        self.last.retain(|name, _| self.rules.groups.iter().any(|group| group.name == *name));
        self.resolve_orphans(now);
    }

    /// The rules in force.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// How a rule's last evaluation went; `None` before the first.
    #[must_use]
    pub fn health(&self, rule: RuleId) -> Option<&Health> {
        self.health.get(&rule)
    }

    /// All alerts: pending, firing, and those that resolved lately.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        let all = self.instances.values().flat_map(BTreeMap::values).map(|instance| &instance.alert);
        // One that was pending only has resolved nothing.
        all.filter(|alert| alert.phase != Phase::Resolved || alert.resolved_at.is_some())
    }

    /// Evaluates the groups that are due at this time.
    pub fn evaluate(&mut self, now: Millis, source: &dyn Source) -> Report {
        let mut report = Report::default();
        let rules = std::mem::take(&mut self.rules);
        for group in &rules.groups {
            let last = self.last.get(&group.name).copied();
            // A quarter of the engine's interval early is not too early; a clock that went back is due.
            let early = self.options.interval / 4;
            let due = |last: Millis| {
                now < last || now.saturating_sub(last).saturating_add(early) >= group.interval.unwrap_or(0)
            };
            if last.is_some_and(|last| !due(last)) {
                continue;
            }
            let longest = group.interval.unwrap_or(self.options.interval).saturating_mul(3);
            let elapsed = last.map_or(0, |last| now.saturating_sub(last).clamp(0, longest.max(0)));
            for rule in &group.rules {
                self.evaluate_rule(group, rule, (now, elapsed), source, &mut report);
            }
            self.last.insert(group.name.clone(), now);
        }
        self.rules = rules;
        self.forget(now);
        report
    }

    fn evaluate_rule(
        &mut self,
        group: &Group,
        rule: &Rule,
        (now, elapsed): (Millis, Millis),
        source: &dyn Source,
        report: &mut Report,
    ) {
        let left = self.options.round_work.saturating_sub(report.work);
        let limits = Limits { work: self.options.limits.work.min(left), ..self.options.limits };
        let (value, spent) = evaluate(&rule.expr, now, source, &limits);
        let limit = group.limit.unwrap_or(usize::MAX).min(self.options.max_alerts);
        let found = value.and_then(|value| by_labels(rule, value.into_elements(), limit));
        let found = found.and_then(|found| self.has_room(rule, found));
        report.evaluated += 1;
        report.work = report.work.saturating_add(spent.work);
        let outcome = match found {
            Ok(found) => {
                self.step(rule, found, now, elapsed);
                Outcome::Ok
            }
            Err(EvalError::Source(crate::alert::eval::SourceError::NoData)) => {
                report.no_data += 1;
                Outcome::NoData
            }
            Err(error) => {
                report.failed += 1;
                Outcome::Failed(error.to_string())
            }
        };
        self.health.insert(rule.id, Health { at: now, spent, outcome });
    }

    /// Refuses alerts for which there is no room beside those of other rules.
    fn has_room(
        &self,
        rule: &Rule,
        found: BTreeMap<Labels, Element>,
    ) -> Result<BTreeMap<Labels, Element>, EvalError> {
        let own = self.instances.get(&rule.id);
        let new = found.keys().filter(|labels| own.is_none_or(|own| !own.contains_key(labels))).count();
        let limit = self.options.max_all_alerts;
        // Most rules find nothing new, and need no count of all.
        if new > 0 && self.instances.values().map(BTreeMap::len).sum::<usize>() + new > limit {
            return Err(EvalError::TooMuch { what: "alerts of all rules", limit: limit as u64 });
        }
        Ok(found)
    }

    fn step(&mut self, rule: &Rule, mut found: BTreeMap<Labels, Element>, now: Millis, elapsed: Millis) {
        let options = &self.options;
        let pace = Pace { now, elapsed, hold: rule.hold, keep_firing: rule.keep_firing, options };
        if found.is_empty() && !self.instances.contains_key(&rule.id) {
            return;
        }
        let instances = self.instances.entry(rule.id).or_default();
        for (labels, instance) in instances.iter_mut() {
            let condition = match found.remove(labels) {
                Some(element) => {
                    annotate(&mut instance.alert, rule, &element);
                    Condition::Holds
                }
                None => Condition::Fails,
            };
            instance.step(condition, &pace);
        }
        for (labels, element) in found {
            let mut alert = blank(rule, labels.clone(), now);
            annotate(&mut alert, rule, &element);
            instances.insert(labels, Instance::begin(alert, &pace));
        }
    }

    fn resolve_orphans(&mut self, now: Millis) {
        let known: BTreeSet<RuleId> = self.rules.rules().map(|rule| rule.id).collect();
        let orphans = self.instances.iter_mut().filter(|(id, _)| !known.contains(id));
        for instance in orphans.flat_map(|(_, all)| all.values_mut()) {
            match instance.alert.phase {
                Phase::Firing => instance.resolve(now),
                Phase::Pending => instance.alert.phase = Phase::Resolved,
                Phase::Resolved => {}
            }
        }
    }

    fn forget(&mut self, now: Millis) {
        let options = &self.options;
        self.instances.retain(|_, all| {
            all.retain(|_, instance| !instance.is_over(now, options));
            !all.is_empty()
        });
    }
}

/// Elements by the labels of their alerts.
fn by_labels(
    rule: &Rule,
    elements: Vec<Element>,
    limit: usize,
) -> Result<BTreeMap<Labels, Element>, EvalError> {
    if elements.len() > limit {
        return Err(EvalError::TooMuch { what: "alerts of one rule", limit: limit as u64 });
    }
    let mut found = BTreeMap::new();
    for element in elements {
        let labels = alert_labels(rule, &element);
        if found.insert(labels.clone(), element).is_some() {
            let message =
                format!("two alerts would have the labels {labels}: let rule labels not hide others");
            return Err(EvalError::Ambiguous(message));
        }
    }
    Ok(found)
}

fn alert_labels(rule: &Rule, element: &Element) -> Labels {
    let own = rule
        .labels
        .iter()
        .map(|(name, template)| (name.clone(), template.expand(&element.labels, element.value)));
    let of_element = element.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Labels::new(of_element.chain(own).chain([(ALERT_NAME.to_owned(), rule.name.clone())]))
}

fn blank(rule: &Rule, labels: Labels, now: Millis) -> Alert {
    Alert {
        id: labels.fingerprint(),
        rule: rule.id,
        labels,
        annotations: BTreeMap::new(),
        severity: rule.severity,
        value: 0.0,
        phase: Phase::Pending,
        active_at: now,
        fired_at: None,
        resolved_at: None,
        flapping: false,
        dedup: None,
        action: None,
    }
}
