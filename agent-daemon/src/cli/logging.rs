//! The daemon's own log, to standard error.

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Writes log lines from now on; where somebody does already, theirs stay.
pub(super) fn init(log: &Log) {
    // The level was validated with the configuration.
    let filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match log.format {
        LogFormat::Json => lines.json().try_init(),
        LogFormat::Text => {
            use std::io::IsTerminal;
            lines.with_ansi(std::io::stderr().is_terminal()).try_init()
        }
    };
}
