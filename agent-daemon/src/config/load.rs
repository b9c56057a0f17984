//! Puts the three sources of a configuration together.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use serde_saphyr::{Location, Spanned};

use super::{
    Config, ConfigError, Origin,
    llm::{self, MAX_PRICES, RawPrice},
    options::{OPTIONS, Opt, PREFIX},
    otel,
    project::{MAX_PROJECTS, Project},
    raw::{Parts, Raw, RawProject},
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
        let Parts { values, rules, projects, prices } = raw.into_parts();
        let mut config = Self::default();
        for (key, value) in values {
            if let Some(option) = Opt::find(key) {
                set(&mut config, option, &value.value, || at(path, value.referenced))?;
            }
        }
        for (index, raw) in rules.into_iter().enumerate() {
            let whole = raw.referenced;
            config.agents.rules.push(Rule::from_raw(raw.value).map_err(|(place, key, message)| {
                ConfigError::Value {
                    origin: at(path, place.map_or(whole, |p: Spanned<String>| p.referenced)),
                    key: format!("agents.rules[{index}].{key}"),
                    message,
                }
            })?);
        }
        config.read_projects(projects, path, variable)?;
        config.read_prices(prices, path)?;
        Ok(config)
    }
}

impl Config {
    fn read_projects(
        &mut self,
        projects: Vec<Spanned<RawProject>>,
        path: &Path,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        for (index, raw) in projects.into_iter().enumerate() {
            let whole = raw.referenced;
            let wrong = |place: Option<Spanned<String>>, key: &str, message: String| ConfigError::Value {
                origin: at(path, place.map_or(whole, |p| p.referenced)),
                key: format!("projects[{index}].{key}"),
                message,
            };
            if index >= MAX_PROJECTS {
                return Err(wrong(None, "name", format!("is one too many: there may be {MAX_PROJECTS}")));
            }
            let project = Project::from_raw(raw.value, variable).map_err(|(p, key, m)| wrong(p, key, m))?;
            if self.projects.iter().any(|known| known.name == project.name) {
                return Err(wrong(None, "name", format!("is there twice: {}", project.name)));
            }
            if self.projects.iter().any(|known| known.key == project.key) {
                return Err(wrong(None, "key_file", "holds the key of another project".to_owned()));
            }
            self.projects.push(project);
        }
        Ok(())
    }

    fn read_prices(&mut self, prices: Vec<Spanned<RawPrice>>, path: &Path) -> Result<(), ConfigError> {
        let mut read = Vec::new();
        for (index, raw) in prices.into_iter().enumerate() {
            let whole = raw.referenced;
            let wrong = |place: Option<Spanned<String>>, key: &str, message: String| ConfigError::Value {
                origin: at(path, place.map_or(whole, |p| p.referenced)),
                key: format!("llm.prices[{index}].{key}"),
                message,
            };
            if index >= MAX_PRICES {
                return Err(wrong(None, "model", format!("is one too many: there may be {MAX_PRICES}")));
            }
            read.push(llm::price(raw.value).map_err(|(place, key, message)| wrong(place, key, message))?);
        }
        self.llm.prices = Prices::new(read);
        Ok(())
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
