//! The limits of control groups (version 2), and what they withheld, from the unified hierarchy.
//!
//! A group is read once in a window, however many processes it has. Where version 1 limits, nothing is told: these
//! controllers are not in the unified hierarchy.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustc_hash::FxHashMap;

use crate::{
    cgroup2,
    model::cgroup::{Cgroup, MemoryLimit},
};

/// Most groups that are read in one window.
const MAX_GROUPS: usize = 256;

/// Most groups above one another that are looked at.
const MAX_DEPTH: usize = 32;

/// The groups of one window.
#[derive(Debug)]
pub(super) struct Groups {
    /// Where the unified hierarchy is mounted.
    root: Option<PathBuf>,
    read: FxHashMap<String, Option<Cgroup>>,
}

impl Groups {
    pub(super) fn new() -> Self {
        Self { root: cgroup2::find(), read: FxHashMap::default() }
    }

    /// Forgets what was read: a new window begins.
    pub(super) fn begin(&mut self) {
        self.read.clear();
    }

    /// The group of a process; `None` where it is gone, there is no unified hierarchy, or too many were read.
    pub(super) fn of(&mut self, pid: u32) -> Option<Cgroup> {
        let root = self.root.as_deref()?;
        let path = cgroup2::path(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)?.to_owned();
        if self.read.len() >= MAX_GROUPS && !self.read.contains_key(&path) {
            return None;
        }
        let group = || read(root, Path::new(path.trim_start_matches('/'))).ok();
        *self.read.entry(path.clone()).or_insert_with(group)
    }
}

/// A group with the limits of those above it.
fn read(root: &Path, path: &Path) -> io::Result<Cgroup> {
    let id = fs::metadata(root.join(path))?.ino();
    let mut group = Cgroup { id, ..Cgroup::default() };
    for above in path.ancestors().take(MAX_DEPTH) {
        limit(&root.join(above), &mut group);
    }
    Ok(group)
}

/// Takes the limits of one folder into account. The root has none, so its files are missing.
fn limit(folder: &Path, group: &mut Cgroup) {
    let text = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let quota = text("cpu.max").and_then(|text| quota_millis(&text));
    if let Some(quota) = quota.filter(|quota| group.cpu_limit_millis.is_none_or(|other| *quota < other)) {
        group.cpu_limit_millis = Some(quota);
        group.throttled_ns = text("cpu.stat").and_then(|text| throttled_ns(&text)).unwrap_or(0);
        group.id = fs::metadata(folder).map_or(group.id, |folder| folder.ino());
    }
    let bytes = |name: &str| text(name)?.trim().parse::<u64>().ok();
    // "max" is no number, and no limit.
    let Some(limit_bytes) = [bytes("memory.max"), bytes("memory.high")].into_iter().flatten().min() else {
        return;
    };
    let Some(used_bytes) = bytes("memory.current") else { return };
    let limit = MemoryLimit { limit_bytes, used_bytes };
    group.memory = Some(group.memory.map_or(limit, |other| other.tighter(limit)));
}

/// The quota of a `cpu.max`, "$MAX $PERIOD" in microseconds, in thousandths of a CPU; none where it is "max".
fn quota_millis(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    quota.checked_mul(1_000)?.checked_div(period)
}

/// `throttled_usec` of a `cpu.stat`, in nanoseconds.
fn throttled_ns(text: &str) -> Option<u64> {
    let micros = text.lines().find_map(|line| line.strip_prefix("throttled_usec "))?;
    micros.trim().parse::<u64>().ok()?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_and_what_they_withheld_are_read() {
        assert_eq!(quota_millis("50000 100000\n"), Some(500));
        assert_eq!(quota_millis("max 100000\n"), None);
        assert_eq!((quota_millis("5 0"), quota_millis("")), (None, None));
        let stat = "usage_usec 9\nnr_throttled 3\nthrottled_usec 1500\n";
        assert_eq!((throttled_ns(stat), throttled_ns("usage_usec 9\n")), (Some(1_500_000), None));
    }

    #[test]
    fn limits_of_the_groups_above_hold_below() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("slice/unit");
        fs::create_dir_all(&folder).unwrap();
        let write = |at: &Path, files: &[(&str, &str)]| {
            files.iter().for_each(|(name, text)| fs::write(at.join(name), text).unwrap());
        };
        let above = folder.parent().unwrap();
        write(above, &[("cpu.max", "50000 100000\n"), ("cpu.stat", "throttled_usec 7\n")]);
        write(above, &[("memory.max", "1000\n"), ("memory.high", "max\n"), ("memory.current", "900\n")]);
        write(&folder, &[("cpu.max", "max 100000\n"), ("cpu.stat", "throttled_usec 9\n")]);
        write(&folder, &[("memory.max", "500\n"), ("memory.high", "400\n"), ("memory.current", "100\n")]);
        let group = read(root.path(), Path::new("slice/unit")).unwrap();
        let memory = Some(MemoryLimit { limit_bytes: 1000, used_bytes: 900 });
        let id = fs::metadata(above).unwrap().ino();
        assert_eq!(group, Cgroup { id, cpu_limit_millis: Some(500), throttled_ns: 7_000, memory });
        assert!(read(root.path(), Path::new("gone")).is_err());
    }
}
