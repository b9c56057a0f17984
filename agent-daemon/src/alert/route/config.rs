//! Routes and what mutes alerts, as a file says it. The form is Alertmanager's where there is one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, de::Error};

use super::{Maintenance, Rate};
use crate::alert::{
    error::FileError, eval::Millis, expr::duration::parse_millis, labels::Labels, matcher::Matcher, rule,
};

/// How deep routes may lie in each other.
const MAX_DEPTH: usize = 8;

/// Everything that decides who is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The route of every alert; its routes take what they match.
    pub route: Route,
    /// Alerts that mute others.
    #[serde(default, rename = "inhibit_rules")]
    pub inhibitions: Vec<Inhibition>,
    /// Times in which alerts are muted.
    #[serde(default)]
    pub maintenance: Vec<Maintenance>,
    /// How many messages a receiver takes.
    #[serde(default)]
    pub rates: BTreeMap<String, Rate>,
}

/// Where alerts go. What a route does not say it takes from the one around it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Who is told.
    pub receiver: Option<String>,
    /// Which alerts.
    pub matchers: Vec<Matcher>,
    /// Which alerts share a message; at first those of the same `alertname`.
    pub group_by: Option<GroupBy>,
    /// How long a new group gathers alerts, milliseconds; at first 1 s.
    #[serde(deserialize_with = "millis")]
    pub group_wait: Option<Millis>,
    /// How long after a message the next one of changes may come, milliseconds; at first a minute.
    #[serde(deserialize_with = "millis")]
    pub group_interval: Option<Millis>,
    /// How long after a message what is unchanged is told again, milliseconds; at first 4 h.
    #[serde(deserialize_with = "millis")]
    pub repeat_interval: Option<Millis>,
    /// Whether routes after this one may take the same alert too.
    #[serde(rename = "continue")]
    pub goes_on: bool,
    /// Routes within, in order.
    pub routes: Vec<Self>,
}

/// Which alerts share a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Those that agree in these labels.
    Labels(Vec<String>),
    /// None: each has its own.
    All,
}

impl GroupBy {
    pub(super) fn key(&self, labels: &Labels) -> Labels {
        match self {
            Self::Labels(names) => labels.only(names),
            Self::All => labels.clone(),
        }
    }
}

/// Alerts that mute others: while a source fires, targets with the same values of the `equal` labels are muted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inhibition {
    /// What mutes.
    pub source_matchers: Vec<Matcher>,
    /// What is muted. An alert that is both mutes no other that is both.
    pub target_matchers: Vec<Matcher>,
    /// Labels that must agree. Missing ones agree with missing ones.
    #[serde(default)]
    pub equal: Vec<String>,
}

/// A route with everything said.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) receiver: String,
    pub(super) group_by: GroupBy,
    pub(super) group_wait: Millis,
    pub(super) group_interval: Millis,
    pub(super) repeat_interval: Millis,
}

impl Config {
    /// Everything to one receiver, no more said.
    #[must_use]
    pub fn to(receiver: impl Into<String>) -> Self {
        let route = Route { receiver: Some(receiver.into()), ..Route::default() };
        Self { route, inhibitions: Vec::new(), maintenance: Vec::new(), rates: BTreeMap::new() }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let config: Self = rule::read(text)?;
        let wrong = |message: &str| FileError { line: 0, column: 0, message: message.to_owned() };
        if config.route.receiver.is_none() {
            return Err(wrong("route needs a receiver: what no other route takes goes there"));
        }
        if !config.route.matchers.is_empty() {
            return Err(wrong("the outermost route takes every alert: it has no matchers"));
        }
        if depth(&config.route) > MAX_DEPTH {
            return Err(wrong("routes may lie 8 deep in each other at most"));
        }
        let receivers = config.receivers();
        if let Some(unknown) = config.rates.keys().find(|name| !receivers.contains(name.as_str())) {
            return Err(wrong(&format!("rates has {unknown}, which no route names")));
        }
        let empty = |i: &Inhibition| i.source_matchers.is_empty() || i.target_matchers.is_empty();
        if config.inhibitions.iter().any(empty) {
            return Err(wrong("an inhibition needs source_matchers and target_matchers"));
        }
        Ok(config)
    }

    /// Everybody that a route names: channels of these names must exist.
    #[must_use]
    pub fn receivers(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut open = vec![&self.route];
        while let Some(route) = open.pop() {
            names.extend(route.receiver.as_deref());
            open.extend(&route.routes);
        }
        names
    }

    /// The routes that take an alert.
    pub(super) fn plans(&self, labels: &Labels) -> Vec<Plan> {
        let plan = Plan {
            receiver: String::new(),
            group_by: GroupBy::Labels(vec![crate::alert::labels::ALERT_NAME.to_owned()]),
            group_wait: 1000,
            group_interval: 60_000,
            repeat_interval: 4 * 3_600_000,
        };
        let mut plans = Vec::new();
        self.route.collect(labels, &plan, &mut plans);
        plans
    }
}

impl Route {
    /// Adds the innermost routes that take the alert. Whether any did.
    fn collect(&self, labels: &Labels, around: &Plan, plans: &mut Vec<Plan>) -> bool {
        if !crate::alert::matcher::all_match(&self.matchers, labels) {
            return false;
        }
        let own = Plan {
            receiver: self.receiver.clone().unwrap_or_else(|| around.receiver.clone()),
            group_by: self.group_by.clone().unwrap_or_else(|| around.group_by.clone()),
            group_wait: self.group_wait.unwrap_or(around.group_wait),
            group_interval: self.group_interval.unwrap_or(around.group_interval),
            repeat_interval: self.repeat_interval.unwrap_or(around.repeat_interval),
        };
        let mut taken = false;
        for route in &self.routes {
            if route.collect(labels, &own, plans) {
                taken = true;
                if !route.goes_on {
                    break;
                }
            }
        }
        if !taken {
            plans.push(own);
        }
        true
    }
}

fn depth(route: &Route) -> usize {
    1 + route.routes.iter().map(depth).max().unwrap_or_default()
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Millis>, D::Error> {
    required_millis(deserializer).map(Some)
}

pub(super) fn required_millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_millis(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no duration such as 30s or 5m")))
}

impl<'de> Deserialize<'de> for GroupBy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(if names.iter().any(|name| name == "...") { Self::All } else { Self::Labels(names) })
    }
}
