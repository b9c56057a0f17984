//! What a process's standard input and output lead to, from /proc.

use std::{fs, path::PathBuf};

use crate::{model::id::ProcessId, unwind::identity::is_same};

/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 4096;

/// Whether `process` is spoken to by `by`: its standard input and output are pipes or sockets, and of a pipe that it reads,
/// `by` holds the other end. Who holds that of a socket is not to be seen.
#[must_use]
pub fn is_served(process: ProcessId, by: ProcessId) -> bool {
    let (Some(input), Some(output)) = (target(process, 0), target(process, 1)) else { return false };
    let speaks = |target: &str| target.starts_with("pipe:") || target.starts_with("socket:");
    speaks(&input)
        && speaks(&output)
        && is_same(process)
        && (input.starts_with("socket:") || holds(by, &input))
}

fn target(process: ProcessId, descriptor: u32) -> Option<String> {
    let link = fs::read_link(format!("/proc/{}/fd/{descriptor}", process.pid())).ok()?;
    link.into_os_string().into_string().ok()
}

/// Whether a process has this open.
fn holds(process: ProcessId, wanted: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", process.pid())) else { return false };
    let mut paths = descriptors.take(MAX_DESCRIPTORS).filter_map(|entry| Some(entry.ok()?.path()));
    paths.any(|path: PathBuf| fs::read_link(path).is_ok_and(|to| to.as_os_str() == wanted))
        && is_same(process)
}
