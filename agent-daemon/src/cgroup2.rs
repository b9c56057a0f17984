//! Where the hierarchy of control groups of version 2 is, and where in it a process is. For whoever reads limits and
//! whoever sets them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the kernel says what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Where the hierarchy is mounted; `None` where it is not, or not as a whole.
pub(crate) fn find() -> Option<PathBuf> {
    mounted(&fs::read_to_string(MOUNTS).ok()?)
}

fn mounted(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.starts_with("cgroup2 ") && root == "/").then(|| Path::new(point).to_owned())
    })
}

/// The path from the hierarchy's root, of what /proc/PID/cgroup says. A path that leads out of what can be seen from here
/// (`/..`) is none.
pub(crate) fn path(groups: &str) -> Option<&str> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    (path.starts_with('/') && !path.split('/').any(|part| part == "..")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::{Path, mounted, path};

    #[test]
    fn the_mount_is_found_beside_version_1() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n\
                      31 30 0:27 /../.. /cut rw - cgroup2 cgroup2 rw\n\
                      32 30 0:27 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted(mounts).as_deref(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(mounted("30 24 0:26 / / rw - ext4 /dev/vda rw\nbroken - cgroup2 "), None);
    }

    #[test]
    fn groups_are_found_in_the_unified_hierarchy_only() {
        assert_eq!(path("4:memory:/v1\n0::/a.slice/b:c\n"), Some("/a.slice/b:c"));
        assert_eq!(path("4:memory:/v1\n"), None);
        assert_eq!(path("0::/../other\n"), None);
    }
}
