//! Why a command failed, in one sentence that says what to do next, and the exit code that goes with it.

use std::{path::PathBuf, process::ExitCode};

use crate::config::ConfigError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The command cannot be done as it was given, or not on this host.
    #[error("{0}")]
    Usage(String),
    /// The daemon refused.
    #[error("{0}")]
    Refused(String),
    /// The daemon does not know, or no longer, what was asked for.
    #[error("{0}")]
    Gone(String),
    /// Nothing answers where a daemon was expected.
    #[error("no agentperf answers at {url} ({reason}): start one with `agentperf serve`")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something failed while it was being done.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    /// 2 where the caller must change something first, 1 where the work failed.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Refused(_) | Self::Gone(_) => ExitCode::from(2),
            Self::Unreachable { .. } | Self::Write { .. } | Self::Failed(_) => ExitCode::FAILURE,
        }
    }

    /// A failure to do `what`.
    pub(super) fn failed(what: &str, error: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}
