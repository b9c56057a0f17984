//! Rules: who is an agent. Validated here, matched in `enrich`.

use std::fmt;

use serde_saphyr::Spanned;

use super::{
    glob::Glob,
    raw::{ItemError, RawRule, Text},
    texts::Texts,
};
use crate::model::probe::{Probe, ProbeSet};

/// Largest compiled expression, bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// A rule. It matches a process that all its matchers match.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What it is called; several rules may share a name.
    pub name: String,
    /// What a match means.
    pub action: Action,
    /// What agents that it finds are called.
    pub agent_name: NameTemplate,
    /// What agents that it finds are watched by.
    pub probes: ProbeSet,
    /// What it looks at.
    pub matchers: Matchers,
}

/// What a match means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process is an agent.
    Include,
    /// The process is none, whatever later rules say.
    Exclude,
}

/// What a rule looks at. An empty list looks at nothing; otherwise one of its items must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matchers {
    /// Path of the executable; or, for an interpreter, path of its script or name of its module.
    pub executable: Vec<Glob>,
    /// The kernel's 15-byte name.
    pub comm: Vec<Glob>,
    /// The command line, its arguments joined by single blanks.
    pub argv: Option<Regex>,
    /// The cgroup's path from the root of the hierarchy. Without wildcards it covers what is below, too.
    pub cgroup: Vec<Glob>,
    /// The systemd unit, system or user.
    pub systemd_unit: Vec<Glob>,
    /// The effective user.
    pub user: Vec<User>,
}

impl Matchers {
    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The matchers as they would be written: key and values.
    #[must_use]
    pub fn describe(&self) -> Vec<(&'static str, Vec<String>)> {
        let globs = |list: &[Glob]| list.iter().map(|g| g.as_str().to_owned()).collect::<Vec<_>>();
        let mut all = vec![
            ("executable", globs(&self.executable)),
            ("comm", globs(&self.comm)),
            ("argv", self.argv.iter().map(|r| r.as_str().to_owned()).collect()),
            ("cgroup", globs(&self.cgroup)),
            ("systemd_unit", globs(&self.systemd_unit)),
            ("user", self.user.iter().map(ToString::to_string).collect()),
        ];
        all.retain(|(_, values)| !values.is_empty());
        all
    }
}

/// A regular expression, bounded in size.
#[derive(Clone, Debug)]
pub struct Regex(regex::Regex);

impl Regex {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn new(source: &str) -> Result<Self, String> {
        let built = regex::RegexBuilder::new(source).size_limit(MAX_REGEX_BYTES).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => format!("takes more than {limit} bytes when compiled"),
            other => {
                // The last line says what is wrong; those before draw the place.
                let text = other.to_string();
                let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                format!("is no regular expression: {last}")
            }
        })
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is found in `text`.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Where it is found in `text`.
    pub fn ranges<'a>(&'a self, text: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
        self.0.find_iter(text).map(|found| found.range())
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A user by name or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// By name.
    Name(String),
    /// By number.
    Id(u32),
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

/// A part of an agent's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamePart {
    /// This text.
    Text(String),
    /// The rule's name.
    Rule,
    /// The process's pid.
    Pid,
    /// The kernel's name for the process.
    Comm,
    /// File name of the executable, script or module.
    Executable,
    /// Name of the user.
    User,
    /// The systemd unit.
    Unit,
    /// The container's id, its first 12 characters.
    Container,
    /// Last part of the working directory: for coding agents, the project.
    Directory,
}

/// How an agent's name is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameTemplate(pub Vec<NamePart>);

const PARTS: [(&str, NamePart); 8] = [
    ("rule", NamePart::Rule),
    ("pid", NamePart::Pid),
    ("comm", NamePart::Comm),
    ("executable", NamePart::Executable),
    ("user", NamePart::User),
    ("unit", NamePart::Unit),
    ("container", NamePart::Container),
    ("directory", NamePart::Directory),
];

impl NameTemplate {
    /// Reads a template: text with parts in braces, as in `claude in {directory}`.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn new(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("has a { without its }")?;
            let known = || PARTS.map(|(name, _)| name).join(", ");
            let (_, part) = PARTS
                .iter()
                .find(|(known, _)| *known == name)
                .ok_or_else(|| format!("has the unknown part {{{name}}}: known are {}", known()))?;
            parts.extend((!text.is_empty()).then(|| NamePart::Text(text.to_owned())));
            parts.push(part.clone());
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| NamePart::Text(rest.to_owned())));
        if parts.is_empty() || source.len() > 128 {
            return Err("must have 1 to 128 characters".to_owned());
        }
        Ok(Self(parts))
    }

    /// The template that gives the rule's name.
    #[must_use]
    pub fn rule() -> Self {
        Self(vec![NamePart::Rule])
    }
}

impl Rule {
    /// Reads a rule.
    pub(super) fn from_raw(raw: RawRule) -> Result<Self, ItemError> {
        let Some(name) = raw.name else {
            return Err((None, "name", "is missing: every rule needs one".to_owned()));
        };
        if name.value.is_empty() || name.value.len() > 64 {
            return Err((Some(name), "name", "must have 1 to 64 characters".to_owned()));
        }
        let matchers = Matchers {
            executable: globs(raw.executable, "executable")?,
            comm: globs(raw.comm, "comm")?,
            argv: one(raw.argv, "argv", Regex::new)?,
            cgroup: globs(raw.cgroup, "cgroup")?,
            systemd_unit: globs(raw.systemd_unit, "systemd_unit")?,
            user: each(raw.user, "user", user)?,
        };
        if matchers.is_empty() {
            let message =
                "has nothing to match by: give executable, comm, argv, cgroup, systemd_unit or user";
            return Err((Some(name), "name", message.to_owned()));
        }
        let probes = raw.probes.is_some().then_some(each(raw.probes, "probes", probe)?);
        Ok(Self {
            name: name.value,
            action: one(raw.action, "action", action)?.unwrap_or(Action::Include),
            agent_name: one(raw.agent_name, "agent_name", NameTemplate::new)?
                .unwrap_or_else(NameTemplate::rule),
            probes: probes.map_or(ProbeSet::RULE_DEFAULT, ProbeSet::from_iter),
            matchers,
        })
    }
}

fn one<T>(
    raw: Text,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, ItemError> {
    raw.map(|text| read(&text.value).map_err(|message| (Some(text), key, message))).transpose()
}

fn each<T>(
    raw: Option<Spanned<Texts>>,
    key: &'static str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, ItemError> {
    let items = raw.into_iter().flat_map(Texts::into_items);
    items.map(|text| read(&text.value).map_err(|message| (Some(text), key, message))).collect()
}

fn globs(raw: Option<Spanned<Texts>>, key: &'static str) -> Result<Vec<Glob>, ItemError> {
    each(raw, key, |text| Glob::new(text).map_err(|error| error.to_string()))
}

fn action(text: &str) -> Result<Action, String> {
    match text {
        "include" => Ok(Action::Include),
        "exclude" => Ok(Action::Exclude),
        other => Err(format!("is {other:?} but must be include or exclude")),
    }
}

fn probe(text: &str) -> Result<Probe, String> {
    let known = || Probe::ALL.map(Probe::name).join(", ");
    let found = Probe::ALL.into_iter().find(|p| p.name() == text);
    found.ok_or_else(|| format!("has {text:?} but knows only {}", known()))
}

fn user(text: &str) -> Result<User, String> {
    if text.is_empty() || text.contains([':', '/']) || text.contains(char::is_whitespace) {
        return Err(format!("is {text:?} but must be a user's name or number"));
    }
    Ok(text.parse().map_or_else(|_| User::Name(text.to_owned()), User::Id))
}
