//! Rules: what is watched, how long it must last, and what is said about it. The file's form is Prometheus's.

mod load;
mod place;
mod raw;
#[cfg(test)]
mod tests;

pub(super) use place::error as error_at;
pub(super) use raw::read;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    eval::Millis,
    expr::Expr,
    labels::{Fingerprint, Fnv},
    template::Template,
};

/// The rules that are in force unless the configuration says otherwise.
pub const DEFAULT_RULES: &str = include_str!("../default.yaml");

/// How bad it is. More is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look, today.
    #[default]
    Warning,
    /// Somebody should look, now.
    Critical,
}

impl Severity {
    /// As it is written in a label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity written so.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical].into_iter().find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule is known by from one run, and one version of its file, to the next: group, name and own labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RuleId(Fingerprint);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is known by.
    pub id: RuleId,
    /// The name of its alerts.
    pub name: String,
    /// What must hold.
    pub expr: Expr,
    /// The same as it was written.
    pub expr_text: String,
    /// For how long it must hold before the alert fires, milliseconds.
    pub hold: Millis,
    /// For how long the alert goes on when it no longer holds, milliseconds.
    pub keep_firing: Millis,
    /// How bad it is: the label `severity`, `warning` where the file gives none.
    pub severity: Severity,
    /// Labels of its alerts, `severity` among them.
    pub labels: Vec<(String, Template)>,
    /// What is said about it.
    pub annotations: Vec<(String, Template)>,
    /// What channels know its alerts by instead of their labels. Reserved: carried to them, not used here.
    pub dedup: Option<Template>,
    /// What is to be done. Reserved: carried, not used here.
    pub action: Option<String>,
    /// The line of the file where it begins, from 1.
    pub line: u64,
}

/// Rules that are evaluated one after the other, at the same instant.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name, once in a file.
    pub name: String,
    /// How often it is evaluated, milliseconds; `None`: at every window.
    pub interval: Option<Millis>,
    /// How many alerts one of its rules may have; `None`: the engine's bound.
    pub limit: Option<usize>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// All rules.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// In groups.
    pub groups: Vec<Group>,
}

impl RuleSet {
    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.rules.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rules.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.groups.iter().flat_map(|group| &group.rules)
    }
}

fn rule_id(group: &str, name: &str, labels: &[(String, Template)]) -> RuleId {
    let mut hash = Fnv::default();
    hash.text(group);
    hash.text(name);
    for (label, template) in labels {
        hash.text(label);
        hash.text(template.source());
    }
    RuleId(hash.finish())
}
