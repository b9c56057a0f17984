//! Receivers, as a file says it: a name that routes know, and one channel.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_saphyr::Spanned;

use super::{
    auth::RawAuth,
    text::{DEFAULT_TEXT, DEFAULT_TITLE, Texts},
    way::{Common, Via, Way},
};
use crate::alert::{
    error::FileError, eval::Millis, expr::duration::parse_millis, route, rule, rule::error_at,
    template::Template,
};

/// The most receivers.
const MAX_RECEIVERS: usize = 256;
/// What routes take for `repeat_interval` where they say nothing, milliseconds.
const DEFAULT_REPEAT: Millis = 4 * 3_600_000;
/// The longest name, bytes.
const MAX_NAME: usize = 64;
/// The longest time that a try may take.
const MAX_TIMEOUT: Duration = Duration::from_secs(120);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    receivers: Vec<Spanned<RawReceiver>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReceiver {
    name: Spanned<String>,
    via: Spanned<Via>,
    #[serde(default = "ten_seconds", deserialize_with = "timeout")]
    timeout: Duration,
    #[serde(default = "yes")]
    send_resolved: bool,
    #[serde(default)]
    rate: Option<route::Rate>,
    #[serde(default, deserialize_with = "template")]
    title: Option<Template>,
    #[serde(default, deserialize_with = "template")]
    text: Option<Template>,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default)]
    auth: Option<Spanned<RawAuth>>,
}

/// Every receiver there is.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub(super) receivers: BTreeMap<String, Receiver>,
}

/// A receiver.
#[derive(Clone, Debug)]
pub(super) struct Receiver {
    pub(super) kind: &'static str,
    pub(super) way: Arc<dyn Way>,
    pub(super) timeout: Duration,
    pub(super) send_resolved: bool,
    pub(super) rate: route::Rate,
}

impl Config {
    /// Reads a file's text. CA files are read; secrets are not before they are needed.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file; of what is no such YAML, the first thing.
    pub fn parse(text: &str) -> Result<Self, Vec<FileError>> {
        let raw: RawFile = rule::read(text).map_err(|error| vec![error])?;
        if raw.receivers.len() > MAX_RECEIVERS {
            let message = format!("there may be {MAX_RECEIVERS} receivers at most");
            return Err(vec![FileError { line: 0, column: 0, message }]);
        }
        let mut receivers = BTreeMap::new();
        let mut errors = Vec::new();
        for raw in raw.receivers {
            let name = &raw.value.name;
            if receivers.contains_key(&name.value) {
                errors.push(error_at(name.referenced, format!("there are two receivers {}", name.value)));
                continue;
            }
            match raw.value.check() {
                Ok(receiver) => drop(receivers.insert(name.value.clone(), receiver)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self { receivers }) } else { Err(errors) }
    }

    /// What does not go together with these routes: receivers that exist neither here nor elsewhere, and those that would
    /// take an alert for resolved before it is told again.
    #[must_use]
    pub fn check(&self, routes: &route::Config, elsewhere: &dyn Fn(&str) -> bool) -> Vec<String> {
        let named = routes.receivers().into_iter();
        let missing = named.filter(|name| !self.receivers.contains_key(*name) && !elsewhere(name));
        let mut wrong: Vec<String> = missing.map(|name| format!("there is no receiver {name}")).collect();
        let mut open = vec![(&routes.route, None, None)];
        while let Some((route, receiver, repeat)) = open.pop() {
            let receiver = route.receiver.as_deref().or(receiver);
            let repeat = route.repeat_interval.or(repeat);
            let way = receiver.and_then(|name| Some((name, self.receivers.get(name)?.way.valid_for()?)));
            if let Some((name, valid_for)) = way
                && repeat.unwrap_or(DEFAULT_REPEAT) >= valid_for
            {
                wrong.push(format!("valid_for of {name} must be longer than repeat_interval"));
            }
            open.extend(route.routes.iter().map(|inner| (inner, receiver, repeat)));
        }
        wrong
    }

    /// The names of all receivers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.receivers.keys().map(String::as_str)
    }
}

impl RawReceiver {
    fn check(&self) -> Result<Receiver, FileError> {
        let name = &self.name;
        if name.value.is_empty() || name.value.len() > MAX_NAME || name.value.chars().any(char::is_control) {
            let message = format!("a receiver's name has 1 to {MAX_NAME} bytes, on one line");
            return Err(error_at(name.referenced, message));
        }
        let auth = match &self.auth {
            Some(auth) => Some(auth.value.check().map_err(|why| error_at(auth.referenced, why))?),
            None => None,
        };
        let or_default = |own: &Option<Template>, default| match own {
            Some(own) => Ok(own.clone()),
            None => Template::parse(default).map_err(|error| error_at(name.referenced, error.to_string())),
        };
        let texts = Texts {
            title: or_default(&self.title, DEFAULT_TITLE)?,
            text: or_default(&self.text, DEFAULT_TEXT)?,
        };
        let common = Common { timeout: self.timeout, ca_file: self.ca_file.clone(), auth, texts };
        let kind = self.via.value.kind();
        let way = self.via.value.open(&common);
        let way = way.map_err(|why| error_at(self.via.referenced, format!("{kind}: {why}")))?;
        let rate = self.rate.unwrap_or(route::Rate { messages: 60, per: 60_000 });
        Ok(Receiver { kind, way, timeout: self.timeout, send_resolved: self.send_resolved, rate })
    }
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const fn yes() -> bool {
    true
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let timeout = duration(deserializer)?;
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err(D::Error::custom(format!(
            "a timeout is at most {}s, and more than none",
            MAX_TIMEOUT.as_secs()
        )));
    }
    Ok(timeout)
}

pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let millis = parse_millis(&text).and_then(|millis| u64::try_from(millis).ok());
    let wrong = || D::Error::custom(format!("{text:?} is no duration such as 30s or 5m"));
    millis.map(Duration::from_millis).ok_or_else(wrong)
}

fn template<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Template>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Template::parse(&text).map(Some).map_err(D::Error::custom)
}
