//! Puts the three sources of a configuration together.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use serde_saphyr::{Location, Spanned};

use super::{
    Config, ConfigError, Origin,
    content::{ContentRule, MAX_RULES},
    llm::{self, MAX_PRICES},
    operations::{Definition, MAX_DEFINITIONS},
    options::{OPTIONS, Opt, PREFIX},
    otel,
    project::{MAX_PROJECTS, Project},
    raw::{ItemError, Parts, Raw},
    rule::Rule,
};
use crate::model::price::Prices;

/// The largest file read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Environment variables that are no options: what the command line takes from the environment.
const OTHER_VARIABLES: [&str; 2] = ["AGENTPERF_CONFIG", "AGENTPERF_URL"];

/// Values that flags set: flag (for messages), key and value. They lie over file and environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(&'static str, &'static str, String)>);

impl Overrides {
    /// Adds what a flag sets, if it was given: `set("--listen", "listen", flag)`.
    #[must_use]
    pub fn set(mut self, flag: &'static str, key: &'static str, value: Option<String>) -> Self {
        self.0.extend(value.map(|value| (flag, key, value)));
        self
    }
}

impl Config {
    /// Reads the file (defaults where there is none), puts this process's environment over it, and the
    /// flags over both.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, ConfigError> {
        let environment =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self::load_from(file, environment, overrides)
    }

    /// Reads the configuration again, with the same flags.
    ///
    /// # Errors
    /// What is wrong, and where; the configuration in force is not touched.
    pub fn reload(&self, file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load(file, self.overrides.clone())
    }

    /// [`Config::load`] with an environment of the caller's.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn load_from(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, ConfigError> {
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        let variable =
            |name: &str| environment.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        let mut config = match file {
            Some(path) => Self::parse_with(&read(path)?, path, &variable)?,
            None => Self::default(),
        };
        let environment: Vec<(String, String)> = environment.into_iter().collect();
        for (name, value) in &environment {
            let wrong = |message| ConfigError::Shape { origin: Origin::Environment(name.clone()), message };
            otel::take(&mut config.export, name, value).map_err(wrong)?;
        }
        for (name, value) in environment {
            if let Some(option) = OPTIONS.iter().find(|o| o.variable() == name) {
                set(&mut config, option, &value, || Origin::Environment(name))?;
            }
        }
        for (flag, key, value) in &overrides.0 {
            if let Some(option) = Opt::find(key) {
                set(&mut config, option, value, || Origin::Flag((*flag).to_owned()))?;
            }
        }
        config.overrides = overrides;
        Ok(config)
    }

    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Self::parse_with(text, path, &|name| std::env::var(name).ok())
    }

    fn parse_with(
        text: &str,
        path: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw = Raw::parse(text).map_err(|e| ConfigError::from_yaml(path.to_owned(), &e))?;
        let Parts { values, rules, projects, prices, operations, contents } = raw.into_parts();
        let mut config = Self::default();
        for (key, value) in values {
            if let Some(option) = Opt::find(key) {
                set(&mut config, option, &value.value, || at(path, value.referenced))?;
            }
        }
        let list = |key, most| List { path, key, most };
        config.agents.rules = list("agents.rules", usize::MAX).read(rules, |raw, _| Rule::from_raw(raw))?;
        config.projects = list("projects", MAX_PROJECTS).read(projects, |raw, before| {
            let project = Project::from_raw(raw, variable)?;
            project.differs_from(before).map(|()| project)
        })?;
        let prices = list("llm.prices", MAX_PRICES).read(prices, llm::price)?;
        config.llm.prices = Prices::new(prices);
        config.operations =
            list("operations", MAX_DEFINITIONS).read(operations, |raw, _| Definition::from_raw(raw))?;
        config.content.agents =
            list("content.agents", MAX_RULES).read(contents, |raw, _| ContentRule::from_raw(raw))?;
        Ok(config)
    }
}

/// A list in a file.
struct List<'a> {
    path: &'a Path,
    key: &'a str,
    most: usize,
}

impl List<'_> {
    /// Reads each item, `read` knowing those before. What is wrong is told with its place.
    fn read<R, T>(
        &self,
        raws: Vec<Spanned<R>>,
        read: impl Fn(R, &[T]) -> Result<T, ItemError>,
    ) -> Result<Vec<T>, ConfigError> {
        let mut items = Vec::new();
        for (index, raw) in raws.into_iter().enumerate() {
            let whole = raw.referenced;
            let item = match index < self.most {
                true => read(raw.value, &items),
                false => Err((None, "", format!("is one too many: there may be {}", self.most))),
            };
            items.push(item.map_err(|(place, key, message)| {
                let dot = if key.is_empty() { "" } else { "." };
                ConfigError::Value {
                    origin: at(self.path, place.map_or(whole, |place| place.referenced)),
                    key: format!("{}[{index}]{dot}{key}", self.key),
                    message,
                }
            })?);
        }
        Ok(items)
    }
}

/// The names of variables that begin like ours but set nothing: most likely mistyped.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = |name: &str| OTHER_VARIABLES.contains(&name) || OPTIONS.iter().any(|o| o.variable() == name);
    names.into_iter().filter(|n| n.starts_with(PREFIX) && !known(n)).collect()
}

fn set(
    config: &mut Config,
    option: &Opt,
    text: &str,
    origin: impl FnOnce() -> Origin,
) -> Result<(), ConfigError> {
    let wrong = |message| ConfigError::Value { origin: origin(), key: option.key.to_owned(), message };
    option.set(config, text).map_err(wrong)
}

fn at(path: &Path, place: Location) -> Origin {
    Origin::File { path: path.to_owned(), line: place.line(), column: place.column() }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: PathBuf::from(path), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge { path: PathBuf::from(path), limit: MAX_FILE_BYTES });
    }
    Ok(text)
}
