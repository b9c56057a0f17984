//! How full file systems are: those that are on something, each once. File systems of the kernel's own, of other hosts
//! and of user space are left out: they have no space, or may not answer.

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    mem::MaybeUninit,
};

use procfs::process::{MountInfo, Process};

use crate::model::host::FileSystem;

/// Most file systems that are told of.
const MAX: usize = 64;

/// Types that are on a disk or in memory of this host.
const KINDS: [&str; 14] = [
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "ntfs3", "overlay", "tmpfs",
    "vfat", "xfs", "zfs",
];

/// Every file system that is mounted here, where it was mounted first, and how many more there are than are told of.
pub(super) fn read() -> (Vec<FileSystem>, usize) {
    let mounts = Process::myself().and_then(|p| p.mountinfo());
    let mounts: Vec<_> = mounts.into_iter().flatten().collect();
    // What was mounted over cannot be seen.
    let seen: HashMap<_, _> = mounts.iter().map(|m| (m.mount_point.clone(), m.mnt_id)).collect();
    let is_seen = |m: &MountInfo| seen.get(&m.mount_point) == Some(&m.mnt_id);
    let mut known = HashSet::new();
    let is_new = |m: &MountInfo| is_seen(m) && is_told(m) && known.insert(m.majmin.clone());
    let mut told: Vec<_> = mounts.into_iter().filter(is_new).collect();
    let more = told.split_off(MAX.min(told.len())).len();
    (told.into_iter().filter_map(file_system).collect(), more)
}

/// Single files of a container are mounted over its root, and small file systems for sockets stand everywhere.
fn is_told(mount: &MountInfo) -> bool {
    let path = mount.mount_point.as_os_str().as_encoded_bytes();
    let is_own = ["/proc", "/sys", "/dev"].iter().any(|own| path.starts_with(own.as_bytes()));
    KINDS.contains(&mount.fs_type.as_str()) && (!is_own || path == b"/dev/shm") && mount.mount_point.is_dir()
}

fn file_system(mount: MountInfo) -> Option<FileSystem> {
    let path = CString::new(mount.mount_point.as_os_str().as_encoded_bytes()).ok()?;
    let mut told = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with a zero byte, and there is room for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), told.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call has filled it.
    let told = unsafe { told.assume_init() };
    (told.f_blocks > 0).then(|| FileSystem {
        mount: mount.mount_point.to_string_lossy().into_owned(),
        device: mount.mount_source.unwrap_or_default(),
        kind: mount.fs_type,
        size: told.f_blocks.saturating_mul(told.f_frsize),
        available: told.f_bavail.saturating_mul(told.f_frsize),
        inodes: told.f_files,
        inodes_free: told.f_favail,
        read_only: told.f_flag & libc::ST_RDONLY != 0,
    })
}
