//! Identities. A pid alone names nobody: pids are reused, so every identity carries a start time.

use std::{fmt, str::FromStr};

/// Bits of a [`ProcessId`] that hold the pid: the kernel's `PID_MAX_LIMIT` is 2^22.
pub const PID_BITS: u32 = 22;
/// log2 of the unit in which a [`ProcessId`] holds a start, ns.
pub const START_SHIFT: u32 = 14;

/// One process of this boot: its start (units of 2^[`START_SHIFT`] ns since boot, boot clock) and its pid in the initial pid
/// namespace, packed as the kernel programs pack it. A reused pid has another start, hence another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub u64);

impl ProcessId {
    /// The process with this pid that started `start_ns` after boot.
    #[must_use]
    pub fn new(pid: u32, start_ns: u64) -> Self {
        Self(start_ns >> START_SHIFT << PID_BITS | u64::from(pid))
    }

    /// The pid (thread group id) in the initial pid namespace.
    #[must_use]
    pub fn pid(self) -> u32 {
        u32::try_from(self.0 & ((1 << PID_BITS) - 1)).unwrap_or(0)
    }

    /// When the process was created: nanoseconds of the boot clock, to 16 µs.
    #[must_use]
    pub fn start_ns(self) -> u64 {
        (self.0 >> PID_BITS) << START_SHIFT
    }
}

/// The public name of an agent: `PID-STARTMS`, the root's pid and its creation time in Unix
/// milliseconds. Unique on one host across boots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId(String);

impl AgentId {
    /// The id of the agent rooted at `pid`, created `created_ms` after the Unix epoch.
    #[must_use]
    pub fn new(pid: u32, created_ms: i64) -> Self {
        Self(format!("{pid}-{created_ms}"))
    }

    /// The id as it stands in URLs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no [`AgentId`].
#[derive(Debug, thiserror::Error)]
#[error("an agent id is written PID-STARTMS, as in 4711-1763738400123")]
pub struct AgentIdError;

impl FromStr for AgentId {
    type Err = AgentIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (pid, ms) = s.split_once('-').ok_or(AgentIdError)?;
        let (pid, ms) = (pid.parse().map_err(|_| AgentIdError)?, ms.parse().map_err(|_| AgentIdError)?);
        // One agent, one spelling: `+5-7` and `05-7` name nobody.
        Some(Self::new(pid, ms)).filter(|id| id.as_str() == s).ok_or(AgentIdError)
    }
}

/// The kernel programs' small number for a live agent; reused after the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub u32);
