//! Why the kernel side cannot work, in sentences that say what to do.

use std::{error::Error, io};

/// A failure of the kernel side.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The kernel is older than agentperf supports.
    #[error("kernel {0} is too old: agentperf needs Linux 6.1 or later")]
    TooOld(String),
    /// The kernel offers no BTF.
    #[error(
        "this kernel has no BTF ({0}): agentperf needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, \
         which offers /sys/kernel/btf/vmlinux"
    )]
    NoBtf(String),
    /// The running kernel lacks a field that a program reads.
    #[error(
        "this kernel's BTF has no field {structure}.{field}, which agentperf reads; please report your kernel version"
    )]
    NoField {
        /// The structure.
        structure: &'static str,
        /// The path of the field in it.
        field: &'static str,
    },
    /// A capability is missing.
    #[error(
        "missing {capabilities} (needed to load and attach eBPF programs): run as root, with sudo, or as \
         the packaged systemd service, which has just these capabilities"
    )]
    MissingCapability {
        /// The capabilities, joined by "and".
        capabilities: String,
    },
    /// The kernel refused the object or a program.
    #[error("the kernel refused {what}: {reason}")]
    Refused {
        /// What was refused.
        what: &'static str,
        /// The kernel's reason.
        reason: String,
    },
    /// The embedded object has no such map. A bug.
    #[error("the embedded kernel object has no map {0}")]
    NoMap(&'static str),
    /// The embedded object has no such program. A bug.
    #[error("the embedded kernel object has no program {0}")]
    NoProgram(&'static str),
    /// A map operation failed.
    #[error("a map of the kernel programs failed: {0}")]
    Map(#[from] aya::maps::MapError),
    /// A system call failed.
    #[error("{call} failed: {error}")]
    Io {
        /// The call.
        call: &'static str,
        /// Its error.
        error: io::Error,
    },
}

/// An error and its causes on one line, each said once; of a verifier log only the last lines.
pub(super) fn one_line(error: &dyn Error) -> String {
    let mut text = last_lines(&error.to_string());
    let mut cause = error.source();
    while let Some(e) = cause {
        tracing::debug!("{e}");
        let said = last_lines(&e.to_string());
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = e.source();
    }
    text
}

/// The lines of a text as one; of many, as in a verifier log, the first and the last few.
pub(super) fn last_lines(text: &str) -> String {
    // The verifier's figures come after what it has to say.
    let is_figure =
        |l: &str| ["verification time", "stack depth", "processed "].iter().any(|f| l.starts_with(f));
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty() && !is_figure(l)).collect();
    match lines.as_slice() {
        [first, .., a, b, c] if lines.len() > 4 => format!("{first} … {a} | {b} | {c}"),
        lines => lines.join(" | "),
    }
}
