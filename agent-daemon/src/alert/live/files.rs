//! Reads rules, routes and receivers from their files, all of them or none, and sees when they change.

use std::{
    collections::BTreeMap,
    fmt,
    io::Read,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    alert::{
        channel::Config as Receivers,
        error::FileError,
        reaction::Config as Reactions,
        route::{Config as Routes, DEFAULT_ROUTES},
        rule::{DEFAULT_RULES, RuleId, RuleSet},
    },
    config::{Alerts, RuleSource},
};

/// What stands in place of a path for what agentperf brings along.
pub const BUILTIN: &str = "builtin";
/// The largest file, bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// The most files of one folder.
const MAX_FILES: usize = 256;
/// The most rules of all files.
const MAX_RULES: usize = 10_000;

/// Rules and routes, ready to be put into force.
#[derive(Debug)]
pub struct Loaded {
    /// The rules.
    pub rules: RuleSet,
    /// Which file each rule is of.
    pub origins: BTreeMap<RuleId, String>,
    /// Who is told.
    pub routes: Routes,
    /// How.
    pub receivers: Receivers,
    /// What they do by themselves.
    pub reactions: Reactions,
}

/// Everything that is wrong with files of rules or routes: one sentence for each mistake, with file, line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadError(pub Vec<String>);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl LoadError {
    fn one(sentence: String) -> Self {
        Self(vec![sentence])
    }
}

/// Reads everything that the configuration names. `own` are receivers that no file says.
///
/// # Errors
/// Everything that is wrong.
pub fn load(config: &Alerts, own: &dyn Fn(&str) -> bool) -> Result<Loaded, LoadError> {
    let mut wrong = Vec::new();
    let mut loaded = Loaded {
        rules: RuleSet::default(),
        origins: BTreeMap::new(),
        routes: Routes::to(super::LOG_RECEIVER),
        receivers: Receivers::default(),
        reactions: Reactions::default(),
    };
    for (name, text) in rule_texts(config)? {
        match RuleSet::parse(&text) {
            Ok(rules) => wrong.extend(loaded.add(&name, rules)),
            Err(errors) => wrong.extend(errors.iter().map(|error| at(&name, error))),
        }
    }
    if loaded.rules.len() > MAX_RULES {
        wrong.push(format!("there are {} rules: {MAX_RULES} at most", loaded.rules.len()));
    }
    match receivers(config) {
        Ok(receivers) => loaded.receivers = receivers,
        Err(error) => return Err(LoadError(wrong.into_iter().chain(error.0).collect())),
    }
    match routes(config, &loaded.receivers, own) {
        Ok(routes) => loaded.routes = routes,
        Err(error) => wrong.extend(error.0),
    }
    match reactions(config, &loaded.rules) {
        Ok(reactions) => loaded.reactions = reactions,
        Err(error) => wrong.extend(error.0),
    }
    if wrong.is_empty() { Ok(loaded) } else { Err(LoadError(wrong)) }
}

impl Loaded {
    /// Adds a file's rules. What stands in its way.
    fn add(&mut self, file: &str, rules: RuleSet) -> Vec<String> {
        let mut wrong = Vec::new();
        for group in rules.groups {
            let line = group.rules.first().map_or(0, |rule| rule.line);
            if let Some(other) = self.rules.groups.iter().find(|known| known.name == group.name) {
                let first = other.rules.first().and_then(|rule| self.origins.get(&rule.id));
                let other = first.map_or("another file", String::as_str);
                wrong.push(format!("{file}:{line}: the group {} is also in {other}", group.name));
                continue;
            }
            self.origins.extend(group.rules.iter().map(|rule| (rule.id, file.to_owned())));
            self.rules.groups.push(group);
        }
        wrong
    }
}

fn receivers(config: &Alerts) -> Result<Receivers, LoadError> {
    let Some(path) = &config.receivers else { return Ok(Receivers::default()) };
    let name = path.display().to_string();
    let wrong = |errors: Vec<FileError>| LoadError(errors.iter().map(|error| at(&name, error)).collect());
    Receivers::parse(&read(path)?).map_err(wrong)
}

fn reactions(config: &Alerts, rules: &RuleSet) -> Result<Reactions, LoadError> {
    let Some(path) = &config.reactions.file else { return Ok(Reactions::default()) };
    let name = path.display().to_string();
    let wrong = |errors: Vec<FileError>| LoadError(errors.iter().map(|error| at(&name, error)).collect());
    Reactions::parse(&read(path)?, rules).map_err(wrong)
}

fn routes(config: &Alerts, receivers: &Receivers, own: &dyn Fn(&str) -> bool) -> Result<Routes, LoadError> {
    let (name, text) = match &config.routes {
        None => (BUILTIN.to_owned(), DEFAULT_ROUTES.to_owned()),
        Some(path) => (path.display().to_string(), read(path)?),
    };
    let routes = Routes::parse(&text).map_err(|error| LoadError::one(at(&name, &error)))?;
    let wrong = receivers.check(&routes, own);
    let wrong: Vec<String> = wrong.into_iter().map(|wrong| format!("{name}: {wrong}")).collect();
    if wrong.is_empty() { Ok(routes) } else { Err(LoadError(wrong)) }
}

/// Names and texts of all files of rules.
fn rule_texts(config: &Alerts) -> Result<Vec<(String, String)>, LoadError> {
    let mut texts = Vec::new();
    for source in &config.rules {
        match source {
            RuleSource::Builtin => texts.push((BUILTIN.to_owned(), DEFAULT_RULES.to_owned())),
            RuleSource::Path(path) => {
                for file in files_of(path)? {
                    texts.push((file.display().to_string(), read(&file)?));
                }
            }
        }
    }
    Ok(texts)
}

/// The file itself, or the files of the folder in the order of their names.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |error| LoadError::one(format!("cannot read {}: {error}", path.display()));
    if !path.metadata().map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in path.read_dir().map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            files.push(file);
        }
    }
    if files.len() > MAX_FILES {
        return Err(LoadError::one(format!("{} has more than {MAX_FILES} files of rules", path.display())));
    }
    files.sort();
    Ok(files)
}

/// Reads a file whole.
///
/// # Errors
/// It cannot be read, is too large, or is no text.
pub fn read(path: &Path) -> Result<String, LoadError> {
    // Opening a pipe would wait for its other end.
    if std::fs::metadata(path).is_ok_and(|file| !file.is_file()) {
        return Err(LoadError::one(format!("{} is no regular file", path.display())));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path);
    match file.and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)) {
        Ok(_) if text.len() as u64 > MAX_FILE_BYTES => {
            Err(LoadError::one(format!("{} has more than {MAX_FILE_BYTES} bytes", path.display())))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(LoadError::one(format!("cannot read {}: {error}", path.display()))),
    }
}

/// A mistake with its file.
#[must_use]
pub fn at(file: &str, error: &FileError) -> String {
    if error.line == 0 { format!("{file}: {}", error.message) } else { format!("{file}:{error}") }
}

/// How the files looked when they were read last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Option<(SystemTime, u64)>)>);

impl Stamps {
    /// How they look now. A folder stands beside the files in it: one more or less is a change.
    pub(super) fn take(config: &Alerts) -> Self {
        let mut stamps = Vec::new();
        let paths = config.rules.iter().filter_map(|source| match source {
            RuleSource::Path(path) => Some(path),
            RuleSource::Builtin => None,
        });
        for path in paths.chain(&config.routes).chain(&config.receivers).chain(&config.reactions.file) {
            let mut files = vec![path.clone()];
            files.extend(files_of(path).unwrap_or_default());
            stamps.extend(files.into_iter().map(|file| {
                let meta = file.metadata().ok();
                let stamp = meta.and_then(|meta| Some((meta.modified().ok()?, meta.len())));
                (file, stamp)
            }));
        }
        Self(stamps)
    }
}

#[cfg(test)]
mod tests {
    use super::{Stamps, load};
    use crate::config::{Alerts, RuleSource};

    const GOOD: &str = "groups:\n- name: mine\n  rules:\n  - alert: A\n    expr: agentperf_agents > 1\n";

    fn config(path: &std::path::Path) -> Alerts {
        Alerts { rules: vec![RuleSource::Builtin, RuleSource::Path(path.to_owned())], ..Alerts::default() }
    }

    #[test]
    fn what_agentperf_brings_along_is_fine() {
        let loaded = load(&Alerts::default(), &|name| name == "default").unwrap();
        assert!(loaded.rules.len() > 15, "{}", loaded.rules.len());
        assert!(loaded.origins.values().all(|file| file == "builtin"));
    }

    #[test]
    fn mistakes_are_told_with_their_file_and_line_and_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), GOOD.replace("> 1", "> > 1")).unwrap();
        std::fs::write(folder.path().join("b.yml"), GOOD.replace("alert: A", "alert: ")).unwrap();
        std::fs::write(folder.path().join("c.txt"), "no rules").unwrap();
        let error = load(&config(folder.path()), &|name| name == "default").unwrap_err();
        let place = |file: &str| folder.path().join(file).display().to_string();
        assert!(error.0[0].starts_with(&format!("{}:5:", place("a.yaml"))), "{error}");
        assert!(error.0[1].starts_with(&format!("{}:4:", place("b.yml"))), "{error}");
        assert_eq!(error.0.len(), 2, "{error}");
    }

    #[test]
    fn a_group_is_in_one_file_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), GOOD).unwrap();
        std::fs::write(folder.path().join("b.yaml"), GOOD).unwrap();
        let error = load(&config(folder.path()), &|_| true).unwrap_err().to_string();
        assert!(error.contains("b.yaml:4: the group mine is also in") && error.contains("a.yaml"), "{error}");
    }

    #[test]
    fn receivers_that_nobody_configured_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let routes = folder.path().join("routes.yaml");
        std::fs::write(&routes, "route: {receiver: pager}\n").unwrap();
        let config = Alerts { routes: Some(routes), ..Alerts::default() };
        let error = load(&config, &|name| name == "default").unwrap_err().to_string();
        assert!(error.ends_with("routes.yaml: there is no receiver pager"), "{error}");
    }

    #[test]
    fn pipes_and_empty_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe.yaml");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = load(&config(folder.path()), &|_| true).unwrap_err().to_string();
        assert!(error.ends_with("pipe.yaml is no regular file"), "{error}");
        std::fs::remove_file(&pipe).unwrap();
        std::fs::write(&pipe, "# half written\n").unwrap();
        let error = load(&config(folder.path()), &|_| true).unwrap_err().to_string();
        assert!(error.contains("the file has no groups"), "{error}");
    }

    #[test]
    fn changes_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (config, file) = (config(folder.path()), folder.path().join("a.yaml"));
        std::fs::write(&file, GOOD).unwrap();
        let before = Stamps::take(&config);
        assert_eq!(before, Stamps::take(&config));
        std::fs::write(&file, format!("{GOOD}# longer\n")).unwrap();
        let changed = Stamps::take(&config);
        assert_ne!(before, changed);
        std::fs::write(folder.path().join("b.yaml"), "groups: []\n").unwrap();
        assert_ne!(changed, Stamps::take(&config));
        std::fs::remove_file(&file).unwrap();
        assert_ne!(before, Stamps::take(&config));
    }
}
