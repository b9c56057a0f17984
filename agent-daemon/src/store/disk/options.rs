//! What a store on disk keeps, and how long in what detail.

use std::time::Duration;

use crate::config::Config;

/// What a [`Disk`](super::Disk) keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How long anything is kept.
    pub keep: Duration,
    /// Bytes that the folder may have, about; beyond, the oldest hours go.
    pub max_bytes: u64,
    /// How long windows are kept as they were recorded; then a minute's become one.
    pub raw: Duration,
    /// How long windows of a minute are kept; then an hour's become one.
    pub minutes: Duration,
    /// How long records stay in the head before they are sealed into the database.
    pub seal_after: Duration,
    /// Agents, live and ended. Beyond, the one that ended first is forgotten with all that is known of it.
    pub max_agents: usize,
    /// Processes of one agent, live and ended. Beyond, those that ended first are forgotten when they are sealed.
    pub max_processes: usize,
}

impl Default for Options {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            keep: 7 * DAY,
            max_bytes: 2 << 30,
            raw: DAY,
            minutes: 3 * DAY,
            seal_after: Duration::from_secs(60),
            max_agents: 5_000,
            max_processes: 20_000,
        }
    }
}

impl From<&Config> for Options {
    fn from(config: &Config) -> Self {
        let history = &config.history;
        Self {
            keep: history.keep,
            max_bytes: history.max_bytes,
            raw: history.raw,
            minutes: history.minutes,
            max_processes: config.agents.max_processes,
            ..Self::default()
        }
    }
}
