//! The hierarchy of cgroups of version 2: which one processes share, who is in it, and its files. Paths are from the
//! hierarchy's root, as /proc/PID/cgroup has them.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::PathBuf};

use super::process::read;
use crate::cgroup2;

/// The most cgroups below one that are looked at.
const MAX_BELOW: usize = 1000;

/// The hierarchy.
#[derive(Clone, Debug)]
pub(super) struct Cgroups(PathBuf);

impl Cgroups {
    /// The one that is mounted; `None` where none is, or not as a whole.
    pub(super) fn find() -> Option<Self> {
        cgroup2::find().map(Self)
    }

    /// One that a test made.
    #[cfg(test)]
    pub(super) fn at(path: &std::path::Path) -> Self {
        Self(path.to_owned())
    }

    /// What tells a cgroup from a later one of its path; `None` if it is gone.
    pub(super) fn identity(&self, path: &str) -> Option<u64> {
        Some(self.folder(path)?.metadata().ok()?.ino())
    }

    /// What a file of it says, without the end of the line.
    ///
    /// # Errors
    /// The file is not there, or cannot be read.
    pub(super) fn read(&self, path: &str, file: &str) -> io::Result<String> {
        Ok(read(&self.folder(path).ok_or(io::ErrorKind::NotFound)?.join(file))?.trim_end().to_owned())
    }

    /// Writes a file of it.
    ///
    /// # Errors
    /// The kernel does not take it, or the file is not there.
    pub(super) fn write(&self, path: &str, file: &str, text: &str) -> io::Result<()> {
        use io::Write as _;
        let file = self.folder(path).ok_or(io::ErrorKind::NotFound)?.join(file);
        // Never made: a file of the kernel's is there, or it is not.
        fs::OpenOptions::new().write(true).open(file)?.write_all(text.as_bytes())
    }

    /// The pids of all processes in it and below.
    ///
    /// # Errors
    /// They cannot be listed, as where threads are spread over cgroups; or there are too many cgroups.
    pub(super) fn processes(&self, path: &str) -> io::Result<Vec<u32>> {
        let mut folders = vec![self.folder(path).ok_or(io::ErrorKind::NotFound)?];
        let mut pids = Vec::new();
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            pids.extend(
                fs::read_to_string(folder.join("cgroup.procs"))?
                    .lines()
                    .filter_map(|l| l.parse::<u32>().ok()),
            );
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                }
            }
            if folders.len() > MAX_BELOW {
                return Err(io::Error::other(format!("there are more than {MAX_BELOW} cgroups below it")));
            }
            next += 1;
        }
        Ok(pids)
    }

    /// `None` for paths that lead out of the hierarchy, as those of processes beyond our cgroup namespace do.
    fn folder(&self, path: &str) -> Option<PathBuf> {
        let inside = path.strip_prefix('/')?;
        (!inside.split('/').any(|part| part == "..")).then(|| self.0.join(inside))
    }
}

/// The innermost cgroup that all of these are in or below.
pub(super) fn common<'p>(paths: impl IntoIterator<Item = &'p str>) -> Option<String> {
    let parts = |path: &str| -> Vec<String> {
        path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let mut paths = paths.into_iter();
    let mut shared = parts(paths.next()?);
    for path in paths {
        let same = shared.iter().zip(parts(path)).take_while(|(a, b)| *a == b).count();
        shared.truncate(same);
    }
    Some(format!("/{}", shared.join("/")))
}

/// Whether a cgroup is this one, or below it.
pub(super) fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::{Cgroups, common, is_within};

    #[test]
    fn what_processes_share_is_found() {
        assert_eq!(common(["/a/b/c", "/a/b", "/a/b/d"]).as_deref(), Some("/a/b"));
        assert_eq!(common(["/a/b", "/a/bc"]).as_deref(), Some("/a"));
        assert_eq!(common(["/a", "/b"]).as_deref(), Some("/"));
        assert_eq!(common([]), None);
        assert!(is_within("/a/b", "/a") && is_within("/a", "/a") && is_within("/a", "/"));
        assert!(!is_within("/ab", "/a") && !is_within("/", "/a"));
    }

    #[test]
    fn nothing_leads_out_of_the_hierarchy() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "x").unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        let cgroups = Cgroups::at(&folder.path().join("root"));
        assert!(cgroups.read("/..", "secret").is_err() && cgroups.read("relative", "secret").is_err());
        assert!(cgroups.write("/", "new", "x").is_err(), "no file is made");
    }
}
