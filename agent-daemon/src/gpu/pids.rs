//! From the pids that NVML tells, which are the host's, to those that this daemon sees. They are the same unless the
//! daemon runs in a pid namespace of its own; then the host's /proc, where it is mounted, names both for every
//! process. A process that is found that way must also have started at the same moment: depths of namespaces alone do
//! not tell two containers apart.
//!
//! Limits: without the host's /proc nothing can be told, and nothing is guessed.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Inode of the pid namespace that the kernel boots with (`PROC_PID_INIT_INO` in linux/proc_ns.h).
const INITIAL: u64 = 0xEFFF_FFFC;
/// How deep the kernel nests pid namespaces (`MAX_PID_NS_LEVEL` in linux/pid_namespace.h), and the outermost.
const DEEPEST: usize = 33;

/// How pids of the host are translated.
#[derive(Debug)]
pub(super) enum Pids {
    /// The daemon is in the host's namespace.
    Same,
    /// By the host's /proc.
    Mapped {
        host: PathBuf,
        own: PathBuf,
        /// Where the pid of the daemon's namespace stands in `NSpid`.
        depth: usize,
    },
    /// They cannot be.
    Unknown,
}

impl Pids {
    /// Looks where the daemon is. `own` is its /proc, `host` the host's if there is one.
    pub(super) fn find(own: &Path, host: Option<&Path>) -> Self {
        let Ok(namespace) = fs::metadata(own.join("self/ns/pid")) else { return Self::Unknown };
        if namespace.ino() == INITIAL {
            return Self::Same;
        }
        let found = host.and_then(|host| Some((host.to_owned(), depth_of(host, namespace.ino())?)));
        found.map_or(Self::Unknown, |(host, depth)| Self::Mapped { host, own: own.to_owned(), depth })
    }

    /// The pid that the daemon knows a process of the host by; `None` if it does not see it.
    pub(super) fn own(&self, host_pid: u32) -> Option<u32> {
        match self {
            Self::Same => Some(host_pid),
            Self::Unknown => None,
            Self::Mapped { host, own, depth } => {
                let status = fs::read(host.join(format!("{host_pid}/status"))).ok()?;
                let pid = *ns_pids(&status)?.get(*depth)?;
                let started =
                    |proc: &Path, pid: u32| start_time(&fs::read(proc.join(format!("{pid}/stat"))).ok()?);
                (started(host, host_pid)? == started(own, pid)?).then_some(pid)
            }
        }
    }
}

/// Where pids of a namespace stand in `NSpid`, by any process of it that the host's /proc shows.
fn depth_of(host: &Path, namespace: u64) -> Option<usize> {
    fs::read_dir(host).ok()?.flatten().find_map(|entry| {
        let is_ours = fs::metadata(entry.path().join("ns/pid")).ok()?.ino() == namespace;
        let status = is_ours.then(|| fs::read(entry.path().join("status")).ok())??;
        ns_pids(&status)?.len().checked_sub(1)
    })
}

/// The pids of `NSpid` in /proc/PID/status, outermost namespace first. `None` if there is no such line, as before
/// Linux 4.1, or it makes no sense.
#[must_use]
pub fn ns_pids(status: &[u8]) -> Option<Vec<u32>> {
    let line = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"NSpid:"))?;
    let words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let pids: Vec<u32> = words.take(DEEPEST).map(|word| word.parse().ok()).collect::<Option<_>>()?;
    (!pids.is_empty()).then_some(pids)
}

/// When a process started, in clock ticks since boot: field 22 of /proc/PID/stat. The name before may hold anything.
#[must_use]
pub fn start_time(stat: &[u8]) -> Option<u64> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::{any, prop, proptest};

    use super::*;

    fn process(proc: &Path, pid: u32, ns_pids: &str, start: u64) {
        let folder = proc.join(pid.to_string());
        fs::create_dir_all(folder.join("ns")).unwrap();
        fs::write(folder.join("status"), format!("Name:\tx\nNSpid:\t{ns_pids}\nNSpgid:\t1\n")).unwrap();
        let zeros = "0 ".repeat(18);
        fs::write(folder.join("stat"), format!("{pid} (a ) b) S {zeros}{start} 0\n")).unwrap();
    }

    #[test]
    fn pids_of_a_container_are_found_through_the_hosts_proc() {
        let root = tempfile::tempdir().unwrap();
        let (host, own) = (root.path().join("host"), root.path().join("own"));
        // Any file stands for the namespace: what counts is its inode.
        fs::write(root.path().join("ours"), "").unwrap();
        process(&host, 500, "500 1", 10);
        process(&host, 501, "501 2", 20);
        process(&host, 600, "600 2", 30);
        process(&host, 700, "700", 40);
        process(&own, 1, "1", 10);
        process(&own, 2, "2", 20);
        for link in [host.join("500/ns/pid"), host.join("501/ns/pid"), own.join("1/ns/pid")] {
            symlink(root.path().join("ours"), link).unwrap();
        }
        symlink(own.join("1"), own.join("self")).unwrap();

        let pids = Pids::find(&own, Some(&host));
        assert_eq!([500, 501].map(|pid| pids.own(pid)), [Some(1), Some(2)]);
        assert_eq!(pids.own(600), None, "2 in another container is not our 2");
        assert_eq!(pids.own(700), None, "of the host itself");
        assert_eq!(pids.own(9), None, "gone");
        assert_eq!(Pids::find(&own, None).own(500), None, "nothing is guessed");
    }

    #[test]
    fn the_real_proc_is_understood() {
        let own = std::process::id();
        let status = fs::read("/proc/self/status").unwrap();
        assert_eq!(ns_pids(&status).unwrap().first(), Some(&own));
        assert!(start_time(&fs::read("/proc/self/stat").unwrap()).unwrap() > 0);
        // A host's /proc that is our own maps every pid to itself, or there is nothing to map.
        match Pids::find(Path::new("/proc"), Some(Path::new("/proc"))) {
            Pids::Unknown => panic!("the daemon's own /proc names its namespace"),
            pids => assert_eq!(pids.own(own), Some(own)),
        }
    }

    #[test]
    fn lines_that_make_no_sense_are_refused() {
        for status in ["", "NSpid:\n", "NSpid:\tx\n", "NSpid:\t1 4294967296\n", "Name:\tNSpid\n"] {
            assert_eq!(ns_pids(status.as_bytes()), None, "{status:?}");
        }
        for stat in ["", "1 (x S", "1 (x) S 1 2 3"] {
            assert_eq!(start_time(stat.as_bytes()), None, "{stat:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (ns_pids(&bytes), start_time(&bytes));
        }
    }
}
