//! A line of the journal: `{"timestamp","level","logger","message","data"}`, one JSON object.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::data::Kind;
use crate::model::time::Timestamp;

/// The field of an entry of journald's that holds the line: `journalctl -o json` shows the line inside it.
pub(super) const RECORD_FIELD: &str = "AGENTPERF_RECORD";

/// How much a line matters to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// Agents and processes.
    Info,
    /// What is there to be counted.
    Debug,
}

impl Level {
    /// As syslog numbers it.
    pub(super) fn priority(self) -> u8 {
        match self {
            Self::Info => 6,
            Self::Debug => 7,
        }
    }
}

/// A line that was made.
#[derive(Debug)]
pub struct Line {
    pub(super) kind: Kind,
    pub(super) level: Level,
    /// Whose it is; empty where it is nobody's.
    pub(super) agent: String,
    pub(super) message: String,
    /// The whole line, without its end.
    pub(super) json: String,
}

#[derive(Serialize)]
struct Written<'a, D> {
    timestamp: Timestamp,
    level: Level,
    logger: &'a str,
    message: &'a str,
    data: D,
}

impl Line {
    pub(super) fn new(
        kind: Kind,
        (timestamp, agent): (Timestamp, &str),
        message: String,
        data: impl Serialize,
    ) -> Option<Self> {
        let level = match kind {
            Kind::Agent | Kind::Process => Level::Info,
            Kind::Section
            | Kind::Names
            | Kind::Window
            | Kind::Operation
            | Kind::OperationSum
            | Kind::Host => Level::Debug,
        };
        let written = Written { timestamp, level, logger: kind.logger(), message: &message, data };
        // Only a map with keys that are no texts could fail, and there is none.
        let json = serde_json::to_string(&written).ok()?;
        Some(Self { kind, level, agent: agent.to_owned(), message, json })
    }

    /// The line itself, without its end.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// A line that is read, or an entry of journald's with a line in it.
#[derive(Debug, Deserialize)]
pub(super) struct Read<'a> {
    #[serde(borrow, default)]
    pub(super) logger: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "AGENTPERF_RECORD")]
    pub(super) record: Option<Cow<'a, str>>,
    /// What every entry of journald's has, whoever wrote it.
    #[serde(borrow, default, rename = "__CURSOR")]
    pub(super) cursor: Option<Cow<'a, str>>,
}

/// The version that `data` is of.
#[derive(Debug, Deserialize)]
pub(super) struct Versioned {
    pub(super) v: u32,
}
