//! Which rules are in force, and who is told.

use std::path::PathBuf;

use super::Reactions;

/// In place of a file of receivers: there is none.
const NONE: &str = "none";

/// In place of a file: the rules, or routes, that agentperf brings along.
const BUILTIN: &str = "builtin";

/// The most files and folders of rules that may be named.
const MAX_RULES: usize = 64;

/// Alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Whether rules are evaluated at all.
    pub enabled: bool,
    /// Where the rules come from.
    pub rules: Vec<RuleSource>,
    /// The file that says who is told what; `None`: what agentperf brings along.
    pub routes: Option<PathBuf>,
    /// The file that says how receivers are reached; `None`: only the log is told.
    pub receivers: Option<PathBuf>,
    /// What they may do by themselves.
    pub reactions: Reactions,
}

/// Where rules come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSource {
    /// Those that agentperf brings along.
    Builtin,
    /// A file, or a folder of files that end in `.yaml` or `.yml`.
    Path(PathBuf),
}

impl Default for Alerts {
    fn default() -> Self {
        let reactions = Reactions::default();
        Self { enabled: true, rules: vec![RuleSource::Builtin], routes: None, receivers: None, reactions }
    }
}

impl Alerts {
    /// The same with what only a start brings into force as `now` has it.
    #[must_use]
    pub fn reloaded(&self, now: &Self) -> Self {
        let reactions = self.reactions.clone().reloaded(&now.reactions);
        Self { enabled: now.enabled, reactions, ..self.clone() }
    }
}

impl RuleSource {
    /// Reads a list of them.
    pub(super) fn parse_list(text: &str) -> Option<Vec<Self>> {
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        let list: Option<Vec<Self>> = items.iter().map(|item| Self::parse(item)).collect();
        list.filter(|list| list.len() <= MAX_RULES)
    }

    fn parse(item: &str) -> Option<Self> {
        let path = || Some(PathBuf::from(item)).filter(|path| path.is_absolute());
        if item == BUILTIN { Some(Self::Builtin) } else { path().map(Self::Path) }
    }

    /// A list as it is written.
    pub(super) fn format_list(list: &[Self]) -> String {
        let text = |source: &Self| match source {
            Self::Builtin => BUILTIN.to_owned(),
            Self::Path(path) => path.display().to_string(),
        };
        list.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// Reads the file of routes; `builtin` is none.
pub(super) fn parse_routes(text: &str) -> Option<Option<PathBuf>> {
    let path = Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    if text == BUILTIN { Some(None) } else { path.map(Some) }
}

/// The file of routes as it is written.
pub(super) fn format_routes(routes: Option<&PathBuf>) -> String {
    routes.map_or_else(|| BUILTIN.to_owned(), |path| path.display().to_string())
}

/// Reads the file of receivers; `none` is none.
pub(super) fn parse_receivers(text: &str) -> Option<Option<PathBuf>> {
    let path = Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    if text == NONE { Some(None) } else { path.map(Some) }
}

/// The file of receivers as it is written.
pub(super) fn format_receivers(receivers: Option<&PathBuf>) -> String {
    receivers.map_or_else(|| NONE.to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::RuleSource;

    #[test]
    fn rules_come_from_several_places() {
        let list = RuleSource::parse_list("builtin, /etc/agentperf/alerts.yaml").unwrap();
        assert_eq!(list, [RuleSource::Builtin, RuleSource::Path("/etc/agentperf/alerts.yaml".into())]);
        assert_eq!(RuleSource::format_list(&list), "builtin, /etc/agentperf/alerts.yaml");
        for wrong in ["", "a.yaml", "builtin,", "builtin /a", ",/a"] {
            assert!(RuleSource::parse_list(wrong).is_none(), "{wrong}");
        }
    }
}
