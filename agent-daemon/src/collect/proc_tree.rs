//! The process tree of the host, from /proc: who descends from whom, at one moment.

use std::{fs, io};

use rustc_hash::{FxHashMap, FxHashSet};

/// Parents by pid.
#[derive(Debug, Default)]
pub struct ProcessTree {
    children: FxHashMap<u32, Vec<u32>>,
}

impl ProcessTree {
    /// Reads the tree.
    ///
    /// # Errors
    /// /proc cannot be listed. Processes that vanish meanwhile are left out.
    pub fn read() -> io::Result<Self> {
        let mut tree = Self::default();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Some(stat) = Stat::read(pid) {
                tree.children.entry(stat.parent).or_default().push(pid);
            }
        }
        Ok(tree)
    }

    /// `root` and all its descendants, parents before children, each once.
    #[must_use]
    pub fn subtree(&self, root: u32) -> Vec<u32> {
        let mut found = vec![root];
        // The tree is not read at one moment, and pids are reused: its branches may form a ring.
        let mut seen = FxHashSet::from_iter([root]);
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            let children = self.children.get(&pid).into_iter().flatten();
            found.extend(children.filter(|child| seen.insert(**child)));
            next += 1;
        }
        found
    }

    /// Every process of the host, parents before children.
    #[must_use]
    pub fn all(&self) -> Vec<u32> {
        self.subtree(0)
    }
}

/// What is used of /proc/PID/stat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) parent: u32,
    /// User and system time of all threads, clock ticks.
    pub(super) cpu_ticks: u64,
    /// Creation, clock ticks of the boot clock.
    pub(super) start_ticks: u64,
    /// Resident set, pages.
    pub(super) rss_pages: u64,
}

impl Stat {
    /// Reads the process's stat; `None` if it is gone.
    pub(super) fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Parses a stat line. The name is in parentheses and may hold any byte, parentheses too.
    fn parse(line: &[u8]) -> Option<Self> {
        let after_name = line.iter().rposition(|b| *b == b')')? + 1;
        let rest = std::str::from_utf8(line.get(after_name..)?).ok()?;
        // proc(5) numbers fields from 1; the state is field 3 and comes first here.
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            cpu_ticks: number(14)?.checked_add(number(15)?)?,
            start_ticks: number(22)?,
            rss_pages: number(24)?,
        })
    }
}

/// When a process was created, ns since boot to a clock tick; `None` if it is gone.
pub(super) fn start_ns(pid: u32) -> Option<u64> {
    let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
    Stat::read(pid)?.start_ticks.checked_mul(tick)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{ProcessTree, Stat};

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let line = b"42 (a) R 7 (b c) S 7 1 1 0 -1 4194304 1 0 0 0 11 22 0 0 20 0 1 0 5678 1000 99 1 1";
        let stat = Stat::parse(line).expect("a stat line");
        assert_eq!(stat, Stat { parent: 7, cpu_ticks: 33, start_ticks: 5678, rss_pages: 99 });
    }

    #[test]
    fn this_process_descends_from_its_parent() {
        let tree = ProcessTree::read().expect("/proc");
        assert!(tree.subtree(std::os::unix::process::parent_id()).contains(&std::process::id()));
        assert!(!tree.subtree(std::process::id()).contains(&std::os::unix::process::parent_id()));
    }

    #[test]
    fn a_ring_of_reused_pids_ends() {
        let children = [(0, vec![1, 1]), (1, vec![1, 2]), (2, vec![3]), (3, vec![1, 2])];
        let tree = ProcessTree { children: children.into_iter().collect() };
        assert_eq!(tree.all(), [0, 1, 2, 3]);
        assert_eq!(tree.subtree(2), [2, 3, 1]);
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_not_without_panic(line in any::<Vec<u8>>()) {
            let _ = Stat::parse(&line);
        }
    }
}
